/* Audit logs that anybody may have written, and a true one that was cut, moved and changed: what is
 * called valid then is a run of its own records. The first byte chooses. */
#include "trace/audit_verify.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 16, RECORDS = 12, LOG_BYTES = 1 << 14, STEP_BYTES = 6 };

static const uint8_t public_key[KEYS_PUBLIC_BYTES] = {1, 2, 3};

static void read_anything(const char *bytes, size_t length) {
    audit_verdict verdict;
    audit_head head;
    audit_verify_bytes(bytes, length, public_key, &verdict);
    if (!verdict.is_valid && (verdict.reason[0] == '\0' || verdict.bad_offset >= length)) {
        abort();
    }
    if (length >= AUDIT_HEAD_BYTES) {
        (void)audit_head_parse(bytes, &head);
        if (audit_head_read(bytes, public_key, &head, NULL) == TARS_OK) {
            abort(); /* nobody has that key */
        }
    }
    char *name = malloc(length + 1);
    char *room = malloc(2 * length + 64);
    if (name && room) {
        text_buffer text;
        memcpy(name, bytes, length);
        name[length] = '\0';
        (void)audit_segment_number(name);
        text_init(&text, room, 2 * length + 64);
        redact_text(NULL, bytes, length, &text);
    }
    free(name);
    free(room);
}

/* Records whose texts are the input's. */
static size_t write_log(const char *text, size_t length, char *out) {
    char subject[64];
    uint8_t previous[SHA256_DIGEST_BYTES] = {0};
    size_t used = 0;
    for (uint64_t i = 0; i < RECORDS; i++) {
        size_t n = length < sizeof subject - 1 ? length : sizeof subject - 1;
        audit_event event = {.kind = AUDIT_DENIED, .subject = subject};
        audit_stamp stamp = {.sequence = i + 1, .time_ns = (int64_t)i};
        text_buffer line;
        memcpy(subject, text, n);
        subject[n] = '\0';
        text += n;
        length -= n;
        memcpy(stamp.previous, previous, sizeof previous);
        text_init(&line, out + used, LOG_BYTES - used);
        audit_record_write(&line, &event, &stamp, NULL, previous);
        if (line.truncated) {
            break;
        }
        used += line.length;
    }
    return used;
}

/* Flips a byte, cuts a piece out, puts one somewhere else. */
static size_t change(char *log, size_t length, const uint8_t step[STEP_BYTES]) {
    size_t from = (size_t)(step[1] | step[2] << 8) % (length + 1);
    size_t to = (size_t)(step[3] | step[4] << 8) % (length + 1);
    size_t n = step[5] < length - from ? step[5] : length - from;
    char piece[256];
    if (step[0] % 3 == 0 && from < length) {
        log[from] = (char)(log[from] ^ step[5]);
    } else if (step[0] % 3 == 1) {
        memmove(log + from, log + from + n, length - from - n);
        return length - n;
    } else if (length + n <= LOG_BYTES * 2) {
        memcpy(piece, log + from, n);
        memmove(log + to + n, log + to, length - to);
        memcpy(log + to, piece, n);
        return length + n;
    }
    return length;
}

/* Whether the bytes are whole lines of the log, one after the other. */
static bool is_run(const char *log, size_t log_length, const char *bytes, size_t length) {
    for (size_t i = 0; i + length <= log_length; i++) {
        bool begins = i == 0 || log[i - 1] == '\n';
        if (begins && memcmp(log + i, bytes, length) == 0) {
            return length == 0 || bytes[length - 1] == '\n';
        }
    }
    return false;
}

static void change_a_true_log(const uint8_t *data, size_t size) {
    static char log[LOG_BYTES];
    static char changed[LOG_BYTES * 2 + 256];
    audit_verdict verdict;
    size_t n_steps = size > 0 ? data[0] % 8u : 0;
    if (size < 1 + n_steps * STEP_BYTES) {
        return;
    }
    const char *text = (const char *)data + 1 + n_steps * STEP_BYTES;
    size_t length = write_log(text, size - 1 - n_steps * STEP_BYTES, log);
    audit_verify_bytes(log, length, public_key, &verdict);
    if (!verdict.is_valid || verdict.records == 0) {
        abort();
    }
    memcpy(changed, log, length);
    size_t n = length;
    for (size_t i = 0; i < n_steps && n > 0; i++) {
        n = change(changed, n, data + 1 + i * STEP_BYTES);
    }
    audit_verify_bytes(changed, n, public_key, &verdict);
    if (verdict.is_valid && !is_run(log, length, changed, n)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > MAX_BYTES) {
        return 0;
    }
    if (data[0] % 2 == 0) {
        read_anything((const char *)data + 1, size - 1);
    } else {
        change_a_true_log(data + 1, size - 1);
    }
    return 0;
}
