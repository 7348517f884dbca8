/* What a request takes of the answer of its machine's process, which may be a stranger's. */
#include "platform/platform.h"
#include "runtime/microvm/host_wire.h"
#include "runtime/microvm/linux_calls.h"
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ANSWER_BYTES = 1 << 20, OUTPUT_BYTES = 200000, MEMORY_BYTES = 1 << 20 };

static const host_bounds bounds = {
    .output_bytes = OUTPUT_BYTES, .memory_bytes = MEMORY_BYTES, .begin_ns = 1000};

typedef struct said {
    uint8_t bytes[MAX_ANSWER_BYTES];
    size_t length;
} said;
static said honest, told;

static void say(said *s, uint32_t kind, const void *payload, size_t length) {
    host_frame head = {.kind = kind, .length = (uint32_t)length};
    memcpy(s->bytes + s->length, &head, sizeof head);
    memcpy(s->bytes + s->length + sizeof head, payload, length);
    s->length += sizeof head + length;
}

/* Takes all in parts of so many bytes. */
static tars_status take(const said *s, size_t part, runtime_outcome *out, bool *has_ended) {
    tars_error err = {.message = ""};
    *out = (runtime_outcome){.exit_code = -1, .output = {"", 0}, .errors = {"", 0}};
    host_answer *answer = host_answer_make(&bounds, out);
    tars_status status = TARS_OK;
    CHECK(answer);
    for (size_t at = 0; at < s->length && status == TARS_OK; at += part) {
        size_t length = s->length - at < part ? s->length - at : part;
        status = host_answer_take(answer, s->bytes + at, length, &err);
    }
    CHECK(status == TARS_OK || (status == TARS_MALFORMED && err.message[0] != '\0'));
    *has_ended = host_answer_has_ended(answer);
    if (status == TARS_OK && *has_ended) {
        status = host_answer_result(answer, &err);
    }
    out->kept = answer;
    return status;
}

static void drop(runtime_outcome *out) {
    host_answer_free(out->kept);
}

/* An outcome with something of everything, by a pipe that is read afterwards. */
static void say_honestly(void) {
    static char text[3000];
    static runtime_outcome o;
    platform_handle from, to;
    tars_error err;
    size_t length = 0;
    memset(text, 'x', sizeof text);
    memset(&o, 0, sizeof o);
    o.end = RUNTIME_DENIED;
    o.exit_code = 7;
    o.output = (runtime_bytes){text, sizeof text};
    o.errors = (runtime_bytes){"told", 4};
    o.usage.memory_peak_bytes = 4096;
    o.usage.cpu_ns = 55;
    o.usage.bytes_in = 3;
    o.usage.bytes_out = 3004;
    runtime_usage_count(&o.usage, linux_find(0)->name, 5);
    runtime_usage_count(&o.usage, linux_find(231)->name, 1);
    runtime_violations_add(&o.violations, "path", "openat", 2);
    runtime_violations_add(&o.violations, "limit", "threads", 1);
    o.violations.lost = 9;
    CHECK_INT(platform_pipe(&from, &to, &err), TARS_OK);
    CHECK(host_send_missing(to, "Landlock: this kernel has none"));
    CHECK(host_send_outcome(to, &o, 1500));
    platform_handle_close(to);
    for (honest.length = 0;; honest.length += length) {
        CHECK_INT(platform_handle_read(from, honest.bytes + honest.length,
                                       sizeof honest.bytes - honest.length, &length, &err),
                  TARS_OK);
        if (length == 0) {
            break;
        }
    }
    platform_handle_close(from);
}

static void honest_answers_are_taken(void) {
    static const size_t parts[] = {1, 7, 4096, MAX_ANSWER_BYTES};
    say_honestly();
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        runtime_outcome o;
        bool has_ended;
        CHECK_INT(take(&honest, parts[i], &o, &has_ended), TARS_OK);
        CHECK(has_ended);
        CHECK_INT(o.end, RUNTIME_DENIED);
        CHECK_INT(o.exit_code, 7);
        CHECK_INT(o.output.length, 3000);
        CHECK_STRING(o.errors.data, "told");
        CHECK_INT(o.usage.n_calls, 2);
        CHECK_STRING(o.usage.calls[0].name, linux_find(0)->name);
        CHECK_INT(o.usage.calls[0].count, 5);
        CHECK_INT(o.usage.start_ns, 500);
        CHECK_INT(o.usage.bytes_out, 3004);
        CHECK_INT(o.violations.count, 2);
        CHECK_STRING(o.violations.rows[0].name, "openat");
        CHECK_STRING(o.violations.rows[1].kind, "limit");
        CHECK_INT(o.violations.lost, 9);
        CHECK_STRING(o.missing[0], "Landlock: this kernel has none");
        drop(&o);
    }
}

static void cut_answers_have_no_end(void) {
    say_honestly();
    for (size_t length = 0; length < honest.length; length += length < 200 ? 1 : 37) {
        runtime_outcome o;
        bool has_ended;
        told = honest;
        told.length = length;
        CHECK_INT(take(&told, 4096, &o, &has_ended), TARS_OK);
        CHECK(!has_ended);
        drop(&o);
    }
}

/* Whatever is said, what is taken of it keeps to the bounds. */
static void check_bounds(const runtime_outcome *o) {
    CHECK(o->end < RUNTIME_ENDS);
    CHECK(o->exit_code >= -1 && o->exit_code <= 255);
    CHECK(o->output.length + o->errors.length <= OUTPUT_BYTES);
    CHECK(o->usage.memory_peak_bytes <= MEMORY_BYTES);
    CHECK(o->usage.n_calls <= RUNTIME_MAX_CALLS && o->violations.count <= RUNTIME_MAX_VIOLATIONS);
    CHECK(o->n_missing <= RUNTIME_MAX_MISSING);
    CHECK(memchr(o->message, '\0', sizeof o->message) != NULL);
    for (const char *at = o->message; *at; at++) {
        CHECK(*at >= ' ' && *at <= '~');
    }
}

static void changed_answers_are_harmless(void) {
    static const uint8_t values[] = {0x00, 0x01, 0x7F, 0x80, 0xFF, 0x1B};
    say_honestly();
    for (size_t at = 0; at < honest.length; at += at < 300 || at > 2900 ? 1 : 101) {
        for (size_t i = 0; i < sizeof values; i++) {
            runtime_outcome o;
            bool has_ended;
            told = honest;
            told.bytes[at] = values[i];
            (void)take(&told, 4096, &o, &has_ended);
            check_bounds(&o);
            drop(&o);
        }
    }
}

static host_end good_end(void) {
    return (host_end){.end = RUNTIME_OK, .exit_code = 3, .message = ""};
}

static void refused(const char *what) {
    runtime_outcome o;
    bool has_ended;
    if (take(&told, 4096, &o, &has_ended) != TARS_MALFORMED) {
        check_fail(__FILE__, __LINE__, "%s was taken", what);
    }
    drop(&o);
    told.length = 0;
}

static void say_end(host_end end) {
    told.length = 0;
    say(&told, HOST_END, &end, sizeof end);
}

static void lies_about_the_end_are_refused(void) {
    const struct {
        const char *what;
        host_end end;
    } rows[] = {
        {"an unknown end", {.end = RUNTIME_ENDS}},
        {"an end without bounds", {.end = UINT32_MAX}},
        {"an unknown limit", {.end = RUNTIME_LIMIT, .limit = 5, .exit_code = -1}},
        {"a limit without a name", {.end = RUNTIME_LIMIT, .limit = 0, .exit_code = -1}},
        {"a limit of one that ended well", {.end = RUNTIME_OK, .limit = 1}},
        {"a code of more than a byte", {.end = RUNTIME_OK, .exit_code = 256}},
        {"a code below all", {.end = RUNTIME_OK, .exit_code = -2}},
        {"no code of one that ended well", {.end = RUNTIME_OK, .exit_code = -1}},
        {"a trap without a signal", {.end = RUNTIME_TRAP, .exit_code = 139}},
        {"a signal of another code", {.end = RUNTIME_TRAP, .signal = 11, .exit_code = 0}},
        {"a signal beyond all", {.end = RUNTIME_TRAP, .signal = 65, .exit_code = 193}},
        {"a negative signal", {.end = RUNTIME_TRAP, .signal = -1, .exit_code = 127}},
        {"more memory than there may be", {.end = RUNTIME_OK, .memory_peak_bytes = UINT64_MAX}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        say_end(rows[i].end);
        refused(rows[i].what);
    }
}

static void other_lies_are_refused(void) {
    static uint8_t much[HOST_MAX_PAYLOAD_BYTES];
    const host_call no_call = {.number = UINT64_MAX, .count = 1};
    host_violation v = {.count = 1, .kind = 77, .name = "openat"};
    host_failure failure = {.status = TARS_OK};
    told.length = 0;
    say(&told, HOST_CALL, &no_call, sizeof no_call);
    refused("a call that there is not");
    say(&told, HOST_VIOLATION, &v, sizeof v);
    refused("a kind that there is not");
    v = (host_violation){.count = 1, .name = "\x1b[31mred"};
    say(&told, HOST_VIOLATION, &v, sizeof v);
    refused("a name that moves a terminal");
    memset(v.name, 'a', sizeof v.name);
    say(&told, HOST_VIOLATION, &v, sizeof v);
    refused("a name without an end");
    say(&told, HOST_FAILURE, &failure, sizeof failure);
    refused("a failure that is none");
    failure.status = TARS_STATUS_COUNT;
    say(&told, HOST_FAILURE, &failure, sizeof failure);
    refused("a failure that there is not");
    for (size_t i = 0; i <= OUTPUT_BYTES / sizeof much; i++) {
        say(&told, i % 2 == 0 ? HOST_OUTPUT : HOST_ERRORS, much, sizeof much);
    }
    refused("more output than the limit");
    for (size_t i = 0; i <= RUNTIME_MAX_MISSING; i++) {
        say(&told, HOST_MISSING, "wall", 4);
    }
    refused("more walls than there are");
    const host_call call = {.number = 0, .count = 1};
    for (size_t i = 0; i < 2000; i++) {
        say(&told, HOST_CALL, &call, sizeof call);
    }
    refused("rows without end");
    say_end(good_end());
    say(&told, HOST_OUTPUT, "more", 4);
    refused("an end before the end");
    for (uint32_t kind = 0; kind < 300; kind++) {
        const host_frame heads[] = {{kind, 0}, {kind, UINT32_MAX}, {kind, 1u << 20}};
        for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
            memcpy(told.bytes, &heads[i], sizeof heads[i]);
            told.length = sizeof heads[i];
            refused("a frame of a size that none has");
        }
    }
}

static void texts_are_tamed(void) {
    runtime_outcome o;
    bool has_ended;
    host_end end = good_end();
    memset(end.message, 0x9B, sizeof end.message);
    say_end(end);
    CHECK_INT(take(&told, 4096, &o, &has_ended), TARS_OK);
    check_bounds(&o);
    CHECK_INT(strlen(o.message), sizeof o.message - 1);
    drop(&o);
    host_failure failure = {.status = TARS_IO};
    memset(&failure.error, '\n', sizeof failure.error);
    told.length = 0;
    say(&told, HOST_FAILURE, &failure, sizeof failure);
    o = (runtime_outcome){.exit_code = -1};
    host_answer *answer = host_answer_make(&bounds, &o);
    tars_error err;
    CHECK_INT(host_answer_take(answer, told.bytes, told.length, &err), TARS_OK);
    CHECK_INT(host_answer_result(answer, &err), TARS_IO);
    CHECK_INT(strlen(err.message), sizeof err.message - 1);
    CHECK(!strchr(err.message, '\n') && !strchr(err.hint, '\n'));
    host_answer_free(answer);
}

static const check_test table[] = {
    {"honest answers are taken", honest_answers_are_taken},
    {"cut answers have no end", cut_answers_have_no_end},
    {"changed answers are harmless", changed_answers_are_harmless},
    {"lies about the end are refused", lies_about_the_end_are_refused},
    {"other lies are refused", other_lies_are_refused},
    {"texts are tamed", texts_are_tamed},
};
CHECK_MAIN(table)
