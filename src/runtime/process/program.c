#include "runtime/process/program.h"

#include <string.h>

/* Offsets in an ELF file of 64 bits, little-endian, and in a row of its program headers. */
enum {
    HEADER_BYTES = 64,
    HEADERS_OFFSET_AT = 32,
    HEADER_SIZE_AT = 54,
    HEADER_COUNT_AT = 56,
    ROW_BYTES = 56,
    ROW_OFFSET_AT = 8,
    ROW_SIZE_AT = 32,
    KIND_INTERPRETER = 3,
    MAX_ROWS = 128
};

static uint64_t number_at(const uint8_t *bytes, unsigned n_bytes) {
    uint64_t value = 0;
    for (unsigned i = n_bytes; i > 0; i--) {
        value = value << 8 | bytes[i - 1];
    }
    return value;
}

static tars_status not_a_program(const uint8_t *head, tars_error *err) {
    if (head[0] == '#' && head[1] == '!') {
        error_set(err, TARS_UNSUPPORTED, "this is a script; expected a program");
        return error_hint(err, "run its interpreter and give it the script: grant the script's "
                               "folder with --dir");
    }
    error_set(err, TARS_UNSUPPORTED, "this is no ELF program of 64 bits");
    return error_hint(err, "give a program that was compiled for this machine");
}

static tars_status read_interpreter(const platform_file *file, const uint8_t *row, char *out,
                                    tars_error *err) {
    uint64_t size = number_at(row + ROW_SIZE_AT, 8);
    if (size == 0 || size > PROGRAM_INTERPRETER_BYTES) {
        return error_set(err, TARS_MALFORMED, "the program's loader has a name of %llu bytes",
                         (unsigned long long)size);
    }
    tars_status status =
        platform_file_read_at(file, number_at(row + ROW_OFFSET_AT, 8), out, (size_t)size, err);
    out[size - 1] = '\0';
    return status;
}

static tars_status find_interpreter(const platform_file *file, char *out, tars_error *err) {
    uint8_t head[HEADER_BYTES] = {0};
    platform_file_info info;
    tars_status status = platform_file_get_info(file, &info, err);
    if (status == TARS_OK) {
        size_t length = info.size_bytes < sizeof head ? (size_t)info.size_bytes : sizeof head;
        status = platform_file_read_at(file, 0, head, length, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    if (memcmp(head, "\177ELF\2\1", 6) != 0) {
        return not_a_program(head, err);
    }
    uint64_t offset = number_at(head + HEADERS_OFFSET_AT, 8);
    uint64_t step = number_at(head + HEADER_SIZE_AT, 2);
    uint64_t n = number_at(head + HEADER_COUNT_AT, 2);
    if (step < ROW_BYTES || n > MAX_ROWS || offset > info.size_bytes) {
        return error_set(err, TARS_MALFORMED, "the program's headers are damaged");
    }
    for (uint64_t i = 0; i < n; i++) {
        uint8_t row[ROW_BYTES];
        status = platform_file_read_at(file, offset + i * step, row, sizeof row, err);
        if (status != TARS_OK) {
            return status;
        }
        if (number_at(row, 4) == KIND_INTERPRETER) {
            return read_interpreter(file, row, out, err);
        }
    }
    return TARS_OK;
}

tars_status program_interpreter(const char *path, char out[PROGRAM_INTERPRETER_BYTES],
                                tars_error *err) {
    platform_file file;
    out[0] = '\0';
    tars_status status = platform_file_open(path, &file, err);
    if (status == TARS_OK) {
        status = find_interpreter(&file, out, err);
        if (status != TARS_OK && err && err->where[0] == '\0') {
            error_where(err, "%s", path);
        }
        platform_file_close(&file);
    }
    return status;
}
