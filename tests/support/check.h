/* A small table runner. A test program lists its tests in one table and calls check_main; each
 * test runs checks that print what was found and go on. The last line is
 * "N passed, N failed, N skipped", where N counts tests. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct check_test {
    const char *name;
    void (*run)(void);
} check_test;

/* Runs every test whose name contains argv[1] (all without it). Returns the exit status. */
int check_main(int argc, char **argv, const check_test *tests, size_t count);
/* Marks the running test as skipped, with the reason that the log shows; then return from it. */
void check_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Records a failure of the running test. */
void check_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void check_int_at(const char *file, int line, const char *text, long long found,
                  long long expected);
void check_string_at(const char *file, int line, const char *text, const char *found,
                     const char *expected);
void check_bytes_at(const char *file, int line, const char *text, const void *found,
                    const void *expected, size_t size);

/* Reads a whole file (NUL-terminated for convenience); fails the program when it cannot. The path
 * is relative to the source tree's tests/data unless it starts with '/'. The caller frees. */
void *check_read_file(const char *path, size_t *size_bytes);
/* Absolute path of a file under tests/data; a static buffer of four turns. */
const char *check_data_path(const char *relative);

/* xorshift-style deterministic generator for property tests. */
uint64_t check_random(uint64_t *state);

#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : check_fail(__FILE__, __LINE__, "expected %s", #condition))
#define CHECK_INT(found, expected)                                                                 \
    check_int_at(__FILE__, __LINE__, #found, (long long)(found), (long long)(expected))
#define CHECK_STRING(found, expected) check_string_at(__FILE__, __LINE__, #found, found, expected)
#define CHECK_BYTES(found, expected, size)                                                         \
    check_bytes_at(__FILE__, __LINE__, #found, found, expected, size)
#define CHECK_MAIN(table)                                                                          \
    int main(int argc, char **argv) {                                                              \
        return check_main(argc, argv, table, sizeof(table) / sizeof((table)[0]));                  \
    }

#endif
