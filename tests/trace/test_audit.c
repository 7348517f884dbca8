/* The audit log: records that nothing in them can forge, every kind of tampering found and named,
 * files that are full, cannot be written or are shared by processes, writers that died. */
#include "audit_fixture.h"
#include "base/json.h"
#include "base/utf8.h"
#include "trace/audit_lines.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

enum { RECORDS = 200, FORGED_BYTES = 4096 };

/* A file's bytes and where its lines begin. */
typedef struct lines {
    char *bytes;
    size_t length, count;
    size_t starts[RECORDS * 2 + 1]; /* the end of the file too */
} lines;

static lines read_lines(const char *path) {
    lines l = {.count = 0};
    l.bytes = check_read_file(path, &l.length);
    for (size_t i = 0; i < l.length && l.count < RECORDS * 2; i++) {
        if (i == 0 || l.bytes[i - 1] == '\n') {
            l.starts[l.count++] = i;
        }
    }
    l.starts[l.count] = l.length;
    return l;
}

static size_t length_of(const lines *l, size_t i) {
    return l->starts[i + 1] - l->starts[i];
}

/* ---- records ----------------------------------------------------------------------------- */

static void records_have_their_form(void) {
    static const log_field fields[] = {{"name", "socket", 0}, {"count", NULL, UINT64_MAX}};
    audit_event event = {.kind = AUDIT_SYSCALL,
                         .action = "blocked",
                         .subject = "./program",
                         .profile = "strict",
                         .runtime = "native",
                         .tenant = "a",
                         .trace_id = "0af7651916cd43dd8448eb211c80319c",
                         .span_id = "b7ad6b7169203331",
                         .attributes = fields,
                         .n_attributes = 2};
    audit_stamp stamp = {.sequence = 7, .time_ns = INT64_C(1738324800123456789)};
    char bytes[2048];
    uint8_t hash[SHA256_DIGEST_BYTES];
    text_buffer line;
    audit_scan scan;
    memset(stamp.previous, 0xab, sizeof stamp.previous);
    text_init(&line, bytes, sizeof bytes);
    audit_record_write(&line, &event, &stamp, NULL, hash);
    static const char frame[] =
        "{\"sequence\":7,\"time\":\"2025-01-31T12:00:00.123Z\",\"kind\":\"security.syscall\","
        "\"severity\":\"warning\",\"action\":\"blocked\",\"subject\":\"./program\","
        "\"profile\":\"strict\",\"runtime\":\"native\",\"tenant\":\"a\","
        "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"span_id\":\"b7ad6b7169203331\","
        "\"attributes\":{\"name\":\"socket\",\"count\":18446744073709551615},"
        "\"previous\":\"abababababababababababababababababababababababababababababababab\"";
    CHECK_INT(strncmp(bytes, frame, sizeof frame - 1), 0);
    uint8_t expected[SHA256_DIGEST_BYTES];
    sha256(frame, sizeof frame - 1, expected);
    CHECK_BYTES(hash, expected, sizeof hash);
    CHECK_STRING(bytes + line.length - 3, "\"}\n");
    CHECK(audit_record_scan(bytes, line.length - 1, &scan) == NULL);
    CHECK_INT(scan.sequence, 7);
    CHECK_BYTES(scan.hash, hash, sizeof hash);
    CHECK(audit_scan_is(&scan, AUDIT_SYSCALL) && !scan.is_checkpoint);
}

static json_value *parse(const char *line, size_t length) {
    static uint8_t memory[1 << 20];
    arena room;
    json_value *value = NULL;
    tars_error err = {.message = ""};
    arena_init(&room, memory, sizeof memory);
    CHECK_INT(json_parse(line, length, NULL, &room, &value, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    return value;
}

/* One line, valid JSON, no character that a terminal obeys or that hides, and no other record. */
static void check_harmless(const char *hostile) {
    static char bytes[AUDIT_LINE_BYTES];
    log_field fields[] = {{"name", hostile, 0}};
    audit_event event = {.kind = AUDIT_DENIED,
                         .action = hostile,
                         .subject = hostile,
                         .runtime = hostile,
                         .tenant = hostile,
                         .attributes = fields,
                         .n_attributes = 1};
    audit_stamp stamp = {.sequence = 1};
    uint8_t hash[SHA256_DIGEST_BYTES];
    text_buffer line;
    audit_scan scan;
    text_init(&line, bytes, sizeof bytes);
    audit_record_write(&line, &event, &stamp, NULL, hash);
    CHECK(!line.truncated && strchr(bytes, '\n') == bytes + line.length - 1);
    CHECK(audit_record_scan(bytes, line.length - 1, &scan) == NULL && !scan.is_checkpoint);
    for (size_t i = 0; i + 1 < line.length;) {
        uint32_t code = 0;
        size_t n = utf8_decode(bytes + i, line.length - i, &code);
        CHECK(n > 0 && !utf8_is_hidden(code));
        i += n > 0 ? n : 1;
    }
    const json_value *value = parse(bytes, line.length);
    CHECK_STRING(json_string_or(json_member(value, "kind"), ""), "security.denied");
    CHECK_INT(json_integer_or(json_member(value, "sequence"), 0), 1);
    CHECK_INT(json_member(value, "attributes") ? (int)json_member(value, "attributes")->count : 0,
              1);
}

static void hostile_texts_are_harmless(void) {
    static const char *const hostile[] = {
        "",
        "\"}\n{\"sequence\":2,\"time\":\"x\",\"kind\":\"log.checkpoint\"",
        "\",\"kind\":\"log.checkpoint\",\"severity\":\"info",
        "\"},\"previous\":\"00\",\"hash\":\"00\"}",
        "\\",
        "\\\"",
        "\x1b[2J\x1b]0;title\x07",
        "\xc2\x9b[2J",
        "\r\b\x7f\t\n",
        "\xe2\x80\xa8\xe2\x80\xae turned\xef\xbb\xbf\xe2\x80\x8b",
        "\xf3\xa0\x81\x81tag",
        "\xff\xfe\xc0\xaf\xed\xa0\x80\xf5",
        "\xe2\x80",
        "%s%n%d",
    };
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        check_harmless(hostile[i]);
    }
    static char noise[3 * AUDIT_TEXT_BYTES];
    uint64_t state = 11;
    for (int round = 0; round < 300; round++) {
        size_t length = (size_t)(check_random(&state) % (sizeof noise - 1));
        for (size_t i = 0; i < length; i++) {
            noise[i] = (char)(check_random(&state) % 255 + 1);
        }
        noise[length] = '\0';
        check_harmless(noise);
    }
}

/* The longest line that there can be fits, and says that it was cut. */
static void long_texts_are_cut(void) {
    static char bytes[AUDIT_LINE_BYTES];
    static char text[2 * AUDIT_TEXT_BYTES];
    log_field fields[AUDIT_MAX_ATTRIBUTES + 3];
    uint8_t hash[SHA256_DIGEST_BYTES];
    audit_stamp stamp = {.sequence = UINT64_MAX, .time_ns = INT64_MAX};
    text_buffer line;
    memset(text, 1, sizeof text - 1);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        fields[i] = (log_field){"a_rather_long_name_of_a_field", text, 0};
    }
    audit_event event = {.kind = AUDIT_CONFIGURATION_CHANGED,
                         .action = text,
                         .subject = text,
                         .profile = text,
                         .runtime = text,
                         .tenant = text,
                         .trace_id = text,
                         .span_id = text,
                         .attributes = fields,
                         .n_attributes = sizeof fields / sizeof fields[0]};
    text_init(&line, bytes, sizeof bytes);
    audit_record_write(&line, &event, &stamp, NULL, hash);
    CHECK(!line.truncated && bytes[line.length - 1] == '\n');
    CHECK(strstr(bytes, ",\"truncated\":true,\"previous\":") != NULL);
    event.n_attributes = 0;
    text[AUDIT_TEXT_BYTES - 1] = '\0'; /* just not cut */
    text_init(&line, bytes, sizeof bytes);
    audit_record_write(&line, &event, &stamp, NULL, hash);
    CHECK(strstr(bytes, "truncated") == NULL);
}

static void secrets_are_left_out(void) {
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"nothing to hide: a=b", "nothing to hide: a=b"},
        {"https://host/f?token=abc&x=1", "https://host/f?token=" REDACTED "&x=1"},
        {"https://me:abc@host/f", "https://" REDACTED "@host/f"},
        {"https://host/f@2?x#y", "https://host/f@2?x#y"},
        {"Authorization: Bearer abc", "Authorization: " REDACTED},
        {"--set a.PASSWORD=abc b", "--set a.PASSWORD=" REDACTED " b"},
        {"{\"password\":\"a b\",\"c\":1}", "{\"password\":\"" REDACTED "\",\"c\":1}"},
        {"access_token = 'a b' c", "access_token = '" REDACTED "' c"},
        {"token", "token"},
        {"token=", "token="},
        {"tokenizer and secretary", "tokenizer and secretary"},
        {"my_secret_key:abc", "my_secret_key:" REDACTED},
        {"secret=abc;cookie=def", "secret=" REDACTED ";cookie=" REDACTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char bytes[256];
        text_buffer text;
        text_init(&text, bytes, sizeof bytes);
        redact_text(NULL, cases[i].text, strlen(cases[i].text), &text);
        CHECK_STRING(bytes, cases[i].expected);
    }
    static const char *const own[] = {"pin", NULL};
    redact_words words = {.words = own};
    CHECK(redact_has_word(NULL, "API-Token") && !redact_has_word(NULL, "name"));
    CHECK(redact_has_word(&words, "thePIN") && !redact_has_word(&words, "token"));

    audit_fixture f;
    audit_fixture_begin(&f, (audit_options){.refuses = true});
    log_field fields[] = {
        {"db_password", "planted-1", 0}, {"reason", "token=planted-2", 0}, {"cookie", NULL, 31337}};
    audit_event event = {.kind = AUDIT_DENIED,
                         .subject = "https://planted-3@host/?secret=planted-4",
                         .attributes = fields,
                         .n_attributes = 3};
    CHECK_INT(audit_write(f.log, &event, NULL), TARS_OK);
    lines l = read_lines(audit_fixture_file(&f, "audit-000001.log"));
    CHECK(!strstr(l.bytes, "planted") && !strstr(l.bytes, "31337") && strstr(l.bytes, "reason"));
    free(l.bytes);
    audit_fixture_end(&f);
}

/* ---- tampering --------------------------------------------------------------------------- */

/* A log of so many records with no checkpoint but one at its end. */
static void begin_log(audit_fixture *f, lines *l) {
    audit_fixture_begin(f, (audit_options){.checkpoint_records = RECORDS - 1, .refuses = true});
    audit_fixture_fill(f, RECORDS - 1);
    audit_fixture_close(f);
    audit_fixture_expect_valid(f, RECORDS);
    *l = read_lines(audit_fixture_file(f, "audit-000001.log"));
    CHECK_INT(l->count, RECORDS);
}

/* Puts pieces of the old log together as the new one. */
typedef struct piece {
    size_t from, to; /* bytes */
} piece;

static void put(audit_fixture *f, const lines *l, const piece *pieces, size_t count) {
    char *bytes = malloc(2 * l->length + 1);
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(bytes + length, l->bytes + pieces[i].from, pieces[i].to - pieces[i].from);
        length += pieces[i].to - pieces[i].from;
    }
    fixture_write(audit_fixture_file(f, "audit-000001.log"), bytes, length);
    free(bytes);
}

static void every_flipped_byte_is_found(void) {
    audit_fixture f;
    lines l;
    audit_verdict v;
    begin_log(&f, &l);
    audit_verify_bytes(l.bytes, l.length, f.public_key, &v);
    CHECK(v.is_valid && v.records == RECORDS && v.checkpoints == 1 && v.signed_to == RECORDS);
    size_t record = 0;
    for (size_t i = 0; i < l.length; i++) {
        record += i == l.starts[record + 1];
        l.bytes[i] = (char)(l.bytes[i] ^ (1 << (i % 8)));
        audit_verify_bytes(l.bytes, l.length, f.public_key, &v);
        if (v.is_valid || (v.bad_sequence != record + 1 && record > 0) ||
            v.bad_line != record + 1) {
            check_fail(__FILE__, __LINE__, "byte %zu of record %zu: valid %d, names %llu: %s", i,
                       record + 1, v.is_valid, (unsigned long long)v.bad_sequence, v.reason);
        }
        l.bytes[i] = (char)(l.bytes[i] ^ (1 << (i % 8)));
    }
    free(l.bytes);
    audit_fixture_end(&f);
}

/* In the files, where the head stands beside them. */
static void flipped_bytes_of_files_are_found(void) {
    enum { STEP = 97 };
    audit_fixture f;
    lines l;
    begin_log(&f, &l);
    size_t record = 0;
    for (size_t i = 0; i < l.length; i++) {
        record += i == l.starts[record + 1];
        if (i % STEP != 0) {
            continue;
        }
        l.bytes[i] = (char)(l.bytes[i] ^ 0x20);
        put(&f, &l, &(piece){0, l.length}, 1);
        audit_verdict v = audit_fixture_verify(&f, (audit_verify_options){.path = NULL});
        CHECK(!v.is_valid);
        CHECK_INT(v.bad_sequence, record + 1);
        CHECK_STRING(v.bad_file, "audit-000001.log");
        l.bytes[i] = (char)(l.bytes[i] ^ 0x20);
    }
    put(&f, &l, &(piece){0, l.length}, 1);
    free(l.bytes);
    size_t length = 0;
    char *head = check_read_file(audit_fixture_file(&f, "head"), &length);
    CHECK_INT(length, AUDIT_HEAD_BYTES);
    for (size_t i = 0; i < length; i++) {
        head[i] = (char)(head[i] ^ (1 << (i % 8)));
        audit_head parsed;
        if (audit_head_read(head, f.public_key, &parsed, NULL) == TARS_OK) {
            check_fail(__FILE__, __LINE__, "byte %zu of the head may be anything", i);
        }
        if (i % 200 == 0) {
            fixture_write(audit_fixture_file(&f, "head"), head, length);
            audit_fixture_expect_bad(&f, RECORDS + 1, "head");
        }
        head[i] = (char)(head[i] ^ (1 << (i % 8)));
    }
    fixture_write(audit_fixture_file(&f, "head"), head, length);
    audit_fixture_expect_valid(&f, RECORDS);
    free(head);
    audit_fixture_end(&f);
}

static void every_moved_record_is_found(void) {
    audit_fixture f;
    lines l;
    begin_log(&f, &l);
    for (size_t k = 0; k < RECORDS; k++) {
        size_t a = l.starts[k];
        size_t b = l.starts[k + 1];
        size_t middle = a + (b - a) / 2;
        piece without[] = {{0, a}, {b, l.length}};
        put(&f, &l, without, 2);
        audit_fixture_expect_bad(&f, k + 1, "missing");
        piece twice[] = {{0, b}, {a, l.length}};
        put(&f, &l, twice, 2);
        /* behind the last record nothing counts: the head says where the log ends */
        if (k + 1 < RECORDS) {
            audit_fixture_expect_bad(&f, k + 2, "inserted or moved");
        } else {
            audit_verdict v = audit_fixture_verify(&f, (audit_verify_options){.path = NULL});
            CHECK(v.is_valid && v.n_unsigned_bytes == b - a);
        }
        piece cut[] = {{0, a}};
        put(&f, &l, cut, 1);
        audit_fixture_expect_bad(&f, k + 1, "missing");
        piece half[] = {{0, middle}};
        put(&f, &l, half, 1);
        audit_fixture_expect_bad(&f, k + 1, "");
        piece torn[] = {{0, middle}, {b, l.length}};
        put(&f, &l, torn, 2);
        audit_fixture_expect_bad(&f, k + 1, "");
        if (k + 1 < RECORDS) {
            size_t c = l.starts[k + 2];
            piece swapped[] = {{0, a}, {b, c}, {a, b}, {c, l.length}};
            put(&f, &l, swapped, 4);
            audit_fixture_expect_bad(&f, k + 1, "missing");
            piece moved[] = {{0, a}, {b, l.length}, {a, b}};
            put(&f, &l, moved, 3);
            audit_fixture_expect_bad(&f, k + 1, "missing");
        }
    }
    put(&f, &l, &(piece){0, l.length}, 1);
    audit_fixture_expect_valid(&f, RECORDS);
    free(l.bytes);
    audit_fixture_end(&f);
}

/* Writes a log anew from record k on, with the hashes that belong to it, as whoever has no key can.
 */
static void forge(audit_fixture *f, const lines *l, size_t k, bool inserts) {
    char *bytes = malloc(2 * l->length + FORGED_BYTES);
    size_t length = l->starts[k];
    uint8_t previous[SHA256_DIGEST_BYTES] = {0};
    audit_scan scan;
    memcpy(bytes, l->bytes, length);
    if (k > 0) {
        CHECK(!audit_record_scan(l->bytes + l->starts[k - 1], length_of(l, k - 1) - 1, &scan));
        memcpy(previous, scan.hash, sizeof previous);
    }
    for (size_t i = k; i < l->count; i++) {
        text_buffer line;
        audit_event event = {.kind = AUDIT_SYSCALL, .subject = "./another"};
        audit_stamp stamp = {.sequence = i + 1 + (inserts && i > k ? 1 : 0)};
        memcpy(stamp.previous, previous, sizeof previous);
        CHECK(!audit_record_scan(l->bytes + l->starts[i], length_of(l, i) - 1, &scan));
        if (scan.is_checkpoint && i > k) { /* it cannot be signed, so the old one is taken */
            memcpy(bytes + length, l->bytes + l->starts[i], length_of(l, i));
            length += length_of(l, i);
            memcpy(previous, scan.hash, sizeof previous);
            continue;
        }
        text_init(&line, bytes + length, FORGED_BYTES);
        audit_record_write(&line, &event, &stamp, NULL, previous);
        length += line.length;
    }
    fixture_write(audit_fixture_file(f, "audit-000001.log"), bytes, length);
    free(bytes);
}

static void forged_chains_are_found(void) {
    audit_fixture f;
    audit_fixture_begin(&f, (audit_options){.checkpoint_records = 50, .refuses = true});
    audit_fixture_fill(&f, 170);
    audit_fixture_close(&f);
    lines l = read_lines(audit_fixture_file(&f, "audit-000001.log"));
    audit_verdict v = audit_fixture_verify(&f, (audit_verify_options){.path = NULL});
    CHECK(v.is_valid && v.checkpoints == 3);
    /* the checkpoint behind it no longer follows */
    forge(&f, &l, 9, false);
    audit_fixture_expect_bad(&f, 51, "does not follow");
    forge(&f, &l, 60, false);
    audit_fixture_expect_bad(&f, 102, "does not follow");
    /* behind the last checkpoint the head is what it must fit */
    forge(&f, &l, l.count - 2, false);
    v = audit_fixture_verify(&f, (audit_verify_options){.path = NULL});
    CHECK(!v.is_valid && v.bad_sequence >= l.count - 2);
    /* the same hashes with a checkpoint that is not signed so */
    char *checkpoint = strstr(l.bytes, "\"signature\":\"");
    CHECK(checkpoint != NULL);
    if (checkpoint) {
        size_t k = 50;
        char *line = l.bytes + l.starts[k];
        checkpoint[14] = checkpoint[14] == '0' ? '1' : '0';
        size_t n = length_of(&l, k) - 1;
        char hex[SHA256_HEX_BYTES];
        uint8_t digest[SHA256_DIGEST_BYTES];
        sha256(line, n - 75, digest);
        sha256_hex(digest, hex);
        memcpy(line + n - 66, hex, 64);
        fixture_write(audit_fixture_file(&f, "audit-000001.log"), l.bytes, l.length);
        audit_fixture_expect_bad(&f, 51, "signature");
    }
    free(l.bytes);
    audit_fixture_end(&f);
}

/* What no log can see by itself shows when a hash was kept elsewhere. */
static void old_logs_that_are_put_back_are_found(void) {
    audit_fixture f;
    char command[1024];
    audit_fixture_begin(&f, (audit_options){.refuses = true});
    audit_fixture_fill(&f, 10);
    snprintf(command, sizeof command, "cp -a %s/audit %s/copy", f.home.home, f.home.home);
    fixture_run(command);
    audit_fixture_fill(&f, 12);
    audit_fixture_close(&f);
    audit_verdict v = audit_fixture_verify(&f, (audit_verify_options){.path = NULL});
    audit_verify_options expects = {.expected_sequence = v.last};
    memcpy(expects.expected_hash, v.last_hash, sizeof v.last_hash);
    CHECK(audit_fixture_verify(&f, expects).is_valid);
    snprintf(command, sizeof command, "rm -r %s/audit; cp -a %s/copy %s/audit", f.home.home,
             f.home.home, f.home.home);
    fixture_run(command);
    CHECK(audit_fixture_verify(&f, (audit_verify_options){.path = NULL}).is_valid);
    v = audit_fixture_verify(&f, expects);
    CHECK(!v.is_valid && v.bad_sequence == expects.expected_sequence);
    expects.expected_sequence = 5;
    v = audit_fixture_verify(&f, expects);
    CHECK(!v.is_valid && v.bad_sequence == 5);
    audit_fixture_end(&f);
}

static void other_keys_are_found(void) {
    audit_fixture f;
    audit_fixture_begin(&f, (audit_options){.checkpoint_records = 4, .refuses = true});
    audit_fixture_fill(&f, 10);
    audit_fixture_close(&f);
    fixture_run("true");
    remove(fixture_path(&f.home, "keys/signing.key"));
    keys *another = NULL;
    CHECK_INT(keys_open(f.home.home, &another, NULL), TARS_OK);
    CHECK(keys_is_new(another));
    keys_close(another);
    audit_fixture_expect_bad(&f, 5, "signed by key");
    /* a writer with another key trusts nothing of it, goes on, and says so */
    f.log = audit_fixture_open(&f, (audit_options){.refuses = true});
    CHECK_INT(audit_fixture_write(f.log, 1, NULL), TARS_OK);
    CHECK(fixture_exists(audit_fixture_file(&f, "audit-000002.log")));
    audit_fixture_expect_bad(&f, 5, "checkpoint");
    audit_fixture_end(&f);
}

/* ---- writers ----------------------------------------------------------------------------- */

static void logs_that_are_cut_go_on_and_stay_bad(void) {
    audit_fixture f;
    audit_fixture_begin(&f, (audit_options){.refuses = true});
    audit_fixture_fill(&f, 20);
    lines l = read_lines(audit_fixture_file(&f, "audit-000001.log"));
    put(&f, &l, &(piece){0, l.starts[15]}, 1);
    CHECK_INT(audit_fixture_write(f.log, 1, NULL), TARS_OK); /* sees it at once */
    audit_fixture_expect_bad(&f, 16, "missing");
    lines next = read_lines(audit_fixture_file(&f, "audit-000002.log"));
    CHECK_INT(next.count, 2);
    CHECK(strstr(next.bytes, "\"sequence\":21,") && strstr(next.bytes, "log.tampered"));
    free(next.bytes);
    /* whoever puts the end of the file back, the record stays */
    put(&f, &l, &(piece){0, l.length}, 1);
    audit_fixture_expect_bad(&f, 21, "not as it had been written");
    free(l.bytes);
    audit_fixture_end(&f);
}

static void removed_heads_are_found(void) {
    audit_fixture f;
    audit_fixture_begin(&f, (audit_options){.refuses = true});
    audit_fixture_fill(&f, 20);
    remove(audit_fixture_file(&f, "head"));
    audit_fixture_expect_bad(&f, 21, "head");
    CHECK_INT(audit_fixture_write(f.log, 1, NULL), TARS_OK);
    audit_fixture_expect_bad(&f, 21, "not as it had been written");
    audit_fixture_close(&f);
    fixture_write(audit_fixture_file(&f, "head"), "{}", 2);
    f.log = audit_fixture_open(&f, (audit_options){.refuses = true});
    CHECK_INT(audit_fixture_write(f.log, 1, NULL), TARS_OK);
    audit_fixture_expect_bad(&f, 21, "not as it had been written");
    audit_fixture_end(&f);
}

/* What a writer leaves that is killed between a record and the head, and in the middle of one. */
static void records_without_a_head_are_recovered(void) {
    audit_fixture f;
    size_t length = 0;
    audit_fixture_begin(&f, (audit_options){.refuses = true});
    audit_fixture_fill(&f, 10);
    char *head = check_read_file(audit_fixture_file(&f, "head"), &length);
    audit_fixture_fill(&f, 4); /* two more */
    audit_fixture_close(&f);
    lines l = read_lines(audit_fixture_file(&f, "audit-000001.log"));
    CHECK_INT(l.count, 12);
    fixture_write(audit_fixture_file(&f, "head"), head, length);
    put(&f, &l, (piece[]){{0, l.length}, {0, 100}}, 2); /* the beginning of one more */
    audit_verdict v = audit_fixture_verify(&f, (audit_verify_options){.path = NULL});
    CHECK(v.is_valid && v.records == 10 &&
          v.n_unsigned_bytes == 100 + length_of(&l, 10) + length_of(&l, 11));
    f.log = audit_fixture_open(&f, (audit_options){.refuses = true});
    CHECK_INT(audit_fixture_write(f.log, 1, NULL), TARS_OK);
    audit_fixture_expect_valid(&f, 14);
    free(l.bytes);
    l = read_lines(audit_fixture_file(&f, "audit-000001.log"));
    CHECK(strstr(l.bytes, "log.recovered") != NULL);
    CHECK(strstr(l.bytes, "{\"records\":2,\"dropped_bytes\":100}") != NULL);
    free(l.bytes);
    free(head);
    audit_fixture_end(&f);
}

static void full_files_are_ended(void) {
    audit_fixture f;
    audit_fixture_begin(
        &f, (audit_options){.rotate_bytes = 4000, .checkpoint_records = 5, .refuses = true});
    audit_fixture_fill(&f, 100);
    audit_fixture_close(&f);
    audit_verdict all = audit_fixture_verify(&f, (audit_verify_options){.path = NULL});
    CHECK_STRING(all.reason, "");
    CHECK(all.is_valid && all.records > 100 && all.head.segment > 5);
    /* each file by itself, which its own checkpoint proves */
    uint64_t records = 0;
    for (uint64_t i = 1; i <= all.head.segment; i++) {
        char name[64];
        snprintf(name, sizeof name, "audit-%06llu.log", (unsigned long long)i);
        audit_verify_options one = {.path = audit_fixture_file(&f, name)};
        audit_verdict v = audit_fixture_verify(&f, one);
        CHECK(v.is_valid && v.first == records + 1);
        CHECK(i == all.head.segment || v.signed_to == v.last);
        records += v.records;
    }
    CHECK_INT(records, all.records);
    /* a file that is gone, or another one's name */
    audit_verify_options third = {.path = audit_fixture_file(&f, "audit-000003.log")};
    uint64_t first = audit_fixture_verify(&f, third).first;
    rename(audit_fixture_file(&f, "audit-000003.log"), audit_fixture_file(&f, "away"));
    audit_fixture_expect_bad(&f, first, "file of record");
    rename(audit_fixture_file(&f, "audit-000004.log"), audit_fixture_file(&f, "audit-000003.log"));
    audit_fixture_expect_bad(&f, first, "missing");
    audit_fixture_end(&f);
}

static void old_files_go_as_configured(void) {
    audit_fixture f;
    audit_fixture_begin(
        &f,
        (audit_options){.rotate_bytes = 4000, .checkpoint_records = 5, .keep = 2, .refuses = true});
    audit_fixture_fill(&f, 100);
    audit_fixture_close(&f);
    audit_verdict v = audit_fixture_verify(&f, (audit_verify_options){.path = NULL});
    CHECK_STRING(v.reason, "");
    CHECK(v.is_valid && v.head.segment - v.head.first_segment == 2 && v.first == v.head.first);
    CHECK(!fixture_exists(audit_fixture_file(&f, "audit-000001.log")));
    CHECK_INT(fixture_count(fixture_path(&f.home, "audit")), 5); /* with head and lock */
    /* more than that must not go */
    uint64_t first = v.first;
    char name[64];
    snprintf(name, sizeof name, "audit-%06llu.log", (unsigned long long)v.head.first_segment);
    remove(audit_fixture_file(&f, name));
    audit_fixture_expect_bad(&f, first, "file of record");
    audit_fixture_end(&f);
}

static void configurations_are_recorded_when_they_change(void) {
    audit_fixture f;
    uint8_t digest[SHA256_DIGEST_BYTES] = {0};
    audit_event event = {.kind = AUDIT_CONFIGURATION_CHANGED, .subject = "/etc/tars"};
    audit_fixture_begin(&f, (audit_options){.refuses = true});
    CHECK_INT(audit_write_configuration(f.log, digest, &event, NULL), TARS_OK);
    CHECK(!fixture_exists(fixture_path(&f.home, "audit"))); /* all default: nothing is made */
    digest[0] = 1;
    CHECK_INT(audit_write_configuration(f.log, digest, &event, NULL), TARS_OK);
    CHECK_INT(audit_write_configuration(f.log, digest, &event, NULL), TARS_OK);
    audit_fixture_expect_valid(&f, 3);
    CHECK_INT(audit_fixture_write(f.log, 1, NULL), TARS_OK);
    digest[0] = 0;
    CHECK_INT(audit_write_configuration(f.log, digest, &event, NULL), TARS_OK);
    audit_fixture_expect_valid(&f, 5);
    audit_fixture_end(&f);
}

/* ---- several writers ----------------------------------------------------------------------- */

enum { WRITERS = 4, WRITES = 150 };

static int write_many(const audit_fixture *f) {
    tars_error err = {.message = ""};
    audit_log *log = audit_fixture_open(
        f, (audit_options){.rotate_bytes = 60000, .checkpoint_records = 20, .refuses = true});
    int failures = 0;
    for (uint64_t i = 0; i < WRITES; i++) {
        if (audit_fixture_write(log, i, &err) != TARS_OK) {
            printf("    write %llu: %s (%s)\n", (unsigned long long)i, err.message, err.cause);
            failures++;
        }
    }
    fflush(stdout);
    audit_close(log);
    return failures > 0;
}

static bool count_syscalls(void *user, const char *line, size_t length, const audit_scan *scan) {
    (void)line;
    (void)length;
    *(uint64_t *)user += audit_scan_is(scan, AUDIT_SYSCALL);
    return true;
}

static void expect_syscalls(audit_fixture *f, uint64_t expected) {
    uint64_t found = 0;
    audit_verify_options options = {.visit = count_syscalls, .user = &found};
    audit_verdict v = audit_fixture_verify(f, options);
    CHECK_STRING(v.reason, "");
    CHECK(v.is_valid);
    CHECK_INT(found, expected);
}

static void processes_share_a_log(void) {
    audit_fixture f;
    audit_fixture_begin(&f, (audit_options){.refuses = true});
    pid_t children[WRITERS];
    fflush(stdout);
    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            _exit(write_many(&f));
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = 0;
        waitpid(children[i], &status, 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    expect_syscalls(&f, WRITERS * WRITES);
    audit_fixture_end(&f);
}

static void write_in_thread(void *user) {
    const audit_fixture *f = user;
    for (uint64_t i = 0; i < WRITES; i++) {
        (void)audit_fixture_write(f->log, i, NULL);
    }
}

static void threads_share_a_log(void) {
    audit_fixture f;
    platform_thread threads[WRITERS];
    audit_fixture_begin(&f, (audit_options){.sync = AUDIT_SYNC_NEVER, .refuses = true});
    for (int i = 0; i < WRITERS; i++) {
        CHECK_INT(platform_thread_create("audit", write_in_thread, &f, &threads[i], NULL), TARS_OK);
    }
    for (int i = 0; i < WRITERS; i++) {
        platform_thread_join(&threads[i]);
    }
    CHECK_INT(audit_lost(f.log, NULL), 0);
    expect_syscalls(&f, WRITERS * WRITES);
    audit_fixture_end(&f);
}

/* ---- disks --------------------------------------------------------------------------------- */

/* Files may not grow beyond what they are: as good as a full disk, without one. */
static void limit_files(rlim_t bytes) {
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void lost_records_are_counted(void) {
    audit_fixture f;
    tars_error err = {.message = ""};
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    audit_fixture_begin(&f, (audit_options){.refuses = false});
    audit_fixture_fill(&f, 10);
    struct stat facts;
    CHECK_INT(stat(audit_fixture_file(&f, "audit-000001.log"), &facts), 0);
    limit_files((rlim_t)facts.st_size + 100); /* the beginning of a record fits */
    CHECK_INT(audit_fixture_write(f.log, 1, &err), TARS_OK);
    CHECK_INT(audit_fixture_write(f.log, 2, &err), TARS_OK);
    audit_log *strict = audit_fixture_open(&f, (audit_options){.refuses = true});
    CHECK(audit_fixture_write(strict, 1, &err) != TARS_OK);
    CHECK(strstr(err.message, "cannot be recorded") && err.hint[0] != '\0');
    limit_files(RLIM_INFINITY);
    CHECK_INT(audit_lost(f.log, &err), 2);
    CHECK(err.message[0] != '\0');
    audit_fixture_expect_valid(&f, 10); /* nothing half is left */
    CHECK_INT(audit_fixture_write(f.log, 3, &err), TARS_OK);
    audit_fixture_expect_valid(&f, 12);
    lines l = read_lines(audit_fixture_file(&f, "audit-000001.log"));
    CHECK(strstr(l.bytes, "log.lost") && strstr(l.bytes, "{\"records\":2,"));
    free(l.bytes);
    audit_close(strict);
    audit_fixture_end(&f);
    signal(SIGXFSZ, before);
}

static void full_disks_are_told(void) {
    audit_fixture f;
    tars_error err = {.message = ""};
    audit_fixture_begin(&f, (audit_options){.refuses = true});
    CHECK_INT(platform_make_folders(fixture_path(&f.home, "audit"), &err), TARS_OK);
    if (mount("none", fixture_path(&f.home, "audit"), "tmpfs", 0, "size=64k") != 0) {
        check_skip("no file system of a few bytes can be mounted here");
        audit_fixture_end(&f);
        return;
    }
    tars_status status = TARS_OK;
    uint64_t written = 0;
    for (; status == TARS_OK && written < 1000; written++) {
        status = audit_fixture_write(f.log, written, &err);
    }
    CHECK_INT(status, TARS_DISK_FULL);
    CHECK(written > 50);
    audit_verdict v = audit_fixture_verify(&f, (audit_verify_options){.path = NULL});
    CHECK_STRING(v.reason, "");
    CHECK(v.is_valid && v.records >= written - 1);
    audit_fixture_close(&f);
    CHECK_INT(umount(fixture_path(&f.home, "audit")), 0);
    audit_fixture_end(&f);
}

static int write_as_nobody(void *argument) {
    const audit_fixture *f = argument;
    tars_error err = {.message = ""};
    audit_log *open = audit_fixture_open(f, (audit_options){.refuses = false});
    audit_log *closed = audit_fixture_open(f, (audit_options){.refuses = true});
    bool goes_on = audit_fixture_write(open, 1, &err) == TARS_OK && audit_lost(open, NULL) == 1;
    bool refuses = audit_fixture_write(closed, 1, &err) != TARS_OK && err.message[0] != '\0';
    audit_close(open);
    audit_close(closed);
    return goes_on && refuses ? 0 : 1;
}

static void forbidden_folders_are_told(void) {
    audit_fixture f;
    audit_fixture_begin(&f, (audit_options){.refuses = true});
    audit_fixture_fill(&f, 5);
    CHECK_INT(chmod(f.home.home, 0555), 0);
    if (!platform_is_root()) {
        CHECK_INT(chmod(fixture_path(&f.home, "audit"), 0), 0);
    }
    CHECK_INT(fixture_as_nobody(write_as_nobody, &f), 0);
    CHECK_INT(chmod(f.home.home, 0755), 0);
    audit_fixture_end(&f);
}

/* ---- files that are no logs ------------------------------------------------------------------ */

static void what_is_no_log_is_said(void) {
    audit_fixture f;
    audit_verdict v;
    tars_error err = {.message = ""};
    audit_fixture_begin(&f, (audit_options){.refuses = true});
    audit_verify_options options = {.path = fixture_path(&f.home, "audit"),
                                    .public_key = f.public_key};
    CHECK_INT(audit_verify(&options, &v, &err), TARS_NOT_FOUND);
    CHECK_INT(platform_make_folders(options.path, &err), TARS_OK);
    CHECK_INT(audit_verify(&options, &v, &err), TARS_NOT_FOUND);
    audit_fixture_fill(&f, 3);
    audit_fixture_expect_valid(&f, 3);
    audit_verify_bytes("", 0, f.public_key, &v);
    CHECK(v.is_valid && v.records == 0);
    audit_verify_bytes("\n", 1, f.public_key, &v);
    CHECK(!v.is_valid);
    static char zeros[AUDIT_LINE_BYTES + 100];
    audit_verify_bytes(zeros, sizeof zeros, f.public_key, &v);
    CHECK(!v.is_valid);
    fixture_write(audit_fixture_file(&f, "audit-000001.log"), zeros, sizeof zeros);
    audit_fixture_expect_bad(&f, 1, "");
    static const struct {
        const char *name;
        uint64_t number;
    } names[] = {
        {"audit-000001.log", 1},  {"audit-1234567.log", 1234567},
        {"audit-1.log", 0},       {"audit-000000.log", 0},
        {"audit-0000001.log", 0}, {"audit-000001.log.gz", 0},
        {"audit-00000x.log", 0},  {"head", 0},
        {"audit-.log", 0},        {"audit-99999999999999999999.log", 0},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK_INT(audit_segment_number(names[i].name), names[i].number);
    }
    audit_fixture_end(&f);
}

static void long_lines_are_read_in_parts(void) {
    audit_fixture f;
    platform_file file;
    audit_lines l;
    audit_fixture_begin(&f, (audit_options){.refuses = true});
    CHECK_INT(platform_make_folders(f.home.home, NULL), TARS_OK);
    size_t length = AUDIT_LINE_BYTES * 3;
    char *bytes = malloc(length);
    memset(bytes, 'x', length);
    bytes[10] = bytes[11] = '\n';
    fixture_write(fixture_path(&f.home, "file"), bytes, length);
    CHECK_INT(platform_file_open(fixture_path(&f.home, "file"), &file, NULL), TARS_OK);
    CHECK_INT(audit_lines_open(&l, &file, 5, length, NULL), TARS_OK);
    const char *line = NULL;
    size_t n = 0;
    bool is_whole = false;
    uint64_t sum = 0;
    int count = 0;
    while (audit_lines_next(&l, &line, &n, &is_whole, NULL) == TARS_OK && line) {
        CHECK_INT(l.offset, 5 + sum);
        CHECK_INT(is_whole, count < 2);
        sum += n + (is_whole ? 1 : 0);
        count++;
    }
    CHECK_INT(sum, length - 5);
    CHECK(count >= 4);
    audit_lines_close(&l);
    platform_file_close(&file);
    free(bytes);
    audit_fixture_end(&f);
}

static const check_test tests[] = {
    {"records_have_their_form", records_have_their_form},
    {"hostile_texts_are_harmless", hostile_texts_are_harmless},
    {"long_texts_are_cut", long_texts_are_cut},
    {"secrets_are_left_out", secrets_are_left_out},
    {"every_flipped_byte_is_found", every_flipped_byte_is_found},
    {"flipped_bytes_of_files_are_found", flipped_bytes_of_files_are_found},
    {"every_moved_record_is_found", every_moved_record_is_found},
    {"forged_chains_are_found", forged_chains_are_found},
    {"old_logs_that_are_put_back_are_found", old_logs_that_are_put_back_are_found},
    {"other_keys_are_found", other_keys_are_found},
    {"logs_that_are_cut_go_on_and_stay_bad", logs_that_are_cut_go_on_and_stay_bad},
    {"removed_heads_are_found", removed_heads_are_found},
    {"records_without_a_head_are_recovered", records_without_a_head_are_recovered},
    {"full_files_are_ended", full_files_are_ended},
    {"old_files_go_as_configured", old_files_go_as_configured},
    {"configurations_are_recorded_when_they_change", configurations_are_recorded_when_they_change},
    {"processes_share_a_log", processes_share_a_log},
    {"threads_share_a_log", threads_share_a_log},
    {"lost_records_are_counted", lost_records_are_counted},
    {"full_disks_are_told", full_disks_are_told},
    {"forbidden_folders_are_told", forbidden_folders_are_told},
    {"what_is_no_log_is_said", what_is_no_log_is_said},
    {"long_lines_are_read_in_parts", long_lines_are_read_in_parts},
};
CHECK_MAIN(tests)
