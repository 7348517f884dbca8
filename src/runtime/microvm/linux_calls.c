#include "runtime/microvm/linux_internal.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* ---- the table ------------------------------------------------------------------------- */

#define BASE_ROW(number, name) [number] = {#name, LINUX_SET_BASE, call_##name},
#define FILES_ROW(number, name) [number] = {#name, LINUX_SET_FILES, call_##name},

static const linux_row rows[LINUX_NUMBERS] = {
    LINUX_BASE_CALLS(BASE_ROW) LINUX_FILE_CALLS(FILES_ROW)
        /* what a guest without a network, other processes and devices has no use for */
        [41] = {.name = "socket"},
    [42] = {.name = "connect"},
    [49] = {.name = "bind"},
    [57] = {.name = "fork"},
    [58] = {.name = "vfork"},
    [59] = {.name = "execve"},
    [101] = {.name = "ptrace"},
    [133] = {.name = "mknod"},
    [165] = {.name = "mount"},
    [259] = {.name = "mknodat"},
    [272] = {.name = "unshare"},
    [321] = {.name = "bpf"},
    [322] = {.name = "execveat"},
    [425] = {.name = "io_uring_setup"},
};

_Static_assert((int)RUNTIME_MAX_CALLS >= 160, "each row that is counted finds room in the usage");

const linux_row *linux_find(uint64_t number) {
    return number < LINUX_NUMBERS && rows[number].name ? &rows[number] : NULL;
}

static bool is_listed(const char *const *names, const char *name) {
    for (; names && *names; names++) {
        if (strcmp(*names, name) == 0) {
            return true;
        }
    }
    return false;
}

static void allow(linux_context *context) {
    const linux_options *o = &context->options;
    for (size_t i = 0; i < LINUX_NUMBERS; i++) {
        bool granted = rows[i].set == LINUX_SET_BASE;
        if (rows[i].set == LINUX_SET_FILES) {
            granted = o->calls ? is_listed(o->calls, rows[i].name) : o->files;
        }
        context->allowed[i] = granted ? 1 : 0;
    }
}

/* ---- life ------------------------------------------------------------------------------ */

/* Absolute, and each component a name: it is compared with what paths come to. */
static bool is_plain(const char *guest) {
    if (guest[0] != '/' || strlen(guest) >= LINUX_PATH_BYTES) {
        return false;
    }
    for (const char *at = guest + 1; *at;) {
        size_t n = strcspn(at, "/");
        if (n == 0 || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.')) {
            return false;
        }
        at += n;
        at += *at == '/' ? 1 : 0;
    }
    return true;
}

static tars_status open_mount(linux_context *context, const linux_folder *folder, tars_error *err) {
    linux_mount *m = &context->mounts[context->n_mounts];
    if (!is_plain(folder->guest)) {
        error_set(err, TARS_USAGE,
                  "the guest's name of a folder, \"%s\", is no plain absolute path", folder->guest);
        return error_hint(err, "begin it with /, without . and .. in it");
    }
    size_t length = strlen(folder->guest);
    length -= folder->guest[length - 1] == '/' ? 1 : 0;
    *m = (linux_mount){.guest = folder->guest, .length = length, .writable = folder->writable};
    m->handle = folder->handle;
    tars_status status =
        folder->host ? platform_beneath_root(folder->host, &m->handle, err) : TARS_OK;
    context->n_mounts += status == TARS_OK ? 1 : 0;
    return status;
}

static tars_status open_mounts(linux_context *context, tars_error *err) {
    const linux_options *o = &context->options;
    bool files = o->files || o->calls;
    if (o->n_folders > LINUX_MAX_FOLDERS) {
        return error_set(err, TARS_LIMIT, "%zu folders are granted, at most %d are possible",
                         o->n_folders, LINUX_MAX_FOLDERS);
    }
    memcpy(context->folder, "/", 2);
    for (size_t i = 0; files && i < o->n_folders; i++) {
        tars_status status = open_mount(context, &o->folders[i], err);
        if (status != TARS_OK) {
            return status;
        }
    }
    if (context->n_mounts > 0 && context->mounts[0].length > 0) {
        memcpy(context->folder, context->mounts[0].guest, context->mounts[0].length);
        context->folder[context->mounts[0].length] = '\0';
    }
    return TARS_OK;
}

/* The thread that is there from the start. */
static void begin_threads(linux_context *context) {
    linux_thread *first = &context->threads[0];
    uint32_t wanted = context->options.n_threads;
    context->n_threads = wanted == 0 ? 1 : wanted < LINUX_MAX_THREADS ? wanted : LINUX_MAX_THREADS;
    *first = (linux_thread){.is_live = true,
                            .number = LINUX_PROCESS_ID,
                            .name = "program",
                            .signal_stack = {0, LINUX_STACK_DISABLED, 0}};
    context->current = first;
    context->n_live = 1;
}

tars_status linux_create(const linux_options *options, linux_context **out, tars_error *err) {
    *out = NULL;
    linux_context *context = calloc(1, sizeof *context);
    if (!context) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a guest's system calls");
    }
    context->options = *options;
    context->machine = options->machine ? *options->machine : (linux_machine){.user = NULL};
    context->start_ns = platform_clock_ns();
    context->cpu_start_ns = platform_thread_cpu_ns();
    context->file_mask = 022;
    begin_threads(context);
    allow(context);
    uint64_t keys[8];
    tars_status status = platform_random(keys, sizeof keys, err);
    if (status == TARS_OK) {
        memcpy(context->inode_keys, keys, sizeof context->inode_keys);
        memcpy(context->device_keys, keys + 4, sizeof context->device_keys);
        status = open_mounts(context, err);
    }
    if (status == TARS_OK) {
        status = linux_descriptors_open(context, err);
    }
    if (status != TARS_OK) {
        linux_destroy(context);
        return status;
    }
    *out = context;
    return TARS_OK;
}

void linux_destroy(linux_context *context) {
    if (!context) {
        return;
    }
    linux_descriptors_close(context);
    for (size_t i = 0; i < context->n_mounts; i++) {
        platform_handle_close(context->mounts[i].handle);
    }
    kept_output_finish(&context->output);
    kept_output_finish(&context->errors);
    free(context);
}

/* ---- a call ---------------------------------------------------------------------------- */

static void refuse_number(linux_context *context, uint64_t number) {
    const char *known = number <= UINT32_MAX ? platform_call_name((uint32_t)number) : NULL;
    /* one name for all that there are not, or they could fill the list and hide what follows */
    runtime_violations_add(&context->violations, "syscall", known ? known : "unknown", 1);
}

int64_t linux_call(linux_context *context, uint64_t number, const uint64_t arguments[6]) {
    const linux_row *row = linux_find(number);
    if (context->end != LINUX_RUNS) {
        return -LINUX_EINTR;
    }
    if (!row) {
        refuse_number(context, number);
        return linux_pulse(context) ? -LINUX_ENOSYS : -LINUX_EINTR;
    }
    context->counts[number]++;
    context->running = row->name;
    if (context->allowed[number] == 0) {
        linux_refuse(context, "syscall");
        return linux_pulse(context) ? -LINUX_EPERM : -LINUX_EINTR;
    }
    if (!linux_pulse(context)) {
        return -LINUX_EINTR;
    }
    int64_t result = row->call(context, arguments);
    (void)linux_pulse(context);
    return result;
}

void linux_finish(linux_context *context, linux_end end) {
    if (context->end == LINUX_RUNS) {
        context->end = end;
    }
}

void linux_refuse(linux_context *context, const char *kind) {
    runtime_violations_add(&context->violations, kind, context->running, 1);
}

int64_t linux_space_error(linux_context *context, space_result result) {
    static const int64_t numbers[] = {[SPACE_OK] = 0,
                                      [SPACE_INVALID] = -LINUX_EINVAL,
                                      [SPACE_NO_MEMORY] = -LINUX_ENOMEM,
                                      [SPACE_EXISTS] = -LINUX_EEXIST,
                                      [SPACE_ABSENT] = -LINUX_ENOMEM,
                                      [SPACE_DENIED] = -LINUX_EACCES};
    if (result == SPACE_DENIED) {
        linux_refuse(context, "syscall");
    }
    return numbers[result];
}

/* ---- time ------------------------------------------------------------------------------ */

bool linux_pulse(linux_context *context) {
    const linux_options *o = &context->options;
    bool asks = context->current == &context->threads[0]; /* on the thread of who wants it */
    request_clock_state state =
        request_clock_look(o->deadline_ns, asks ? o->goes_on : NULL, o->user, &context->asked_ns);
    if (state != REQUEST_GOES_ON) {
        linux_finish(context, state == REQUEST_TIME_IS_OVER ? LINUX_TIME : LINUX_STOPPED);
    }
    return context->end == LINUX_RUNS;
}

/* The first thread looks after the request's time, and wakes all others when it is over. */
uint64_t linux_slice_ns(const linux_context *context, uint64_t wanted_ns) {
    static const uint64_t of_others_ns = 100000000;
    if (context->current != &context->threads[0]) {
        return wanted_ns < of_others_ns ? wanted_ns : of_others_ns;
    }
    return request_clock_slice_ns(context->options.deadline_ns, wanted_ns);
}

bool linux_look_after(linux_context *context) {
    return linux_pulse(context);
}

void linux_stop(linux_context *context) {
    linux_finish(context, LINUX_STOPPED);
}

void linux_enter(linux_context *context, unsigned row) {
    context->current = &context->threads[row];
}

void linux_nap(linux_context *context, uint64_t duration_ns) {
    const char *running = context->running;
    linux_thread *self = context->current;
    if (context->machine.sleep) {
        context->machine.sleep(context->machine.user, duration_ns);
    } else {
        platform_sleep_ns(duration_ns);
    }
    context->running = running;
    context->current = self;
}

void linux_nap_for_files(linux_context *context, uint64_t duration_ns) {
    linux_thread *self = context->current;
    self->waits_for_files = true;
    linux_nap(context, duration_ns);
    self->waits_for_files = false;
}

void linux_wake_files(linux_context *context) {
    const linux_machine *m = &context->machine;
    for (unsigned i = 0; m->wake && i < context->n_threads; i++) {
        if (context->threads[i].waits_for_files) {
            m->wake(m->user, i);
        }
    }
}

bool linux_sleep_until(linux_context *context, uint64_t until_ns) {
    const linux_options *o = &context->options;
    if (until_ns == PLATFORM_FOREVER && o->deadline_ns == 0 && !o->goes_on) {
        linux_finish(context, LINUX_TIME); /* nothing else would ever end it */
    }
    while (linux_pulse(context) && !linux_has_signal(context)) {
        uint64_t now = platform_clock_ns();
        if (now >= until_ns) {
            return true;
        }
        linux_nap(context, linux_slice_ns(context, until_ns - now));
    }
    return false;
}

/* ---- output ---------------------------------------------------------------------------- */

bool linux_buffer_add(linux_context *context, kept_output *buffer, const uint8_t *bytes,
                      size_t length) {
    uint64_t used = (uint64_t)context->output.length + context->errors.length;
    size_t kept = 0;
    kept_output_result result =
        kept_output_add(buffer, bytes, length, context->options.output_bytes - used, &kept);
    context->bytes_out += kept;
    if (result != KEPT_ALL) {
        linux_finish(context, result == KEPT_NOTHING ? LINUX_NO_MEMORY : LINUX_OUTPUT);
    }
    return result == KEPT_ALL;
}

/* ---- what was done --------------------------------------------------------------------- */

linux_end linux_ended(const linux_context *context) {
    return context->end;
}

uint64_t linux_threads_refused(const linux_context *context) {
    return context->n_threads_refused;
}

uint32_t linux_code(const linux_context *context) {
    return context->code;
}

bool linux_thread_ended(const linux_context *context) {
    return !context->current->is_live;
}

static linux_bytes bytes_of(const kept_output *buffer) {
    return (linux_bytes){kept_output_text(buffer), buffer->length};
}

linux_bytes linux_output(const linux_context *context) {
    return bytes_of(&context->output);
}

linux_bytes linux_errors(const linux_context *context) {
    return bytes_of(&context->errors);
}

void linux_add_usage(const linux_context *context, runtime_usage *usage) {
    usage->bytes_in += context->bytes_in;
    usage->bytes_out += context->bytes_out;
    for (size_t i = 0; i < LINUX_NUMBERS; i++) {
        if (rows[i].name) {
            runtime_usage_count(usage, rows[i].name, context->counts[i]);
        }
    }
}

const runtime_violations *linux_violations(const linux_context *context) {
    return &context->violations;
}
