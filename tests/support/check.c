#include "support/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef TESTS_DATA_DIR
#error "TESTS_DATA_DIR must name the folder tests/data"
#endif

static int failures_of_test;
static bool test_skipped;
static char skip_reason[256];

void check_skip(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(skip_reason, sizeof skip_reason, format, arguments);
    va_end(arguments);
    test_skipped = true;
}

void check_fail(const char *file, int line, const char *format, ...) {
    failures_of_test++;
    if (failures_of_test > 20) {
        return; /* one test must not flood the log */
    }
    printf("    %s:%d: ", file, line);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

void check_int_at(const char *file, int line, const char *text, long long found,
                  long long expected) {
    if (found != expected) {
        check_fail(file, line, "%s is %lld, expected %lld", text, found, expected);
    }
}

void check_string_at(const char *file, int line, const char *text, const char *found,
                     const char *expected) {
    if (!found || strcmp(found, expected) != 0) {
        check_fail(file, line, "%s is \"%s\", expected \"%s\"", text, found ? found : "(null)",
                   expected);
    }
}

void check_bytes_at(const char *file, int line, const char *text, const void *found,
                    const void *expected, size_t size) {
    const unsigned char *a = found;
    const unsigned char *b = expected;
    for (size_t i = 0; i < size; i++) {
        if (a[i] != b[i]) {
            check_fail(file, line, "%s differs at byte %zu of %zu: 0x%02x, expected 0x%02x", text,
                       i, size, a[i], b[i]);
            return;
        }
    }
}

const char *check_data_path(const char *relative) {
    static char paths[4][1024];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", TESTS_DATA_DIR, relative);
    return path;
}

void *check_read_file(const char *path, size_t *size_bytes) {
    const char *full = path[0] == '/' ? path : check_data_path(path);
    FILE *file = fopen(full, "rb");
    if (!file) {
        printf("    cannot open %s\n", full);
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    fseek(file, 0, SEEK_SET);
    char *bytes = size >= 0 ? malloc((size_t)size + 1) : NULL;
    if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
        printf("    cannot read %s\n", full);
        exit(1);
    }
    fclose(file);
    bytes[size] = '\0';
    if (size_bytes) {
        *size_bytes = (size_t)size;
    }
    return bytes;
}

uint64_t check_random(uint64_t *state) {
    uint64_t z = (*state += 0x9E3779B97F4A7C15u); /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

int check_main(int argc, char **argv, const check_test *tests, size_t count) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    int passed = 0;
    int failed = 0;
    int skipped = 0;
    for (size_t i = 0; i < count; i++) {
        if (argc > 1 && !strstr(tests[i].name, argv[1])) {
            continue;
        }
        failures_of_test = 0;
        test_skipped = false;
        tests[i].run();
        if (failures_of_test > 0) {
            failed++;
            printf("  FAILED  %s (%d checks)\n", tests[i].name, failures_of_test);
        } else if (test_skipped) {
            skipped++;
            printf("  skipped %s: %s\n", tests[i].name, skip_reason);
        } else {
            passed++;
            printf("  ok      %s\n", tests[i].name);
        }
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed > 0 ? 1 : 0;
}
