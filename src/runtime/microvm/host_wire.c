#include "runtime/microvm/host_wire.h"

#include "runtime/kept_output.h"
#include "runtime/microvm/linux_calls.h"

#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {"syscall", "path", "limit"};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

/* The first: none ended it. */
static const char *const limits[] = {NULL, "time", "memory", "output", "file_size"};
enum { N_LIMITS = sizeof limits / sizeof limits[0], MAX_SIGNAL = 64, MAX_CODE = 255 };
enum { MAX_ROWS = LINUX_NUMBERS + RUNTIME_MAX_VIOLATIONS + RUNTIME_MAX_MISSING + 1 };

/* ---- saying ------------------------------------------------------------------------------ */

static bool send(platform_handle to, host_frame_kind kind, const void *payload, size_t length) {
    host_frame head = {.kind = (uint32_t)kind, .length = (uint32_t)length};
    return platform_handle_write(to, &head, sizeof head, NULL) == TARS_OK &&
           platform_handle_write(to, payload, length, NULL) == TARS_OK;
}

static bool send_bytes(platform_handle to, host_frame_kind kind, runtime_bytes bytes) {
    for (size_t at = 0; at < bytes.length;) {
        size_t left = bytes.length - at;
        size_t length = left < HOST_MAX_PAYLOAD_BYTES ? left : HOST_MAX_PAYLOAD_BYTES;
        if (!send(to, kind, bytes.data + at, length)) {
            return false;
        }
        at += length;
    }
    return true;
}

static bool send_calls(platform_handle to, const runtime_usage *usage) {
    for (uint64_t number = 0; number < LINUX_NUMBERS; number++) {
        const linux_row *row = linux_find(number);
        for (size_t i = 0; row && i < usage->n_calls; i++) {
            host_call call = {.number = number, .count = usage->calls[i].count};
            if (usage->calls[i].name == row->name && !send(to, HOST_CALL, &call, sizeof call)) {
                return false;
            }
        }
    }
    return true;
}

static uint32_t index_of(const char *const *names, uint32_t n, const char *name) {
    for (uint32_t i = 0; name && i < n; i++) {
        if (names[i] && strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return 0;
}

static bool send_violations(platform_handle to, const runtime_violations *list) {
    for (size_t i = 0; i < list->count; i++) {
        const runtime_violation *row = &list->rows[i];
        host_violation v = {.count = row->count, .kind = index_of(kinds, N_KINDS, row->kind)};
        memcpy(v.name, row->name, sizeof v.name);
        if (!send(to, HOST_VIOLATION, &v, sizeof v)) {
            return false;
        }
    }
    return true;
}

bool host_send_outcome(platform_handle to, const runtime_outcome *o, uint64_t began_ns) {
    host_end end = {.end = (uint32_t)o->end,
                    .limit = index_of(limits, N_LIMITS, o->limit),
                    .exit_code = o->exit_code,
                    .signal = o->signal,
                    .began_ns = began_ns,
                    .cpu_ns = o->usage.cpu_ns,
                    .memory_peak_bytes = o->usage.memory_peak_bytes,
                    .bytes_in = o->usage.bytes_in,
                    .bytes_out = o->usage.bytes_out,
                    .lost = o->violations.lost};
    _Static_assert(sizeof end.message == sizeof o->message, "one text");
    memcpy(end.message, o->message, sizeof end.message);
    return send_bytes(to, HOST_OUTPUT, o->output) && send_bytes(to, HOST_ERRORS, o->errors) &&
           send_calls(to, &o->usage) && send_violations(to, &o->violations) &&
           send(to, HOST_END, &end, sizeof end);
}

bool host_send_missing(platform_handle to, const char *text) {
    return send(to, HOST_MISSING, text, strlen(text));
}

bool host_send_failure(platform_handle to, const tars_error *error) {
    host_failure failure = {.status = (uint32_t)error->status, .error = *error};
    return send(to, HOST_FAILURE, &failure, sizeof failure);
}

/* ---- taking ------------------------------------------------------------------------------ */

struct host_answer {
    host_bounds bounds;
    runtime_outcome *out;
    kept_output output, errors;
    bool has_ended;
    tars_error failure; /* OK: none was told */
    uint32_t n_rows;    /* frames but those of bytes */
    size_t length;      /* of the frame that comes */
    union {
        host_frame head;
        uint8_t bytes[sizeof(host_frame) + HOST_MAX_PAYLOAD_BYTES];
    } frame;
};

static tars_status refuse(const char *what, tars_error *err) {
    error_set(err, TARS_MALFORMED, "the process of the virtual machine %s", what);
    return error_hint(err, "the program may have taken it over; nothing it said is used");
}

/* Texts are shown to people: nothing but plain characters is left of them. */
static void take_text(char *out, size_t size_bytes, const char *text, size_t length) {
    size_t n = 0;
    while (n + 1 < size_bytes && n < length && text[n] != '\0') {
        out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
        n++;
    }
    out[n] = '\0';
}

static tars_status take_missing(host_answer *a, const uint8_t *payload, size_t length,
                                tars_error *err) {
    runtime_outcome *o = a->out;
    if (o->n_missing == RUNTIME_MAX_MISSING || length >= RUNTIME_MISSING_BYTES) {
        return refuse("lacks more than there is", err);
    }
    take_text(o->missing[o->n_missing++], RUNTIME_MISSING_BYTES, (const char *)payload, length);
    return TARS_OK;
}

static tars_status take_bytes(host_answer *a, kept_output *to, const uint8_t *payload,
                              size_t length, tars_error *err) {
    size_t kept = 0;
    uint64_t used = (uint64_t)a->output.length + a->errors.length;
    kept_output_result result =
        kept_output_add(to, payload, length, a->bounds.output_bytes - used, &kept);
    return result == KEPT_ALL ? TARS_OK
           : result == KEPT_NOTHING
               ? error_set(err, TARS_OUT_OF_MEMORY, "no memory for what the program wrote")
               : refuse("wrote more than the limit of output", err);
}

static tars_status take_output(host_answer *a, const uint8_t *payload, size_t length,
                               tars_error *err) {
    return take_bytes(a, &a->output, payload, length, err);
}

static tars_status take_errors(host_answer *a, const uint8_t *payload, size_t length,
                               tars_error *err) {
    return take_bytes(a, &a->errors, payload, length, err);
}

static tars_status take_call(host_answer *a, const uint8_t *payload, size_t length,
                             tars_error *err) {
    host_call call;
    (void)length;
    memcpy(&call, payload, sizeof call);
    const linux_row *row = linux_find(call.number);
    if (!row) {
        return refuse("counts a call that there is not", err);
    }
    runtime_usage_count(&a->out->usage, row->name, call.count);
    return TARS_OK;
}

static bool is_name(const char name[RUNTIME_NAME_BYTES]) {
    size_t n = 0;
    while (n < RUNTIME_NAME_BYTES && ((name[n] >= 'a' && name[n] <= 'z') ||
                                      (name[n] >= '0' && name[n] <= '9') || name[n] == '_')) {
        n++;
    }
    return n > 0 && n < RUNTIME_NAME_BYTES && name[n] == '\0';
}

static tars_status take_violation(host_answer *a, const uint8_t *payload, size_t length,
                                  tars_error *err) {
    host_violation v;
    (void)length;
    memcpy(&v, payload, sizeof v);
    if (v.kind >= N_KINDS || !is_name(v.name)) {
        return refuse("names a refusal that there is not", err);
    }
    runtime_violations_add(&a->out->violations, kinds[v.kind], v.name, v.count);
    return TARS_OK;
}

/* Whether what is said of the end goes together. */
static bool is_end(const host_end *e, const host_bounds *bounds) {
    bool has_limit = e->limit > 0;
    bool has_signal = e->signal > 0;
    return e->end < RUNTIME_ENDS && e->limit < N_LIMITS && e->signal >= 0 &&
           e->signal <= MAX_SIGNAL && e->exit_code >= -1 && e->exit_code <= MAX_CODE &&
           (e->end == RUNTIME_LIMIT) == has_limit && (e->end == RUNTIME_TRAP) == has_signal &&
           (!has_signal || e->exit_code == MAX_CODE / 2 + 1 + e->signal) &&
           (e->end == RUNTIME_LIMIT || e->exit_code >= 0) &&
           e->memory_peak_bytes <= bounds->memory_bytes;
}

static tars_status take_end(host_answer *a, const uint8_t *payload, size_t length,
                            tars_error *err) {
    host_end e;
    runtime_outcome *o = a->out;
    (void)length;
    memcpy(&e, payload, sizeof e);
    if (!is_end(&e, &a->bounds)) {
        return refuse("tells of an end that there is not", err);
    }
    o->end = (runtime_end)e.end;
    o->limit = limits[e.limit];
    o->exit_code = e.exit_code;
    o->signal = e.signal;
    take_text(o->message, sizeof o->message, e.message, sizeof e.message);
    o->usage.start_ns = e.began_ns > a->bounds.begin_ns ? e.began_ns - a->bounds.begin_ns : 0;
    o->usage.cpu_ns = e.cpu_ns;
    o->usage.memory_peak_bytes = e.memory_peak_bytes;
    o->usage.bytes_in = e.bytes_in;
    o->usage.bytes_out = e.bytes_out;
    o->violations.lost = e.lost;
    o->output = (runtime_bytes){kept_output_text(&a->output), a->output.length};
    o->errors = (runtime_bytes){kept_output_text(&a->errors), a->errors.length};
    a->has_ended = true;
    return TARS_OK;
}

static tars_status take_failure(host_answer *a, const uint8_t *payload, size_t length,
                                tars_error *err) {
    host_failure f;
    (void)length;
    memcpy(&f, payload, sizeof f);
    if (f.status == TARS_OK || f.status >= TARS_STATUS_COUNT) {
        return refuse("failed in a way that there is not", err);
    }
    tars_error *e = &a->failure;
    const struct {
        char *to;
        const char *from;
        size_t size_bytes;
    } rows[] = {{e->message, f.error.message, sizeof e->message},
                {e->hint, f.error.hint, sizeof e->hint},
                {e->where, f.error.where, sizeof e->where},
                {e->cause, f.error.cause, sizeof e->cause}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        take_text(rows[i].to, rows[i].size_bytes, rows[i].from, rows[i].size_bytes);
    }
    e->status = (tars_status)f.status;
    a->has_ended = true;
    return TARS_OK;
}

typedef struct frame_row {
    size_t least_bytes, most_bytes; /* of the payload */
    tars_status (*take)(host_answer *a, const uint8_t *payload, size_t length, tars_error *err);
} frame_row;

static const frame_row frames[HOST_FRAME_KINDS] = {
    [HOST_MISSING] = {1, RUNTIME_MISSING_BYTES - 1, take_missing},
    [HOST_OUTPUT] = {1, HOST_MAX_PAYLOAD_BYTES, take_output},
    [HOST_ERRORS] = {1, HOST_MAX_PAYLOAD_BYTES, take_errors},
    [HOST_CALL] = {sizeof(host_call), sizeof(host_call), take_call},
    [HOST_VIOLATION] = {sizeof(host_violation), sizeof(host_violation), take_violation},
    [HOST_END] = {sizeof(host_end), sizeof(host_end), take_end},
    [HOST_FAILURE] = {sizeof(host_failure), sizeof(host_failure), take_failure},
};

static tars_status check_head(host_answer *a, bool is_new, tars_error *err) {
    const host_frame *head = &a->frame.head;
    bool is_bytes = head->kind == HOST_OUTPUT || head->kind == HOST_ERRORS;
    a->n_rows += is_new && !is_bytes ? 1 : 0;
    if (a->n_rows > MAX_ROWS) {
        return refuse("does not stop telling", err);
    }
    const frame_row *row =
        head->kind > 0 && head->kind < HOST_FRAME_KINDS ? &frames[head->kind] : NULL;
    return row && head->length >= row->least_bytes && head->length <= row->most_bytes
               ? TARS_OK
               : refuse("sent a frame that there is not", err);
}

host_answer *host_answer_make(const host_bounds *bounds, runtime_outcome *out) {
    host_answer *a = calloc(1, sizeof *a);
    if (a) {
        a->bounds = *bounds;
        a->out = out;
    }
    return a;
}

tars_status host_answer_take(host_answer *a, const void *bytes, size_t length, tars_error *err) {
    const uint8_t *from = bytes;
    while (length > 0) {
        if (a->has_ended) {
            return refuse("went on after its last frame", err);
        }
        bool has_head = a->length >= sizeof(host_frame);
        size_t wanted = sizeof(host_frame) + (has_head ? a->frame.head.length : 0);
        size_t part = wanted - a->length < length ? wanted - a->length : length;
        memcpy(a->frame.bytes + a->length, from, part);
        a->length += part;
        from += part;
        length -= part;
        if (a->length < wanted) {
            continue;
        }
        tars_status status = check_head(a, !has_head, err);
        if (status == TARS_OK && has_head) { /* no payload is empty */
            a->length = 0;
            status = frames[a->frame.head.kind].take(a, a->frame.bytes + sizeof(host_frame),
                                                     a->frame.head.length, err);
        }
        if (status != TARS_OK) {
            return status;
        }
    }
    return TARS_OK;
}

bool host_answer_has_ended(const host_answer *a) {
    return a->has_ended;
}

tars_status host_answer_result(const host_answer *a, tars_error *err) {
    if (err && a->failure.status != TARS_OK) {
        *err = a->failure;
    }
    return a->failure.status;
}

void host_answer_free(host_answer *a) {
    if (a) {
        kept_output_finish(&a->output);
        kept_output_finish(&a->errors);
        free(a);
    }
}
