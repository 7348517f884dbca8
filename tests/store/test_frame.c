#include "store/frame.h"
#include "support/check.h"

#include "base/error.h"

#include <string.h>

static tars_status parse(const char *line, import_frame *out) {
    tars_error err;
    return frame_parse(line, strlen(line), out, &err);
}

static void frames_come_back(void) {
    char line[FRAME_LINE_BYTES];
    import_frame back;
    tars_error err = {0};
    import_frame sent = {.kind = FRAME_PROGRESS, .done = 5, .total = (uint64_t)INT64_MAX};
    size_t length = frame_format(&sent, line);
    CHECK_INT(line[length - 1], '\n');
    CHECK_INT(frame_parse(line, length - 1, &back, &err), TARS_OK);
    CHECK_INT(back.kind, FRAME_PROGRESS);
    CHECK_INT(back.done, 5);
    CHECK(back.total == (uint64_t)INT64_MAX);

    sent = (import_frame){.kind = FRAME_RESULT, .bytes = 77};
    memset(sent.source_sha256, 'a', 64);
    memset(sent.stream_sha256, '0', 64);
    length = frame_format(&sent, line);
    CHECK_INT(frame_parse(line, length - 1, &back, &err), TARS_OK);
    CHECK_INT(back.bytes, 77);
    CHECK_STRING(back.source_sha256, sent.source_sha256);
    CHECK_STRING(back.stream_sha256, sent.stream_sha256);
}

static void errors_come_back_whole(void) {
    char line[FRAME_LINE_BYTES];
    import_frame back;
    tars_error err = {0};
    import_frame sent = {.kind = FRAME_ERROR};
    char longest[600]; /* nothing but characters that JSON escapes */
    memset(longest, '"', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    error_set(&sent.error, TARS_MALFORMED, "%s", longest);
    error_hint(&sent.error, "%s", longest);
    error_where(&sent.error, "%s", longest);
    error_cause(&sent.error, "%s", longest);
    size_t length = frame_format(&sent, line);
    CHECK(length < FRAME_LINE_BYTES);
    CHECK_INT(frame_parse(line, length - 1, &back, &err), TARS_OK);
    CHECK_INT(back.error.status, TARS_MALFORMED);
    CHECK_STRING(back.error.message, sent.error.message);
    CHECK_STRING(back.error.hint, sent.error.hint);
    CHECK_STRING(back.error.where, sent.error.where);
    CHECK_STRING(back.error.cause, sent.error.cause);
}

static void foreign_lines_are_refused(void) {
    static const char *const lines[] = {
        "",
        "{}",
        "null",
        "[]",
        "{\"progress\":1}",
        "{\"progress\":{\"done\":-1,\"total\":2}}",
        "{\"progress\":{\"done\":1.5,\"total\":2}}",
        "{\"progress\":{\"done\":1e3,\"total\":2}}",
        "{\"progress\":{\"done\":1}}",
        "{\"progress\":{\"done\":1,\"total\":99999999999999999999}}",
        "{\"result\":{\"bytes\":1}}",
        "{\"result\":{\"bytes\":1,\"source_sha256\":\"../../etc/passwd\",\"stream_sha256\":\"x\"}}",
        "{\"error\":{\"code\":\"io\"}}",
        "{\"error\":{\"code\":\"io\",\"message\":\"\"}}",
        "{\"unknown\":{}}",
        "{\"progress\":{\"done\":1,\"total\":2}} {}",
        "{\"progress\":{\"done\":1,\"total\":2},\"error\":{}}",
        "{\"error\":{\"message\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        import_frame frame;
        CHECK_INT(parse(lines[i], &frame), TARS_MALFORMED);
    }
}

static void hostile_texts_are_tamed(void) {
    import_frame frame;
    CHECK_INT(parse("{\"error\":{\"code\":\"ok\",\"message\":\"a\\u001b[31m%s%n\"}}", &frame),
              TARS_OK);
    CHECK_INT(frame.error.status, TARS_FAILED); /* an error that says ok is none */
    CHECK_STRING(frame.error.message, "a?[31m%s%n");
}

static const check_test tests[] = {
    {"frames come back", frames_come_back},
    {"frame errors come back whole", errors_come_back_whole},
    {"foreign lines are no frames", foreign_lines_are_refused},
    {"hostile texts in frames are tamed", hostile_texts_are_tamed},
};
CHECK_MAIN(tests)
