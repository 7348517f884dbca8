#include "runtime/wasm/compile_process.h"

#include "guest/wire.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 16, SIGNAL_KILL = 9, SIGNAL_CPU = 24 };

typedef struct compile_process {
    platform_process process;
    platform_handle to_child, from_child;
    uint8_t *bytes; /* what the child wrote */
    size_t length, capacity;
    uint64_t deadline_ns;
} compile_process;

static tars_status start(compile_process *p, const char *program_path, const stranger_code *code,
                         tars_error *err) {
    platform_handle input = PLATFORM_NO_HANDLE;
    platform_handle output = PLATFORM_NO_HANDLE;
    tars_status status = platform_pipe(&input, &p->to_child, err);
    if (status != TARS_OK) {
        p->to_child = PLATFORM_NO_HANDLE;
        return status;
    }
    status = platform_pipe(&p->from_child, &output, err);
    if (status != TARS_OK) {
        p->from_child = PLATFORM_NO_HANDLE;
        platform_handle_close(input);
        return status;
    }
    char how[STRANGER_CODE_BYTES];
    text_buffer text;
    text_init(&text, how, sizeof how);
    stranger_code_write(code, &text);
    const char *const arguments[] = {"tars", COMPILE_CHILD_VERB, how, NULL};
    const platform_spawn_handle handles[] = {{input, PLATFORM_STDIN}, {output, PLATFORM_STDOUT}};
    platform_spawn_options options = {.path = program_path,
                                      .arguments = arguments,
                                      .handles = handles,
                                      .n_handles = 2,
                                      .dies_with_us = true};
    status = platform_spawn(&options, &p->process, err);
    platform_handle_close(input);
    platform_handle_close(output);
    return status;
}

static bool make_room(compile_process *p) {
    if (p->capacity - p->length >= CHUNK_BYTES) {
        return true;
    }
    size_t capacity = p->capacity * 2 + CHUNK_BYTES;
    uint8_t *grown = realloc(p->bytes, capacity);
    if (grown) {
        p->bytes = grown;
        p->capacity = capacity;
    }
    return grown != NULL;
}

/* Everything up to the end of what the child writes. */
static tars_status read_all(compile_process *p, tars_error *err) {
    for (;;) {
        uint64_t now_ns = platform_clock_ns();
        uint32_t ready = 0;
        if (now_ns >= p->deadline_ns) {
            return error_set(err, TARS_LIMIT, "compiling the module took too long");
        }
        tars_status status =
            platform_handle_wait(&p->from_child, 1, p->deadline_ns - now_ns, &ready, err);
        if (status == TARS_TIMEOUT) {
            continue;
        }
        size_t n = 0;
        if (status == TARS_OK && !make_room(p)) {
            status = error_set(err, TARS_OUT_OF_MEMORY, "no memory for compiled code");
        }
        if (status == TARS_OK) {
            status =
                platform_handle_read(p->from_child, p->bytes + p->length, CHUNK_BYTES, &n, err);
        }
        if (status != TARS_OK || n == 0) {
            return status;
        }
        p->length += n;
        if (p->length > COMPILE_MAX_CODE_BYTES) {
            return error_set(err, TARS_LIMIT, "the module's code is more than %zu bytes",
                             (size_t)COMPILE_MAX_CODE_BYTES);
        }
    }
}

static tars_status died(const platform_exit *how, tars_error *err) {
    char text[128];
    platform_exit_describe(how, text, sizeof text);
    bool at_limit = !how->exited && (how->signal == SIGNAL_KILL || how->signal == SIGNAL_CPU);
    error_set(err, at_limit ? TARS_LIMIT : TARS_FAILED, "the process that compiles the module %s",
              text);
    error_hint(err, "it may take %d MiB and %d seconds; a module that needs more is not run",
               (int)COMPILE_MAX_MEMORY_MIB, COMPILE_TIMEOUT_MS / 1000);
    return at_limit ? TARS_LIMIT : TARS_FAILED;
}

/* The child writes a status and then the code, or a wire_error. */
static tars_status judge(compile_process *p, const platform_exit *how, tars_error *err) {
    uint32_t said = 0;
    if (p->length < sizeof said) {
        return died(how, err);
    }
    memcpy(&said, p->bytes, sizeof said);
    if (said == TARS_OK) {
        p->length -= sizeof said;
        memmove(p->bytes, p->bytes + sizeof said, p->length);
        return how->exited && how->code == 0 ? TARS_OK : died(how, err);
    }
    static wire_message message; /* large; no more than a scratch */
    static platform_mutex lock;
    if (p->length != sizeof said + sizeof(wire_error)) {
        return died(how, err);
    }
    tars_error told;
    platform_mutex_lock(&lock);
    memcpy(message.payload, p->bytes + sizeof said, sizeof(wire_error));
    wire_read_error(&message, &told);
    platform_mutex_unlock(&lock);
    if (err) {
        *err = told;
    }
    return told.status;
}

tars_status compile_process_run(const char *program_path, const stranger_code *code,
                                const uint8_t *bytes, size_t length, uint32_t timeout_ms,
                                uint8_t **out, size_t *out_length, tars_error *err) {
    uint64_t timeout_ns = (timeout_ms > 0 ? timeout_ms : COMPILE_TIMEOUT_MS) * UINT64_C(1000000);
    compile_process p = {.to_child = PLATFORM_NO_HANDLE,
                         .from_child = PLATFORM_NO_HANDLE,
                         .deadline_ns = platform_clock_ns() + timeout_ns};
    *out = NULL;
    tars_status status = start(&p, program_path, code, err);
    bool runs = status == TARS_OK;
    if (status == TARS_OK) { /* it takes all before it begins; if it cannot, its end says more */
        (void)platform_handle_write(p.to_child, bytes, length, NULL);
    }
    if (p.to_child != PLATFORM_NO_HANDLE) {
        platform_handle_close(p.to_child);
    }
    if (status == TARS_OK) {
        status = read_all(&p, err);
    }
    platform_exit how = {0};
    if (status == TARS_OK) {
        status = platform_process_wait(&p.process, UINT64_C(5000000000), &how, err);
        runs = status != TARS_OK;
        status = status == TARS_OK ? judge(&p, &how, err) : status;
    }
    if (runs) {
        platform_process_kill(&p.process);
    }
    if (p.from_child != PLATFORM_NO_HANDLE) {
        platform_handle_close(p.from_child);
    }
    if (status == TARS_OK) {
        *out = p.bytes;
        *out_length = p.length;
    } else {
        free(p.bytes);
    }
    return status;
}
