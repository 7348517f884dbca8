#include "runtime/microvm/host_process.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 16, SIGNAL_CALL = 31, MOST_HANDLES = HOST_FIRST_FOLDER + 32 };
static const uint64_t SLICE_NS = 5000000; /* how often goes_on is asked */
static const uint64_t GRACE_NS =
    3000000000; /* after the deadline, which the process keeps itself */
static const uint64_t EXIT_NS = 5000000000;

_Static_assert((int)RUNTIME_MAX_FOLDERS <= 32, "a bit for each");

typedef struct host_process {
    const host_start *start;
    const runtime_control *control;
    platform_process process;
    platform_handle answer_end; /* ours */
    platform_snapshot request;
    platform_handle folders[RUNTIME_MAX_FOLDERS];
    size_t n_folders;
    host_answer *answer;
    uint64_t begin_ns, deadline_ns;
    bool overran;
    uint8_t chunk[CHUNK_BYTES];
} host_process;

/* ---- starting ---------------------------------------------------------------------------- */

static tars_status open_folders(host_process *p, tars_error *err) {
    const runtime_request *asked = p->start->asked;
    for (size_t i = 0; p->start->request.file_calls && i < asked->n_folders; i++) {
        tars_status status = platform_beneath_root(asked->folders[i].host, &p->folders[i], err);
        if (status != TARS_OK) {
            return status;
        }
        p->n_folders++;
    }
    return TARS_OK;
}

static bool add_text(char *texts, size_t *length, const char *text) {
    size_t bytes = strlen(text) + 1;
    if (bytes > HOST_MAX_TEXTS_BYTES - *length) {
        return false;
    }
    memcpy(texts + *length, text, bytes);
    *length += bytes;
    return true;
}

static bool add_list(char *texts, size_t *length, const char *const *list, uint32_t *n) {
    for (*n = 0; list && list[*n]; ++*n) {
        if (!add_text(texts, length, list[*n])) {
            return false;
        }
    }
    return true;
}

/* Through a block of bytes, as nobody waits for a pipe to be read. */
static tars_status write_request(host_process *p, tars_error *err) {
    const runtime_request *asked = p->start->asked;
    host_request r = p->start->request;
    size_t length = 0;
    char *texts = malloc(HOST_MAX_TEXTS_BYTES);
    if (!texts) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a request");
    }
    r.deadline_ns = p->deadline_ns;
    r.image_bytes = p->start->image_bytes;
    r.has_input = asked->input != PLATFORM_NO_HANDLE;
    r.n_folders = (uint32_t)p->n_folders;
    bool fits = add_text(texts, &length, p->start->name) &&
                add_list(texts, &length, asked->arguments, &r.n_arguments) &&
                add_list(texts, &length, asked->environment, &r.n_environment);
    for (size_t i = 0; i < p->n_folders && fits; i++) {
        r.writable |= (uint32_t)asked->folders[i].writable << i;
        fits = add_text(texts, &length, asked->folders[i].guest);
    }
    r.texts_bytes = length;
    tars_status status =
        fits ? platform_snapshot_begin(sizeof r + length, &p->request, err)
             : error_set(err, TARS_USAGE, "arguments and environment of more than %d bytes",
                         (int)HOST_MAX_TEXTS_BYTES);
    if (status == TARS_OK) {
        status = platform_snapshot_put(&p->request, 0, &r, sizeof r, err);
    }
    if (status == TARS_OK) {
        status = platform_snapshot_put(&p->request, sizeof r, texts, length, err);
    }
    if (status == TARS_OK) {
        status = platform_snapshot_seal(&p->request, err);
    }
    free(texts);
    return status;
}

static tars_status spawn(host_process *p, platform_handle answer, tars_error *err) {
    static const char *const arguments[] = {"tars", HOST_CHILD_VERB, NULL};
    platform_spawn_handle handles[MOST_HANDLES] = {{answer, HOST_ANSWER},
                                                   {p->request.handle, HOST_REQUEST},
                                                   {p->start->image->handle, HOST_IMAGE}};
    size_t n = 3;
    if (p->start->asked->input != PLATFORM_NO_HANDLE) {
        handles[n++] = (platform_spawn_handle){p->start->asked->input, HOST_INPUT};
    }
    for (size_t i = 0; i < p->n_folders; i++) {
        handles[n++] = (platform_spawn_handle){p->folders[i], HOST_FIRST_FOLDER + (int)i};
    }
    platform_spawn_options options = {
        .arguments = arguments, .handles = handles, .n_handles = n, .dies_with_us = true};
    return platform_spawn(&options, &p->process, err);
}

static tars_status start(host_process *p, tars_error *err) {
    platform_handle theirs = PLATFORM_NO_HANDLE;
    tars_status status = open_folders(p, err);
    if (status == TARS_OK) {
        status = write_request(p, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    status = platform_pipe(&p->answer_end, &theirs, err);
    if (status != TARS_OK) {
        p->answer_end = PLATFORM_NO_HANDLE;
        return status;
    }
    status = spawn(p, theirs, err);
    platform_handle_close(theirs);
    return status;
}

/* ---- its answer -------------------------------------------------------------------------- */

static tars_status cancelled(tars_error *err) {
    return error_set(err, TARS_CANCELLED, "the program was ended: cancelled");
}

static bool goes_on(const host_process *p) {
    return !p->control->goes_on || p->control->goes_on(p->control->user);
}

/* Everything up to the end of what it writes. */
static tars_status take_answer(host_process *p, tars_error *err) {
    for (;;) {
        uint32_t ready = 0;
        size_t length = 0;
        if (!goes_on(p)) {
            return cancelled(err);
        }
        if (platform_clock_ns() >= p->deadline_ns + GRACE_NS) {
            p->overran = true;
            return TARS_OK;
        }
        tars_status status = platform_handle_wait(&p->answer_end, 1, SLICE_NS, &ready, err);
        if (status == TARS_TIMEOUT || status == TARS_CANCELLED) {
            continue;
        }
        if (status == TARS_OK) {
            status = platform_handle_read(p->answer_end, p->chunk, CHUNK_BYTES, &length, err);
        }
        if (status == TARS_OK && length > 0) {
            status = host_answer_take(p->answer, p->chunk, length, err);
        }
        if (status != TARS_OK || length == 0) {
            return status;
        }
    }
}

static tars_status died(const host_process *p, const platform_exit *how, tars_error *err) {
    char text[128];
    if (!goes_on(p)) {
        return cancelled(err);
    }
    platform_exit_describe(how, text, sizeof text);
    error_set(err, TARS_FAILED, "the process of the virtual machine %s", text);
    return error_hint(err, !how->exited && how->signal == SIGNAL_CALL
                               ? "it made a system call that its filter forbids: the program may "
                                 "have taken it over, or this is a mistake of tars"
                               : "nothing that the program did is told; run it again");
}

/* It did not end by itself in time: what it would have said is lost. */
static void tell_overrun(runtime_outcome *out) {
    text_buffer text;
    text_init(&text, out->message, sizeof out->message);
    text_append_string(&text, "the process of the virtual machine did not end and was killed");
    out->end = RUNTIME_LIMIT;
    out->limit = "time";
    out->exit_code = -1;
    runtime_violations_add(&out->violations, "limit", "time", 1);
}

static tars_status judge(const host_process *p, const platform_exit *how, runtime_outcome *out,
                         tars_error *err) {
    tars_status status =
        host_answer_has_ended(p->answer) ? host_answer_result(p->answer, err) : died(p, how, err);
    if (status == TARS_OK && (!how->exited || how->code != 0)) {
        status = died(p, how, err);
    }
    if (status == TARS_OK && out->usage.cpu_ns > how->cpu_ns) {
        out->usage.cpu_ns = how->cpu_ns; /* what the kernel counted is true */
    }
    return status;
}

static tars_status wait_for_end(host_process *p, runtime_outcome *out, tars_error *err) {
    platform_exit how = {0};
    tars_status status = take_answer(p, err);
    if (status == TARS_OK && !p->overran) {
        status = platform_process_wait(&p->process, EXIT_NS, &how, err);
        if (status == TARS_OK) {
            return judge(p, &how, out, err);
        }
        p->overran = status == TARS_TIMEOUT;
        status = p->overran ? TARS_OK : status;
    }
    platform_process_kill(&p->process);
    if (status == TARS_OK) {
        tell_overrun(out);
    }
    return status;
}

/* ---- all of it --------------------------------------------------------------------------- */

static void release(void *answer) {
    host_answer_free(answer);
}

/* Nothing of what was told so far is an outcome. */
static void forget(runtime_outcome *out) {
    *out = (runtime_outcome){.exit_code = -1, .output = {"", 0}, .errors = {"", 0}};
}

static void finish(host_process *p) {
    if (p->answer_end != PLATFORM_NO_HANDLE) {
        platform_handle_close(p->answer_end);
    }
    for (size_t i = 0; i < p->n_folders; i++) {
        platform_handle_close(p->folders[i]);
    }
    platform_snapshot_destroy(&p->request);
    free(p);
}

tars_status host_process_run(const host_start *request, const runtime_control *control,
                             runtime_outcome *out, tars_error *err) {
    uint64_t begin_ns = platform_clock_ns();
    const host_bounds bounds = {.output_bytes = request->request.output_bytes,
                                .memory_bytes = request->request.memory_bytes,
                                .begin_ns = begin_ns};
    host_process *p = calloc(1, sizeof *p);
    host_answer *answer = host_answer_make(&bounds, out);
    if (!p || !answer) {
        free(p);
        host_answer_free(answer);
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a process");
    }
    p->start = request;
    p->control = control;
    p->answer = answer;
    p->answer_end = PLATFORM_NO_HANDLE;
    p->request.handle = PLATFORM_NO_HANDLE;
    p->begin_ns = begin_ns;
    p->deadline_ns = begin_ns + request->request.timeout_ms * 1000000;
    tars_status status = start(p, err);
    if (status == TARS_OK) {
        status = wait_for_end(p, out, err);
    }
    if (status == TARS_OK) {
        out->usage.wall_ns = platform_clock_ns() - begin_ns;
        out->kept = answer;
        out->release = release;
    } else {
        host_answer_free(answer);
        forget(out);
    }
    finish(p);
    return status;
}

/* ---- trying it --------------------------------------------------------------------------- */

/* exit_group(0), as the smallest ELF file for x86-64 Linux. */
static const uint8_t nothing[] = {
    0x7F, 'E',  'L', 'F', 2, 1,    1,    0,    0, 0,    0, 0,    0,    0,    0,    0, 2,    0, 0x3E,
    0,    1,    0,   0,   0, 0x78, 0,    0x40, 0, 0,    0, 0,    0,    0x40, 0,    0, 0,    0, 0,
    0,    0,    0,   0,   0, 0,    0,    0,    0, 0,    0, 0,    0,    0,    0x40, 0, 0x38, 0, 1,
    0,    0x40, 0,   0,   0, 0,    0,    1,    0, 0,    0, 5,    0,    0,    0,    0, 0,    0, 0,
    0,    0,    0,   0,   0, 0,    0x40, 0,    0, 0,    0, 0,    0,    0,    0x40, 0, 0,    0, 0,
    0,    0x81, 0,   0,   0, 0,    0,    0,    0, 0x81, 0, 0,    0,    0,    0,    0, 0,    0, 0x10,
    0,    0,    0,   0,   0, 0,    0xB8, 0xE7, 0, 0,    0, 0x31, 0xFF, 0x0F, 0x05};

static tars_status share(platform_snapshot *image, tars_error *err) {
    tars_status status = platform_snapshot_begin(sizeof nothing, image, err);
    if (status == TARS_OK) {
        status = platform_snapshot_put(image, 0, nothing, sizeof nothing, err);
    }
    return status == TARS_OK ? platform_snapshot_seal(image, err) : status;
}

tars_status host_process_probe(runtime_outcome *out, tars_error *err) {
    char folder[PLATFORM_PATH_BYTES];
    platform_snapshot image = {.handle = PLATFORM_NO_HANDLE};
    forget(out);
    tars_status status = platform_temporary_path(folder, sizeof folder, err);
    if (status == TARS_OK) {
        status = share(&image, err);
    }
    const char *const arguments[] = {"nothing", NULL};
    const runtime_folder granted = {.host = folder, .guest = "/folder"};
    const runtime_request asked = {
        .arguments = arguments, .folders = &granted, .n_folders = 1, .input = PLATFORM_NO_HANDLE};
    const runtime_control control = {.goes_on = NULL};
    const host_start start = {.request = {.memory_bytes = 1 << 20,
                                          .stack_bytes = 1 << 16,
                                          .output_bytes = 1,
                                          .file_bytes = 1,
                                          .timeout_ms = 10000,
                                          .n_files = 1,
                                          .n_threads = 1,
                                          .n_processors = 1,
                                          .file_calls = 1},
                              .image = &image,
                              .image_bytes = sizeof nothing,
                              .name = "nothing",
                              .asked = &asked};
    if (status == TARS_OK) {
        status = host_process_run(&start, &control, out, err);
    }
    if (status == TARS_OK && (out->end != RUNTIME_OK || out->exit_code != 0)) {
        status = error_set(err, TARS_UNAVAILABLE,
                           "a program that does nothing ended with %d in a process of its own",
                           out->exit_code);
    }
    platform_snapshot_destroy(&image);
    return status;
}
