/* Imports whose foreign file is read by a guest: the same results as in the plain child, good and
 * bad, and nothing left behind by an end in the middle. */
#include "import_fixture.h"

#include "engine/tiny_bert.h"
#include "runtime/wasm/run.h"

#include <signal.h>

/* False, and the test is skipped, when guests cannot run here. */
static bool has_wasm(void) {
    tars_error err;
    if (wasm_probe(&err) != TARS_OK) {
        check_skip("%s", err.message);
        return false;
    }
    return true;
}

static tars_status import_in(const fixture *f, const char *sandbox, const char *path,
                             tars_model_entry *out, tars_error *err) {
    importer_options options = import_options_of(f, "m");
    options.sandbox = sandbox;
    error_clear(err);
    tars_status status = importer_run(path, &options, out, err);
    if (status == TARS_OK) { /* so that the next import packs again */
        store *s = fixture_open(f);
        tars_error ignored;
        CHECK_INT(store_remove(s, "m", &ignored), TARS_OK);
        store_close(s);
    }
    import_check_clean(f, 0);
    return status;
}

/* One home for all, so that the guest is compiled once. */
static fixture shared;

static void begin(void) {
    if (shared.home[0] == '\0') {
        fixture_begin(&shared);
        platform_make_folders(shared.home, NULL);
    }
}

static void check_same(const char *path) {
    tars_model_entry entries[2];
    tars_error errors[2];
    memset(entries, 0, sizeof entries);
    tars_status native = import_in(&shared, "native", path, &entries[0], &errors[0]);
    tars_status guest = import_in(&shared, "wasm", path, &entries[1], &errors[1]);
    bool same = native == guest && strcmp(errors[0].message, errors[1].message) == 0 &&
                strcmp(errors[0].hint, errors[1].hint) == 0 &&
                strcmp(errors[0].where, errors[1].where) == 0 &&
                strcmp(entries[0].packed_sha256, entries[1].packed_sha256) == 0 &&
                strcmp(entries[0].sha256, entries[1].sha256) == 0;
    if (!same) {
        check_fail(__FILE__, __LINE__, "%s\n    native %s: %s [%s] %s\n    guest %s: %s [%s] %s",
                   path, tars_status_code(native), errors[0].message, errors[0].where,
                   entries[0].packed_sha256, tars_status_code(guest), errors[1].message,
                   errors[1].where, entries[1].packed_sha256);
    }
}

typedef struct folder_walk {
    const char *folder;
    size_t count;
} folder_walk;

static bool check_one(void *user, const char *name, platform_kind kind) {
    folder_walk *walk = user;
    size_t length = strlen(name);
    if (kind == PLATFORM_KIND_FILE && length > 5 && strcmp(name + length - 5, ".gguf") == 0) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", walk->folder, name);
        check_same(path);
        walk->count++;
    }
    return true;
}

static size_t check_folder(const char *relative) {
    char folder[256];
    snprintf(folder, sizeof folder, "%s", check_data_path(relative));
    folder_walk walk = {folder, 0};
    tars_error err;
    CHECK_INT(platform_list_folder(folder, check_one, &walk, &err), TARS_OK);
    return walk.count;
}

static void models_are_packed_alike(void) {
    if (!has_wasm()) {
        return;
    }
    begin();
    CHECK(check_folder("models") >= 1);
    CHECK(check_folder("models/arch") >= 4);
}

static void hostile_files_are_refused_alike(void) {
    if (!has_wasm()) {
        return;
    }
    begin();
    CHECK_INT(check_folder("hostile"), 156);
}

static void folders_are_packed_alike(void) {
    if (!has_wasm()) {
        return;
    }
    begin();
    uint8_t weights[TINY_BERT_BYTES];
    size_t length = tiny_bert_weights("F32", "", weights);
    const char *folder = fixture_path(&shared, "bert");
    platform_make_folders(folder, NULL);
    fixture_write(fixture_path(&shared, "bert/model.safetensors"), weights, length);
    fixture_write(fixture_path(&shared, "bert/config.json"), tiny_bert_config,
                  sizeof tiny_bert_config - 1);
    check_same(folder); /* refused: no vocabulary */
    fixture_write(fixture_path(&shared, "bert/vocab.txt"), tiny_bert_vocabulary,
                  sizeof tiny_bert_vocabulary - 1);
    check_same(folder);
    fixture_write(fixture_path(&shared, "bert/tokenizer.json"), tiny_bert_tokenizer,
                  sizeof tiny_bert_tokenizer - 1);
    check_same(folder);
    fixture_write(fixture_path(&shared, "bert/config.json"), "{\"model_type\":[", 15);
    check_same(folder);
    weights[9] ^= 0x20; /* in the JSON header */
    fixture_write(fixture_path(&shared, "bert/model.safetensors"), weights, length);
    check_same(folder);
}

static void a_guest_is_taken_unless_told_otherwise(void) {
    if (!has_wasm()) {
        return;
    }
    fixture f;
    fixture_begin(&f);
    tars_error err;
    const char *tiny = check_data_path(TINY_MODEL);
    CHECK_INT(import_in(&f, "native", tiny, NULL, &err), TARS_OK);
    CHECK(!fixture_exists(fixture_path(&f, "cache")));
    CHECK_INT(import_in(&f, NULL, tiny, NULL, &err), TARS_OK);
    CHECK_INT(fixture_count(fixture_path(&f, "cache")), 1); /* the compiled guest */
    /* a damaged one is never run */
    char command[400];
    snprintf(command, sizeof command, "for f in %s/cache/*; do chmod u+w $f; echo x >$f; done",
             f.home);
    fixture_run(command);
    CHECK_INT(import_in(&f, "auto", tiny, NULL, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    fixture_end(&f);
}

static bool stop_at_import(void *user, const char *step, uint64_t done, uint64_t total) {
    (void)user;
    (void)done;
    (void)total;
    return strcmp(step, "import") != 0;
}

static void cancelling_leaves_nothing(void) {
    if (!has_wasm()) {
        return;
    }
    begin();
    importer_options options = import_options_of(&shared, "m");
    tars_error err = {0};
    options.sandbox = "wasm";
    options.progress = stop_at_import;
    CHECK_INT(importer_run(check_data_path(TINY_MODEL), &options, NULL, &err), TARS_CANCELLED);
    import_check_clean(&shared, 0);
}

/* The first child of a process, or 0. */
static pid_t child_of(pid_t process) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)process, (int)process);
    FILE *file = fopen(path, "r");
    int child = 0;
    if (file) {
        if (fscanf(file, "%d", &child) != 1) {
            child = 0;
        }
        fclose(file);
    }
    return (pid_t)child;
}

static void killed_children_leave_nothing(void) {
    if (!has_wasm()) {
        return;
    }
    begin();
    int hit = 0;
    for (int round = 0; round < 24; round++) {
        fflush(stdout);
        pid_t process = fork();
        if (process == 0) {
            importer_options options = import_options_of(&shared, "k");
            options.sandbox = "wasm";
            tars_error err;
            _exit((int)importer_run(check_data_path(TINY_MODEL), &options, NULL, &err));
        }
        pid_t child = 0;
        for (int i = 0; i < 2000 && child == 0; i++) {
            platform_sleep_ns(500000);
            child = child_of(process);
        }
        platform_sleep_ns((uint64_t)round * 2000000);
        if (child > 0) {
            kill(child, SIGKILL);
        }
        int status = 0;
        waitpid(process, &status, 0);
        CHECK(WIFEXITED(status));
        if (WIFEXITED(status) && WEXITSTATUS(status) != TARS_OK) {
            CHECK_INT(WEXITSTATUS(status), TARS_OUT_OF_MEMORY); /* what an unasked SIGKILL means */
            import_check_clean(&shared, 0);
            hit++;
        } else {
            store *s = fixture_open(&shared);
            tars_error ignored;
            (void)store_remove(s, "k", &ignored);
            store_close(s);
        }
    }
    CHECK(hit > 0);
}

static void end(void) {
    if (shared.home[0] != '\0') {
        fixture_end(&shared);
    }
}

static const check_test tests[] = {
    {"models are packed alike", models_are_packed_alike},
    {"hostile files are refused alike", hostile_files_are_refused_alike},
    {"folders are packed alike", folders_are_packed_alike},
    {"a guest is taken unless told otherwise", a_guest_is_taken_unless_told_otherwise},
    {"cancelling leaves nothing", cancelling_leaves_nothing},
    {"killed children leave nothing", killed_children_leave_nothing},
    {"end", end},
};
IMPORT_CHECK_MAIN(tests)
