/* The table of tensor types and exact widening, against values that gguf-py 0.19.0 computed
 * (tests/data/dequant/dequant.json holds its provenance). */
#include "support/check.h"

#include "base/arena.h"
#include "base/json.h"
#include "engine/tensor_type.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_value *load_expectations(void **memory, arena *a) {
    size_t size = 0;
    char *text = check_read_file("dequant/dequant.json", &size);
    size_t arena_bytes = 8u << 20;
    *memory = malloc(arena_bytes);
    arena_init(a, *memory, arena_bytes);
    json_value *root = NULL;
    tars_error err;
    if (json_parse(text, size, NULL, a, &root, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "dequant.json: %s (%s)", err.message, err.where);
    }
    free(text);
    return root;
}

static int base64_value(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static uint8_t *decode_base64(const char *text, size_t length, size_t *size) {
    uint8_t *bytes = malloc(length);
    uint32_t bits = 0;
    size_t n = 0, digits = 0;
    for (size_t i = 0; i < length && base64_value(text[i]) >= 0; i++) {
        bits = bits << 6 | (uint32_t)base64_value(text[i]);
        if (++digits % 4 != 1) {
            bytes[n++] = (uint8_t)(bits >> ((4 - (digits - 1) % 4 - 1) * 2));
        }
    }
    *size = n;
    return bytes;
}

/* Compares one table of rows; a zero of the other sign counts as equal, as its provenance says. */
static size_t check_table(uint32_t type, const json_value *table) {
    size_t size = 0, values = 0;
    const json_value *data = json_member(table, "data_b64");
    uint8_t *bytes = decode_base64(data->string, data->string_length, &size);
    size_t n_columns = (size_t)json_integer_or(json_member(table, "cols"), 0);
    uint64_t row_bytes = 0;
    CHECK(tensor_row_bytes(type, n_columns, &row_bytes));
    CHECK_INT(row_bytes, json_integer_or(json_member(table, "row_bytes"), -1));
    float *row = malloc(n_columns * sizeof *row);
    size_t r = 0;
    for (const json_value *text = json_member(table, "f32_hex")->first; text; text = text->next) {
        CHECK((r + 1) * row_bytes <= size);
        CHECK_INT(text->string_length, n_columns * 8);
        tensor_dequantize_row(type, bytes + r * row_bytes, row, n_columns);
        for (size_t i = 0; i < n_columns; i++) {
            char hex[9] = {0};
            memcpy(hex, text->string + 8 * i, 8);
            uint32_t expected = (uint32_t)strtoul(hex, NULL, 16), found;
            memcpy(&found, &row[i], sizeof found);
            if (found != expected && ((found | expected) & 0x7fffffffu) != 0) {
                check_fail(__FILE__, __LINE__, "%s row %zu column %zu: %08x, expected %08x",
                           tensor_type_get(type)->name, r, i, found, expected);
            }
            values++;
        }
        r++;
    }
    CHECK_INT(r * row_bytes, size);
    free(row);
    free(bytes);
    return values;
}

static void test_widening_is_exact(void) {
    void *memory;
    arena a;
    json_value *root = load_expectations(&memory, &a);
    size_t values = 0, types = 0;
    for (const json_value *t = json_member(root, "types")->first; t; t = t->next) {
        int type = tensor_type_by_name(t->key);
        CHECK(type >= 0 && tensor_type_get((uint32_t)type)->computable);
        for (const json_value *table = json_member(t, "tables")->first; table;
             table = table->next) {
            values += check_table((uint32_t)type, table);
        }
        types++;
    }
    CHECK_INT(types, 7);
    CHECK(values >= 7 * 2048);
    free(memory);
}

static void test_geometry(void) {
    void *memory;
    arena a;
    json_value *root = load_expectations(&memory, &a);
    size_t n = 0;
    for (const json_value *t = json_member(root, "geometry")->first; t; t = t->next) {
        int type = tensor_type_by_name(t->key);
        CHECK_INT(type, json_integer_or(json_member(t, "ggml_type"), -1));
        const tensor_type_info *info = tensor_type_get((uint32_t)type);
        CHECK_STRING(info->name, t->key);
        CHECK_INT(info->block_size, json_integer_or(json_member(t, "block"), -1));
        CHECK_INT(info->block_bytes, json_integer_or(json_member(t, "block_bytes"), -1));
        n++;
    }
    CHECK_INT(n, 24);
    free(memory);
}

static void test_every_half(void) {
    /* all 65,536 patterns against the definition: sign · 2^exponent · mantissa */
    for (uint32_t half = 0; half < 65536; half++) {
        uint8_t bytes[2] = {(uint8_t)half, (uint8_t)(half >> 8)};
        float found;
        tensor_dequantize_row(TENSOR_F16, bytes, &found, 1);
        int exponent = (int)(half >> 10 & 31);
        double magnitude = exponent == 0 ? 0 : 1024;
        magnitude += (double)(half & 1023);
        for (int e = exponent == 0 ? 1 : exponent; e > 25; e--) {
            magnitude *= 2;
        }
        for (int e = exponent == 0 ? 1 : exponent; e < 25; e++) {
            magnitude /= 2;
        }
        double expected = half >> 15 ? -magnitude : magnitude;
        if (exponent == 31) {
            bool nan = (half & 1023) != 0;
            CHECK(nan ? found != found : found == (half >> 15 ? -1 / 0.0f : 1 / 0.0f));
        } else {
            CHECK((double)found == expected);
            uint32_t bits;
            memcpy(&bits, &found, sizeof bits);
            CHECK_INT(bits >> 31, half >> 15);
        }
    }
}

static void test_unknown_types(void) {
    static const uint32_t unknown[] = {4, 5, 9, 15, 31, 32, 33, 36, 37, 38, 40, 99, 0xFFFFFFFFu};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        uint64_t bytes = 7;
        CHECK(tensor_type_get(unknown[i])->name == NULL);
        CHECK(!tensor_type_get(unknown[i])->computable);
        CHECK(!tensor_row_bytes(unknown[i], 256, &bytes));
        CHECK_INT(bytes, 7);
    }
    CHECK_INT(tensor_type_by_name("Q9_9"), -1);
    CHECK_INT(tensor_type_by_name("q4_0"), -1);
    CHECK_INT(tensor_type_by_name(""), -1);
}

static void test_row_bytes(void) {
    uint64_t bytes = 0;
    CHECK(tensor_row_bytes(TENSOR_Q4_0, 64, &bytes));
    CHECK_INT(bytes, 36);
    CHECK(!tensor_row_bytes(TENSOR_Q4_0, 8, &bytes));
    CHECK(!tensor_row_bytes(TENSOR_Q6_K, 128, &bytes));
    CHECK(tensor_row_bytes(TENSOR_F32, UINT64_MAX / 4, &bytes));
    CHECK(!tensor_row_bytes(TENSOR_F32, UINT64_MAX / 4 + 1, &bytes));
    CHECK(!tensor_row_bytes(TENSOR_F64, UINT64_MAX, &bytes));
    CHECK(tensor_row_bytes(TENSOR_F32, 0, &bytes));
    CHECK_INT(bytes, 0);
}

static const check_test tests[] = {
    {"widening is exact", test_widening_is_exact},
    {"geometry", test_geometry},
    {"every half", test_every_half},
    {"unknown types", test_unknown_types},
    {"row bytes", test_row_bytes},
};

CHECK_MAIN(tests)
