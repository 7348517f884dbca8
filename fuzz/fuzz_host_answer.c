/* The answer of a virtual machine's process: whatever it says, what a request takes of it keeps to
 * the bounds, in parts of any size. The first byte is the size of the parts. */
#include "runtime/microvm/host_wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool condition) {
    if (!condition) {
        abort();
    }
}

static void check_text(const char *text, size_t size_bytes) {
    need(memchr(text, '\0', size_bytes) != NULL);
    for (; *text; text++) {
        need(*text >= ' ' && *text <= '~');
    }
}

static void check_outcome(const runtime_outcome *o, const host_bounds *bounds) {
    need(o->end < RUNTIME_ENDS && o->exit_code >= -1 && o->exit_code <= 255);
    need(o->output.length + o->errors.length <= bounds->output_bytes);
    need(o->output.data[o->output.length] == '\0' && o->errors.data[o->errors.length] == '\0');
    need(o->usage.memory_peak_bytes <= bounds->memory_bytes);
    need(o->usage.n_calls <= RUNTIME_MAX_CALLS && o->violations.count <= RUNTIME_MAX_VIOLATIONS);
    need(o->n_missing <= RUNTIME_MAX_MISSING);
    check_text(o->message, sizeof o->message);
    for (size_t i = 0; i < o->n_missing; i++) {
        check_text(o->missing[i], sizeof o->missing[i]);
    }
    for (size_t i = 0; i < o->violations.count; i++) {
        check_text(o->violations.rows[i].name, RUNTIME_NAME_BYTES);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static runtime_outcome out;
    const host_bounds bounds = {.output_bytes = 4096, .memory_bytes = 1 << 20, .begin_ns = 1000};
    tars_error err;
    tars_status status = TARS_OK;
    size_t part = size > 0 ? (size_t)data[0] + 1 : 1;
    out = (runtime_outcome){.exit_code = -1, .output = {"", 0}, .errors = {"", 0}};
    host_answer *answer = host_answer_make(&bounds, &out);
    if (!answer) {
        return 0;
    }
    for (size_t at = 1; at < size && status == TARS_OK; at += part) {
        size_t length = size - at < part ? size - at : part;
        status = host_answer_take(answer, data + at, length, &err);
    }
    check_outcome(&out, &bounds);
    if (status == TARS_OK && host_answer_has_ended(answer) &&
        host_answer_result(answer, &err) != TARS_OK) {
        check_text(err.message, sizeof err.message);
        check_text(err.hint, sizeof err.hint);
        check_text(err.where, sizeof err.where);
        check_text(err.cause, sizeof err.cause);
    }
    host_answer_free(answer);
    return 0;
}
