/* The log: lines that nothing in them can forge, levels, full files with several processes at
 * once, files that cannot be written. */
#include "base/json.h"
#include "base/utf8.h"
#include "fixture.h"
#include "store/log_file.h"

enum { PROCESSES = 4, RECORDS = 2000, ROTATE_BYTES = 64 << 10 };

static char line_bytes[LOG_LINE_BYTES];

static const char *line_of(const log_record *record, bool as_text) {
    text_buffer line;
    text_init(&line, line_bytes, sizeof line_bytes);
    (as_text ? log_line_text : log_line_json)(record, &line);
    CHECK(!line.truncated);
    return line_bytes;
}

/* ---- lines ------------------------------------------------------------------------------- */

static void lines_have_their_form(void) {
    const log_field fields[] = {{"runtime", "native", 0}, {"count", NULL, UINT64_MAX}};
    log_record record = {.time_ns = INT64_C(1738324800123456789),
                         .level = LOG_WARN,
                         .message = "it was refused",
                         .fields = fields,
                         .n_fields = 2};
    CHECK_STRING(line_of(&record, false),
                 "{\"time\":\"2025-01-31T12:00:00.123Z\",\"level\":\"warn\",\"message\":\"it was "
                 "refused\",\"runtime\":\"native\",\"count\":18446744073709551615}\n");
    CHECK_STRING(line_of(&record, true),
                 "2025-01-31T12:00:00.123Z warn \"it was refused\" runtime=\"native\" "
                 "count=18446744073709551615\n");
}

static void times_are_right(void) {
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},           {951782399, "2000-02-28T23:59:59.000Z"},
        {951782400, "2000-02-29T00:00:00.000Z"},   {951868800, "2000-03-01T00:00:00.000Z"},
        {4107542399, "2100-02-28T23:59:59.000Z"},  {4107542400, "2100-03-01T00:00:00.000Z"},
        {1735689599, "2024-12-31T23:59:59.000Z"},  {-1, "1969-12-31T23:59:59.000Z"},
        {-2208988800, "1900-01-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        log_record record = {.time_ns = cases[i].seconds * 1000000000, .message = ""};
        const char *line = line_of(&record, true);
        CHECK(strncmp(line, cases[i].text, strlen(cases[i].text)) == 0);
    }
    log_record before = {.time_ns = -1, .message = ""};
    CHECK(strncmp(line_of(&before, true), "1969-12-31T23:59:59.999Z", 24) == 0);
}

/* One line, valid JSON, no character that a terminal obeys or that hides. */
static void check_harmless(const char *hostile) {
    const log_field fields[] = {{"name", hostile, 0}};
    log_record record = {.level = LOG_INFO, .message = hostile, .fields = fields, .n_fields = 1};
    for (int as_text = 0; as_text < 2; as_text++) {
        const char *line = line_of(&record, as_text != 0);
        size_t length = strlen(line);
        CHECK(length > 0 && strchr(line, '\n') == line + length - 1);
        for (size_t i = 0; i + 1 < length;) {
            uint32_t code = 0;
            size_t n = utf8_decode(line + i, length - i, &code);
            CHECK(n > 0 && code >= 0x20 && (code < 0x7f || code > 0x9f) && code != 0x2028 &&
                  code != 0x202e && code != 0x200b && code != 0xfeff &&
                  (code < 0xe0000 || code > 0xe007f));
            i += n > 0 ? n : 1;
        }
        static uint8_t memory[1 << 16];
        arena room;
        arena_init(&room, memory, sizeof memory);
        json_value *value = NULL;
        tars_error err;
        if (!as_text) {
            CHECK_INT(json_parse(line, length, NULL, &room, &value, &err), TARS_OK);
            CHECK_INT(value ? (int)value->count : 0, 4);
            CHECK_STRING(json_string_or(json_member(value, "level"), ""), "info");
        }
    }
}

static void hostile_texts_are_harmless(void) {
    static const char *const hostile[] = {
        "",
        "\n2025-01-31T12:00:00.000Z error \"forged\"",
        "\"}\n{\"time\":\"x\",\"level\":\"error\",\"message\":\"forged\"}",
        "\",\"level\":\"error",
        "\\",
        "\\\"",
        "\x1b[2J\x1b]0;title\x07",
        "\xc2\x9b[2J",
        "\r\b\x7f\t",
        "\xe2\x80\xa8\xe2\x80\xae turned\xef\xbb\xbf\xe2\x80\x8b",
        "\xf3\xa0\x81\x81tag",
        "\xff\xfe\xc0\xaf\xed\xa0\x80\xf5",
        "\xe2\x80",
        "name count=3 level=error",
    };
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        check_harmless(hostile[i]);
    }
    char noise[LOG_TEXT_BYTES * 2];
    uint64_t state = 7;
    for (int round = 0; round < 2000; round++) {
        size_t length = (size_t)(check_random(&state) % sizeof noise);
        for (size_t i = 0; i < length; i++) {
            noise[i] = (char)(check_random(&state) % 255 + 1);
        }
        noise[length < sizeof noise ? length : sizeof noise - 1] = '\0';
        check_harmless(noise);
    }
}

static void long_texts_are_cut(void) {
    char text[LOG_TEXT_BYTES * 3];
    memset(text, 1, sizeof text); /* the longest when it is escaped */
    text[sizeof text - 1] = '\0';
    log_field fields[LOG_MAX_FIELDS + 3];
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        fields[i] = (log_field){"a_name_of_some_length", text, 0};
    }
    log_record record = {
        .message = text, .fields = fields, .n_fields = sizeof fields / sizeof fields[0]};
    const char *line = line_of(&record, false);
    CHECK(strlen(line) < LOG_LINE_BYTES - 1);
    CHECK(strstr(line, "\\u0001...\"}\n") != NULL);
}

/* ---- files ------------------------------------------------------------------------------- */

static char *read_text(const char *path, size_t *length) {
    char *text = NULL;
    *length = 0;
    return platform_file_read_all(path, (size_t)64 << 20, &text, length, NULL) == TARS_OK ? text
                                                                                          : NULL;
}

static size_t count_lines(const char *path) {
    size_t length = 0;
    char *text = read_text(path, &length);
    size_t n = 0;
    for (size_t i = 0; text && i < length; i++) {
        n += text[i] == '\n';
    }
    CHECK(!text || length == 0 || text[length - 1] == '\n');
    free(text);
    return n;
}

static void make_home(fixture *f) {
    fixture_begin(f);
    CHECK_INT(platform_make_folders(f->home, NULL), TARS_OK);
}

static log_file *open_log(const log_options *options) {
    log_file *log = NULL;
    tars_error err = {.message = ""};
    if (log_file_open(options, &log, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s", options->path, err.message);
    }
    return log;
}

static void levels_and_modes(void) {
    fixture f;
    make_home(&f);
    const char *path = fixture_path(&f, "log");
    for (log_level level = 0; level < LOG_LEVELS; level++) {
        log_level found = LOG_LEVELS;
        CHECK(log_level_find(log_level_name(level), &found) && found == level);
        log_options options = {.path = path, .level = level, .rotate_bytes = 1 << 20, .keep = 1};
        log_file *log = open_log(&options);
        size_t before = count_lines(path);
        for (log_level said = 0; log && said < LOG_LEVELS; said++) {
            CHECK_INT(log_file_write(log, said, "text", NULL, 0, NULL), TARS_OK);
        }
        CHECK_INT(count_lines(path) - before, level + 1);
        log_file_close(log);
    }
    log_level found;
    CHECK(!log_level_find("loud", &found));
    platform_kind kind;
    platform_file_info info = {0};
    CHECK_INT(platform_path_kind(path, &kind, &info, NULL), TARS_OK);
    CHECK_INT(info.mode & 0777, 0600);
    fixture_end(&f);
}

static void full_files_are_kept(void) {
    for (uint32_t keep = 0; keep < 4; keep++) {
        fixture f;
        make_home(&f);
        const char *path = fixture_path(&f, "log");
        fixture_write(fixture_path(&f, "log.4"), "old\n", 4); /* of a time when more were kept */
        log_options options = {.path = path, .level = LOG_INFO, .rotate_bytes = 1000, .keep = keep};
        log_file *log = open_log(&options);
        for (int i = 0; log && i < 100; i++) {
            char text[200];
            snprintf(text, sizeof text, "record %d %0*d", i, 100, i);
            CHECK_INT(log_file_write(log, LOG_INFO, text, NULL, 0, NULL), TARS_OK);
        }
        log_file_close(log);
        size_t length = 0;
        char *newest = read_text(path, &length);
        CHECK(newest && length <= 1000 && strstr(newest, "record 99 "));
        free(newest);
        for (uint32_t i = 1; i < 5; i++) {
            char name[16];
            snprintf(name, sizeof name, "log.%u", i);
            CHECK_INT(files_exists(fixture_path(&f, name)), i <= keep || (i == 4 && keep < 3));
        }
        fixture_end(&f);
    }
}

/* A file that somebody else renames or removes is made anew. */
static void moved_files_are_followed(void) {
    fixture f;
    make_home(&f);
    const char *path = fixture_path(&f, "log");
    log_options options = {.path = path, .level = LOG_INFO, .rotate_bytes = 1 << 20, .keep = 1};
    log_file *log = open_log(&options);
    CHECK_INT(log_file_write(log, LOG_INFO, "first", NULL, 0, NULL), TARS_OK);
    CHECK_INT(platform_rename(path, fixture_path(&f, "elsewhere"), NULL), TARS_OK);
    CHECK_INT(log_file_write(log, LOG_INFO, "second", NULL, 0, NULL), TARS_OK);
    CHECK_INT(platform_remove(path, NULL), TARS_OK);
    CHECK_INT(log_file_write(log, LOG_INFO, "third", NULL, 0, NULL), TARS_OK);
    CHECK_INT(count_lines(fixture_path(&f, "elsewhere")), 1);
    CHECK_INT(count_lines(path), 1);
    log_file_close(log);
    fixture_end(&f);
}

static int child_append(const char *path, const char *name) {
    log_options options = {
        .path = path, .level = LOG_INFO, .rotate_bytes = ROTATE_BYTES, .keep = 100};
    log_file *log = NULL;
    if (log_file_open(&options, &log, NULL) != TARS_OK) {
        return 1;
    }
    for (uint64_t i = 0; i < RECORDS; i++) {
        const log_field fields[] = {{"process", name, 0}, {"number", NULL, i}};
        if (log_file_write(log, LOG_INFO, "a line of some length, as records are", fields, 2,
                           NULL) != TARS_OK) {
            return 2;
        }
    }
    log_file_close(log);
    return 0;
}

/* Counts each record of a file in seen[process][number]. */
static void count_records(const char *path, unsigned char seen[PROCESSES][RECORDS]) {
    size_t length = 0;
    char *text = read_text(path, &length);
    for (char *line = text; line && line < text + length;) {
        char *end = memchr(line, '\n', (size_t)(text + length - line));
        unsigned process = PROCESSES;
        unsigned number = RECORDS;
        char *fields = end ? strstr(line, "\"process\":\"") : NULL;
        if (!fields || line[0] != '{' || end[-1] != '}' ||
            sscanf(fields, "\"process\":\"%u\",\"number\":%u}\n", &process, &number) != 2 ||
            process >= PROCESSES || number >= RECORDS) {
            check_fail(__FILE__, __LINE__, "a broken line: %.100s", line);
            break;
        }
        seen[process][number]++;
        line = end + 1;
    }
    free(text);
}

static void processes_share_a_file(void) {
    static unsigned char seen[PROCESSES][RECORDS];
    fixture f;
    make_home(&f);
    const char *path = fixture_path(&f, "log");
    platform_process processes[PROCESSES];
    for (unsigned i = 0; i < PROCESSES; i++) {
        char name[8];
        snprintf(name, sizeof name, "%u", i);
        const char *const arguments[] = {"test", "--append", path, name, NULL};
        CHECK_INT(
            platform_spawn(&(platform_spawn_options){.arguments = arguments}, &processes[i], NULL),
            TARS_OK);
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        platform_exit how = {0};
        CHECK_INT(platform_process_wait(&processes[i], UINT64_C(60000000000), &how, NULL), TARS_OK);
        CHECK(how.exited && how.code == 0);
    }
    unsigned files = 0;
    uint64_t largest = 0;
    count_records(path, seen);
    for (unsigned i = 1; i <= 100; i++) {
        char name[16];
        platform_kind kind;
        platform_file_info info = {0};
        snprintf(name, sizeof name, "log.%u", i);
        if (!files_exists(fixture_path(&f, name))) {
            break;
        }
        CHECK_INT(platform_path_kind(fixture_path(&f, name), &kind, &info, NULL), TARS_OK);
        largest = info.size_bytes > largest ? info.size_bytes : largest;
        count_records(fixture_path(&f, name), seen);
        files++;
    }
    for (unsigned process = 0; process < PROCESSES; process++) {
        for (unsigned i = 0; i < RECORDS; i++) {
            if (seen[process][i] != 1) {
                check_fail(__FILE__, __LINE__, "record %u of process %u is there %u times", i,
                           process, seen[process][i]);
                process = PROCESSES - 1;
                break;
            }
        }
    }
    CHECK(files >= 5);
    CHECK(largest <= ROTATE_BYTES + 1024 * PROCESSES); /* who had looked before it was full */
    printf("    %u processes: %d records in %u full files of at most %llu bytes\n",
           (unsigned)PROCESSES, PROCESSES * RECORDS, files, (unsigned long long)largest);
    fixture_end(&f);
}

static void unwritable_files_are_named(void) {
    fixture f;
    make_home(&f);
    CHECK_INT(symlink("/dev/null", fixture_path(&f, "link")), 0);
    const char *const paths[] = {fixture_path(&f, "none/log"), fixture_path(&f, ""),
                                 fixture_path(&f, "link"), "/dev/null"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        log_options options = {.path = paths[i], .rotate_bytes = 1 << 20};
        log_file *log = NULL;
        tars_error err = {.message = ""};
        CHECK(log_file_open(&options, &log, &err) != TARS_OK);
        CHECK(log == NULL);
        CHECK_STRING(err.where, paths[i]);
        CHECK(strstr(err.hint, "deployment.logging.file") != NULL);
    }
    log_options empty = {.path = ""};
    log_file *log = NULL;
    CHECK_INT(log_file_open(&empty, &log, NULL), TARS_USAGE);
    fixture_end(&f);
}

static const check_test tests[] = {
    {"lines have their form", lines_have_their_form},
    {"times are right", times_are_right},
    {"hostile texts are harmless", hostile_texts_are_harmless},
    {"long texts are cut", long_texts_are_cut},
    {"levels and modes", levels_and_modes},
    {"full files are kept", full_files_are_kept},
    {"moved files are followed", moved_files_are_followed},
    {"processes share a file", processes_share_a_file},
    {"unwritable files are named", unwritable_files_are_named},
};

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "--append") == 0) {
        return child_append(argv[2], argv[3]);
    }
    return check_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
