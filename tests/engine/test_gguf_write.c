/* The GGUF writer: the very bytes, the layout of the data, and what it refuses. */
#include "support/check.h"

#include "engine/gguf_write.h"

#include <string.h>

static void test_bytes(void) {
    static const uint8_t expected[] =
        "GGUF\3\0\0\0"
        "\1\0\0\0\0\0\0\0"                                               /* tensors */
        "\3\0\0\0\0\0\0\0"                                               /* keys */
        "\1\0\0\0\0\0\0\0k\4\0\0\0\7\0\0\0"                              /* uint32 */
        "\1\0\0\0\0\0\0\0s\x8\0\0\0\2\0\0\0\0\0\0\0hi"                   /* string */
        "\1\0\0\0\0\0\0\0a\x9\0\0\0\3\0\0\0\2\0\0\0\0\0\0\0\xFE\xFF\1\0" /* int16[2] */
        "\1\0\0\0\0\0\0\0t\2\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0";
    static const int16_t shorts[] = {-2, 1};
    const gguf_entry entries[] = {gguf_entry_u32("k", 7), gguf_entry_string("s", "hi"),
                                  gguf_entry_numbers("a", GGUF_INT16, shorts, 2)};
    gguf_tensor_entry tensor = {.name = "t", .type = TENSOR_F16, .n_dims = 2, .dims = {2, 3}};
    for (int turn = 0; turn < 2; turn++) {
        uint8_t memory[1024];
        memset(memory, 0xA5, sizeof memory); /* what was there must not show */
        arena a;
        arena_init(&a, memory, sizeof memory);
        gguf_header header;
        tars_error err;
        CHECK_INT(gguf_write_header(entries, 3, &tensor, 1, &a, &header, &err), TARS_OK);
        CHECK_INT(header.header_bytes, sizeof expected - 1);
        CHECK_BYTES(header.bytes, expected, sizeof expected - 1);
        CHECK_INT(header.data_offset % GGUF_DEFAULT_ALIGNMENT, 0);
        for (size_t i = header.header_bytes; i < header.data_offset; i++) {
            CHECK_INT(header.bytes[i], 0);
        }
        CHECK_INT(header.data_bytes, 12);
    }
}

static void test_layout(void) {
    gguf_tensor_entry tensors[] = {
        {.name = "a", .type = TENSOR_F32, .n_dims = 1, .dims = {1}},
        {.name = "b", .type = TENSOR_Q8_0, .n_dims = 2, .dims = {64, 3}},
        {.name = "c", .type = TENSOR_F32, .n_dims = 4, .dims = {2, 2, 2, 2}},
    };
    uint8_t memory[1024];
    arena a;
    arena_init(&a, memory, sizeof memory);
    gguf_header header;
    CHECK_INT(gguf_write_header(NULL, 0, tensors, 3, &a, &header, NULL), TARS_OK);
    CHECK_INT(tensors[0].offset, 0);
    CHECK_INT(tensors[0].size_bytes, 4);
    CHECK_INT(tensors[1].offset, 32);
    CHECK_INT(tensors[1].size_bytes, 204);
    CHECK_INT(tensors[2].offset, 256);
    CHECK_INT(tensors[2].size_bytes, 64);
    CHECK_INT(header.data_bytes, 320);
}

static void test_refusals(void) {
    static const gguf_tensor_entry wrong[] = {
        {.name = "no dimension", .type = TENSOR_F32, .n_dims = 0, .dims = {1}},
        {.name = "five", .type = TENSOR_F32, .n_dims = 5, .dims = {1, 1, 1, 1}},
        {.name = "type", .type = 4, .n_dims = 1, .dims = {32}},
        {.name = "block", .type = TENSOR_Q4_0, .n_dims = 1, .dims = {33}},
        {.name = "wraps", .type = TENSOR_F32, .n_dims = 2, .dims = {1ull << 40, 1ull << 40}},
        {.name = "row wraps", .type = TENSOR_F32, .n_dims = 1, .dims = {1ull << 63}},
        {.name = "end wraps", .type = TENSOR_I8, .n_dims = 1, .dims = {UINT64_MAX}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint8_t memory[1024];
        arena a;
        arena_init(&a, memory, sizeof memory);
        gguf_tensor_entry tensors[2] = {
            {.name = "fine", .type = TENSOR_F32, .n_dims = 1, .dims = {1}}, wrong[i]};
        gguf_header header;
        tars_error err;
        CHECK_INT(gguf_write_header(NULL, 0, tensors, 2, &a, &header, &err), TARS_USAGE);
        CHECK(strstr(err.message, wrong[i].name) != NULL);
        CHECK(header.bytes == NULL);
    }
    uint8_t memory[60];
    arena a;
    arena_init(&a, memory, sizeof memory);
    gguf_header header;
    tars_error err;
    const gguf_entry entry = gguf_entry_string("long enough", "for sixty bytes of memory");
    CHECK_INT(gguf_write_header(&entry, 1, NULL, 0, &a, &header, &err), TARS_OUT_OF_MEMORY);
}

static const check_test tests[] = {
    {"bytes", test_bytes},
    {"layout", test_layout},
    {"refusals", test_refusals},
};

CHECK_MAIN(tests)
