/* The GGUF reader on files made here: access, limits, memory, time, and everything that can be
 * done to a valid file: cut, flipped, overwritten, sources and arenas that fail. */
#include "support/check.h"

#include "engine/gguf.h"
#include "engine/gguf_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t memory_bound(uint64_t header_bytes) {
    return GGUF_MEMORY_MULTIPLE * header_bytes + GGUF_READ_BYTES;
}

/* A small valid file with a key of every type and tensors of several. The caller frees. */
static uint8_t *make_file(size_t *size) {
    static const gguf_text words[] = {{"a", 1}, {"", 0}, {"long word", 9}, {"\xff", 1}};
    static const int32_t types[] = {1, -3, 2147483647, -2147483647 - 1};
    static const float scores[] = {0.5f, -1.25f, 0, 3e38f};
    static const double doubles[] = {0.1, -1e300};
    static const uint64_t wide[] = {0, 18446744073709551615u};
    static const uint8_t flags[] = {1, 0, 1};
    static const int16_t shorts[] = {-32768, 7};
    const gguf_entry entries[] = {
        gguf_entry_string("general.architecture", "llama"),
        gguf_entry_u32("general.alignment", 32),
        gguf_entry_u32("llama.block_count", 2),
        gguf_entry_u64("wide", 18446744073709551615u),
        gguf_entry_i32("negative", -7),
        gguf_entry_f32("llama.eps", 1e-5f),
        gguf_entry_bool("flag", true),
        gguf_entry_string("empty", ""),
        gguf_entry_texts("words", words, 4),
        gguf_entry_texts("no words", NULL, 0),
        gguf_entry_numbers("types", GGUF_INT32, types, 4),
        gguf_entry_numbers("scores", GGUF_FLOAT32, scores, 4),
        gguf_entry_numbers("doubles", GGUF_FLOAT64, doubles, 2),
        gguf_entry_numbers("wides", GGUF_UINT64, wide, 2),
        gguf_entry_numbers("flags", GGUF_BOOL, flags, 3),
        gguf_entry_numbers("shorts", GGUF_INT16, shorts, 2),
    };
    gguf_tensor_entry tensors[] = {
        {.name = "token_embd.weight", .type = TENSOR_F32, .n_dims = 2, .dims = {8, 3}},
        {.name = "norm", .type = TENSOR_F16, .n_dims = 1, .dims = {5}},
        {.name = "q", .type = TENSOR_Q4_0, .n_dims = 3, .dims = {32, 2, 2}},
    };
    uint8_t memory[8192];
    arena a;
    arena_init(&a, memory, sizeof memory);
    gguf_header header;
    tars_error err;
    if (gguf_write_header(entries, sizeof entries / sizeof entries[0], tensors, 3, &a, &header,
                          &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s", err.message);
    }
    *size = header.data_offset + (size_t)header.data_bytes;
    uint8_t *file = malloc(*size);
    memset(file, 0x5A, *size);
    memcpy(file, header.bytes, header.data_offset);
    return file;
}

/* Every fact that the header promises about an open file. */
static void check_promises(const gguf_file *f, uint64_t size) {
    CHECK(f->version == 2 || f->version == 3);
    CHECK(f->header_bytes >= GGUF_HEADER_MIN_BYTES && f->header_bytes <= size);
    CHECK(f->data_offset >= f->header_bytes && f->data_offset % f->alignment == 0);
    uint64_t sum = 0;
    for (size_t i = 0; i < f->n_keys; i++) {
        const gguf_key *k = &f->keys[i];
        CHECK(k->type < GGUF_VALUE_TYPES && k->element_type < GGUF_VALUE_TYPES);
        for (uint64_t e = 0; k->type == GGUF_ARRAY && e < k->count; e++) {
            if (k->element_type == GGUF_STRING) {
                gguf_text t = gguf_element_text(f, k, e);
                for (size_t c = 0; c < t.length; c++) {
                    sum += (uint8_t)t.bytes[c];
                }
            } else if (k->element_type == GGUF_FLOAT32 || k->element_type == GGUF_FLOAT64) {
                sum += gguf_element_f64(k, e) > 0;
            } else {
                sum += (uint64_t)gguf_element_i64(k, e);
            }
        }
        gguf_text t;
        double d;
        bool b;
        int64_t n;
        sum += gguf_key_text(k, &t) ? t.length : 0;
        sum += gguf_key_f64(k, &d) && d > 0;
        sum += gguf_key_bool(k, &b) && b;
        sum += gguf_key_i64(k, &n) && n > 0;
    }
    for (size_t i = 0; i < f->n_tensors; i++) {
        const gguf_tensor *t = &f->tensors[i];
        CHECK(t->size_bytes > 0 && t->offset % f->alignment == 0);
        CHECK(t->offset <= size && t->size_bytes <= size &&
              f->data_offset + t->offset + t->size_bytes <= size);
        CHECK(t->n_dims >= 1 && t->n_dims <= 4 && tensor_type_get(t->type)->name);
        CHECK(t->name.length >= 1 && t->name.length <= GGUF_MAX_TENSOR_NAME_BYTES);
        for (size_t j = 0; j < i; j++) {
            const gguf_tensor *o = &f->tensors[j];
            CHECK(o->offset >= t->offset + t->size_bytes || t->offset >= o->offset + o->size_bytes);
        }
    }
    CHECK(sum != 0x1234567887654321u); /* keeps the reads above */
}

/* Opens a copy without a spare byte in an arena of exactly the promised size. */
static tars_status open_copy(const uint8_t *bytes, size_t size, tars_error *err) {
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, bytes, size);
    size_t arena_bytes = (size_t)memory_bound(size);
    void *memory = malloc(arena_bytes);
    arena a;
    arena_init(&a, memory, arena_bytes);
    byte_source source = byte_source_memory(exact, size);
    gguf_file file;
    tars_status status = gguf_open(&source, NULL, &a, &file, err);
    if (status == TARS_OK) {
        check_promises(&file, size);
    } else {
        CHECK(status != TARS_OUT_OF_MEMORY);
        CHECK(err->message[0] && err->where[0]);
    }
    free(memory);
    free(exact);
    return status;
}

typedef struct opened {
    uint8_t *bytes;
    void *memory;
    arena a;
    byte_source source;
    gguf_file file;
} opened;

static void open_made(opened *o) {
    size_t size;
    tars_error err;
    o->bytes = make_file(&size);
    size_t arena_bytes = (size_t)memory_bound(size);
    o->memory = malloc(arena_bytes);
    arena_init(&o->a, o->memory, arena_bytes);
    o->source = byte_source_memory(o->bytes, size);
    if (gguf_open(&o->source, NULL, &o->a, &o->file, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s (%s)", err.message, err.where);
    }
}

static void close_made(opened *o) {
    free(o->bytes);
    free(o->memory);
}

static void test_access(void) {
    opened o;
    open_made(&o);
    const gguf_file *f = &o.file;
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    int64_t i64 = 0;
    float f32 = 0;
    bool flag = false;
    gguf_text text;
    CHECK_INT(f->version, 3);
    CHECK_INT(f->n_keys, 16);
    CHECK_INT(f->n_tensors, 3);
    CHECK_INT(gguf_get_u32(f, "llama.block_count", &u32, NULL), TARS_OK);
    CHECK_INT(u32, 2);
    CHECK_INT(gguf_get_u64(f, "wide", &u64, NULL), TARS_OK);
    CHECK(u64 == UINT64_MAX);
    CHECK_INT(gguf_get_i64(f, "negative", &i64, NULL), TARS_OK);
    CHECK_INT(i64, -7);
    CHECK_INT(gguf_get_f32(f, "llama.eps", &f32, NULL), TARS_OK);
    CHECK(f32 == 1e-5f);
    CHECK_INT(gguf_get_bool(f, "flag", &flag, NULL), TARS_OK);
    CHECK(flag);
    CHECK_INT(gguf_get_text(f, "empty", &text, NULL), TARS_OK);
    CHECK_INT(text.length, 0);
    CHECK_INT(gguf_get_text(f, "general.architecture", &text, NULL), TARS_OK);
    CHECK(gguf_text_equals(text, "llama"));
    const gguf_key *key = gguf_find_for_architecture(f, "block_count");
    CHECK(key && gguf_text_equals(key->name, "llama.block_count"));
    CHECK(gguf_find_for_architecture(f, "block_coun") == NULL);
    CHECK(gguf_find(f, "llama.block_coun") == NULL && gguf_find(f, "") == NULL);
    const gguf_tensor *t = gguf_find_tensor(f, "q");
    CHECK(t && t->type == TENSOR_Q4_0 && t->n_dims == 3 && t->dims[3] == 1 && t->size_bytes == 72);
    CHECK(gguf_find_tensor(f, "qq") == NULL);
    CHECK(memcmp(f->header, o.bytes, (size_t)f->header_bytes) == 0);
    close_made(&o);
}

static void test_arrays(void) {
    opened o;
    open_made(&o);
    const gguf_file *f = &o.file;
    const gguf_key *key;
    CHECK_INT(gguf_get_array(f, "words", GGUF_STRING, &key, NULL), TARS_OK);
    CHECK_INT(key->count, 4);
    CHECK(gguf_text_equals(gguf_element_text(f, key, 2), "long word"));
    CHECK_INT(gguf_element_text(f, key, 1).length, 0);
    CHECK_INT((uint8_t)gguf_element_text(f, key, 3).bytes[0], 0xff);
    CHECK_INT(gguf_get_array(f, "no words", GGUF_STRING, &key, NULL), TARS_OK);
    CHECK_INT(key->count, 0);
    CHECK_INT(gguf_get_array(f, "types", GGUF_VALUE_TYPES, &key, NULL), TARS_OK);
    CHECK_INT(gguf_element_i64(key, 1), -3);
    CHECK_INT(gguf_element_i64(key, 3), -2147483648LL);
    CHECK_INT(gguf_get_array(f, "shorts", GGUF_INT16, &key, NULL), TARS_OK);
    CHECK_INT(gguf_element_i64(key, 0), -32768);
    CHECK_INT(gguf_get_array(f, "scores", GGUF_FLOAT32, &key, NULL), TARS_OK);
    CHECK(gguf_element_f64(key, 1) == -1.25);
    CHECK_INT(gguf_get_array(f, "doubles", GGUF_FLOAT64, &key, NULL), TARS_OK);
    CHECK(gguf_element_f64(key, 1) == -1e300);
    CHECK_INT(gguf_get_array(f, "flags", GGUF_BOOL, &key, NULL), TARS_OK);
    CHECK_INT(gguf_element_i64(key, 2), 1);
    CHECK_INT(gguf_get_array(f, "wides", GGUF_UINT64, &key, NULL), TARS_OK);
    CHECK((uint64_t)gguf_element_i64(key, 1) == UINT64_MAX);
    close_made(&o);
}

static void test_wrong_access(void) {
    opened o;
    open_made(&o);
    const gguf_file *f = &o.file;
    tars_error err;
    uint32_t u32 = 99;
    uint64_t u64 = 99;
    int64_t i64 = 99;
    double f64 = 99;
    bool flag = true;
    gguf_text text;
    const gguf_key *key;
    CHECK_INT(gguf_get_u32(f, "absent", &u32, &err), TARS_NOT_FOUND);
    CHECK_STRING(err.message, "the file has no key 'absent'");
    CHECK_INT(gguf_get_u32(f, "negative", &u32, &err), TARS_MALFORMED);
    CHECK_STRING(err.message,
                 "the key 'negative' is -7 (int32), expected an integer from 0 to 4294967295");
    CHECK_INT(gguf_get_u32(f, "wide", &u32, &err), TARS_MALFORMED);
    CHECK_INT(gguf_get_i64(f, "wide", &i64, &err), TARS_MALFORMED);
    CHECK_INT(gguf_get_u64(f, "negative", &u64, &err), TARS_MALFORMED);
    CHECK_INT(gguf_get_u32(f, "empty", &u32, &err), TARS_MALFORMED);
    CHECK_INT(gguf_get_u32(f, "flag", &u32, &err), TARS_MALFORMED);
    CHECK_INT(gguf_get_u32(f, "llama.eps", &u32, &err), TARS_MALFORMED);
    CHECK_INT(gguf_get_u32(f, "types", &u32, &err), TARS_MALFORMED);
    CHECK_STRING(err.message, "the key 'types' is of type array of int32, expected an integer "
                              "from 0 to 4294967295");
    CHECK(strstr(err.where, "key 'types' at byte ") == err.where);
    CHECK_INT(gguf_get_f64(f, "wide", &f64, &err), TARS_MALFORMED);
    CHECK_INT(gguf_get_bool(f, "wide", &flag, &err), TARS_MALFORMED);
    CHECK_INT(gguf_get_text(f, "words", &text, &err), TARS_MALFORMED);
    CHECK_INT(gguf_get_array(f, "words", GGUF_INT32, &key, &err), TARS_MALFORMED);
    CHECK_STRING(err.message,
                 "the key 'words' is of type array of string, expected an array of int32");
    CHECK_INT(gguf_get_array(f, "words", GGUF_VALUE_TYPES, &key, &err), TARS_MALFORMED);
    CHECK_INT(gguf_get_array(f, "flags", GGUF_VALUE_TYPES, &key, &err), TARS_MALFORMED);
    CHECK_INT(gguf_get_array(f, "empty", GGUF_STRING, &key, &err), TARS_MALFORMED);
    CHECK_INT(gguf_get_array(f, "absent", GGUF_STRING, &key, &err), TARS_NOT_FOUND);
    CHECK_INT(gguf_get_u64(f, "absent", &u64, &err), TARS_NOT_FOUND);
    CHECK_INT(gguf_get_i64(f, "absent", &i64, &err), TARS_NOT_FOUND);
    CHECK_INT(gguf_get_f64(f, "absent", &f64, &err), TARS_NOT_FOUND);
    CHECK_INT(gguf_get_bool(f, "absent", &flag, &err), TARS_NOT_FOUND);
    CHECK_INT(gguf_get_text(f, "absent", &text, &err), TARS_NOT_FOUND);
    CHECK(!gguf_key_u64(NULL, &u64) && !gguf_key_text(NULL, &text));
    CHECK(u32 == 99 && u64 == 99 && i64 == 99 && f64 == 99 && flag && key == NULL);
    close_made(&o);
}

static void test_version_2(void) {
    size_t size;
    tars_error err;
    uint8_t *bytes = make_file(&size);
    bytes[4] = 2;
    CHECK_INT(open_copy(bytes, size, &err), TARS_OK);
    bytes[4] = 1;
    CHECK_INT(open_copy(bytes, size, &err), TARS_UNSUPPORTED);
    bytes[4] = 4;
    CHECK_INT(open_copy(bytes, size, &err), TARS_UNSUPPORTED);
    memcpy(bytes + 4, "\0\0\0\2", 4);
    CHECK_INT(open_copy(bytes, size, &err), TARS_UNSUPPORTED);
    CHECK(strstr(err.message, "big-endian") != NULL);
    free(bytes);
}

static void test_cut_at_every_byte(void) {
    size_t size;
    uint8_t *bytes = make_file(&size);
    for (size_t length = 0; length < size; length++) {
        tars_error err;
        if (open_copy(bytes, length, &err) != TARS_MALFORMED) {
            check_fail(__FILE__, __LINE__, "cut at byte %zu: %s", length, err.message);
        }
    }
    tars_error err;
    CHECK_INT(open_copy(bytes, size, &err), TARS_OK);
    free(bytes);
}

static void test_every_bit_flipped(void) {
    size_t size, accepted = 0, refused = 0;
    uint8_t *bytes = make_file(&size);
    for (size_t i = 0; i < size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            tars_error err;
            bytes[i] ^= (uint8_t)(1u << bit);
            tars_status status = open_copy(bytes, size, &err);
            bytes[i] ^= (uint8_t)(1u << bit);
            accepted += status == TARS_OK;
            refused += status != TARS_OK;
        }
    }
    printf("    %zu accepted, %zu refused\n", accepted, refused);
    CHECK(refused > 1000 && accepted > 1000);
    free(bytes);
}

static void test_every_word_overwritten(void) {
    static const uint64_t extremes[] = {0,
                                        1,
                                        9,
                                        0x7F,
                                        0xFF,
                                        0x7FFFFFFF,
                                        0x80000000,
                                        0xFFFFFFFF,
                                        0x100000000,
                                        0x1FFFFFFFFFFFFFFF,
                                        0x2000000000000000,
                                        0x3FFFFFFFFFFFFFFF,
                                        0x4000000000000000,
                                        0x7FFFFFFFFFFFFFFF,
                                        0x8000000000000000,
                                        0xFFFFFFFFFFFFFFE0,
                                        0xFFFFFFFFFFFFFFFF};
    size_t size;
    uint8_t *bytes = make_file(&size);
    size_t tried = 0;
    for (size_t i = 0; i + 8 <= size; i++) {
        for (size_t e = 0; e < sizeof extremes / sizeof extremes[0]; e++) {
            for (size_t width = 4; width <= 8; width += 4) {
                uint8_t saved[8];
                tars_error err;
                memcpy(saved, bytes + i, 8);
                memcpy(bytes + i, &extremes[e], width);
                open_copy(bytes, size, &err);
                memcpy(bytes + i, saved, 8);
                tried++;
            }
        }
    }
    CHECK(tried > 10000);
    free(bytes);
}

/* A source that counts, and fails at a given read. */
typedef struct probe {
    const uint8_t *bytes;
    uint64_t furthest;
    uint64_t total;
    int reads;
    int fail_at; /* 0: never */
} probe;

static tars_status probe_read(void *context, uint64_t offset, void *buffer, size_t length,
                              tars_error *err) {
    probe *p = context;
    if (++p->reads == p->fail_at) {
        return error_set(err, TARS_IO, "the disk says no");
    }
    memcpy(buffer, p->bytes + offset, length);
    p->furthest = offset + length > p->furthest ? offset + length : p->furthest;
    p->total += length;
    return TARS_OK;
}

/* `n` keys "kNNNNNNN" of type uint8 with a shared start of `padding` letters. */
static uint8_t *make_many_keys(size_t n, size_t padding, size_t *size) {
    size_t key_bytes = 8 + padding + 8 + 4 + 1;
    *size = GGUF_HEADER_MIN_BYTES + n * key_bytes;
    uint8_t *file = calloc(*size, 1);
    memcpy(file, "GGUF\3\0\0\0\0\0\0\0\0\0\0\0", 16);
    uint64_t count = n, length = padding + 8;
    memcpy(file + 16, &count, 8);
    for (size_t i = 0; i < n; i++) {
        uint8_t *key = file + GGUF_HEADER_MIN_BYTES + i * key_bytes;
        char name[24];
        memcpy(key, &length, 8);
        memset(key + 8, 'a', padding);
        snprintf(name, sizeof name, "k%07zu", (i * 7919) % n);
        memcpy(key + 8 + padding, name, 8);
    }
    return file;
}

static void test_memory_is_bounded(void) {
    /* shortest possible keys: names of two bytes */
    size_t n = 90 * 90, size = GGUF_HEADER_MIN_BYTES + n * (8 + 2 + 4 + 1);
    uint8_t *file = calloc(size, 1);
    uint64_t count = n;
    memcpy(file, "GGUF\3\0\0\0\0\0\0\0\0\0\0\0", 16);
    memcpy(file + 16, &count, 8);
    for (size_t i = 0; i < n; i++) {
        uint8_t *key = file + GGUF_HEADER_MIN_BYTES + i * 15;
        key[0] = 2;
        key[8] = (uint8_t)(32 + i % 90);
        key[9] = (uint8_t)(32 + i / 90);
    }
    size_t arena_bytes = 64u << 20;
    void *memory = malloc(arena_bytes);
    arena a;
    arena_init(&a, memory, arena_bytes);
    byte_source source = byte_source_memory(file, size);
    gguf_file f;
    tars_error err;
    CHECK_INT(gguf_open(&source, NULL, &a, &f, &err), TARS_OK);
    printf("    %zu keys in %zu bytes take %zu bytes, %.2f times\n", n, size, a.peak_bytes,
           (double)a.peak_bytes / (double)size);
    CHECK(a.peak_bytes <= memory_bound(size));
    free(memory);
    free(file);
}

static void test_time_is_not_quadratic(void) {
    /* 60,000 names of 500 bytes that differ in their last few */
    size_t size, arena_bytes = 256u << 20;
    uint8_t *file = make_many_keys(60000, 492, &size);
    void *memory = malloc(arena_bytes);
    arena a;
    arena_init(&a, memory, arena_bytes);
    byte_source source = byte_source_memory(file, size);
    gguf_file f;
    tars_error err;
    clock_t start = clock();
    CHECK_INT(gguf_open(&source, NULL, &a, &f, &err), TARS_OK);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    printf("    %zu keys, %zu bytes: %.3f s, %.2f times the bytes\n", f.n_keys, size, seconds,
           (double)a.peak_bytes / (double)size);
    CHECK_INT(f.n_keys, 60000);
    CHECK(seconds < 10); /* quadratic would be 1.8e9 comparisons of 500 bytes */
    CHECK(a.peak_bytes <= memory_bound(size));
    free(memory);
    free(file);
}

static void test_tensor_data_is_not_read(void) {
    /* a file said to have 90 GB, of which only the header exists */
    gguf_tensor_entry tensors[] = {
        {.name = "a", .type = TENSOR_F32, .n_dims = 2, .dims = {1u << 17, 1u << 16}},
        {.name = "b", .type = TENSOR_Q8_0, .n_dims = 2, .dims = {1u << 18, 1u << 17}},
        {.name = "c", .type = TENSOR_F16, .n_dims = 2, .dims = {1u << 17, 1u << 16}},
    };
    uint8_t memory[4096];
    arena a;
    arena_init(&a, memory, sizeof memory);
    gguf_header header;
    CHECK_INT(gguf_write_header(NULL, 0, tensors, 3, &a, &header, NULL), TARS_OK);
    CHECK(header.data_bytes > 85000000000u);
    uint8_t *bytes = calloc(GGUF_READ_BYTES * 2, 1);
    memcpy(bytes, header.bytes, header.data_offset);
    probe p = {.bytes = bytes};
    byte_source source = {&p, header.data_offset + header.data_bytes, probe_read};
    size_t arena_bytes = (size_t)memory_bound(header.header_bytes);
    void *block = malloc(arena_bytes);
    arena_init(&a, block, arena_bytes);
    gguf_file f;
    tars_error err;
    CHECK_INT(gguf_open(&source, NULL, &a, &f, &err), TARS_OK);
    CHECK_INT(f.n_tensors, 3);
    CHECK(p.furthest <= header.header_bytes + GGUF_READ_BYTES && p.total == p.furthest);
    source.size_bytes--;
    CHECK_INT(gguf_open(&source, NULL, &a, &f, &err), TARS_MALFORMED);
    CHECK(strstr(err.where, "tensor 'c'") == err.where);
    free(block);
    free(bytes);
}

static void test_failing_source(void) {
    size_t size, arena_bytes;
    uint8_t *file = make_many_keys(20000, 0, &size); /* several reads */
    arena_bytes = (size_t)memory_bound(size);
    void *memory = malloc(arena_bytes);
    arena a;
    arena_init(&a, memory, arena_bytes);
    probe p = {.bytes = file};
    byte_source source = {&p, size, probe_read};
    gguf_file f;
    tars_error err;
    CHECK_INT(gguf_open(&source, NULL, &a, &f, &err), TARS_OK);
    int reads = p.reads;
    CHECK(reads > 3);
    CHECK_INT(p.total, size);
    for (int fail_at = 1; fail_at <= reads; fail_at++) {
        p = (probe){.bytes = file, .fail_at = fail_at};
        arena_reset(&a, 0);
        CHECK_INT(gguf_open(&source, NULL, &a, &f, &err), TARS_IO);
        CHECK_STRING(err.message, "the disk says no");
        CHECK(f.n_keys == 0 && f.keys == NULL && a.used_bytes == 0);
    }
    free(memory);
    free(file);
}

static void test_every_arena_size(void) {
    opened o;
    open_made(&o);
    size_t needed = o.a.peak_bytes, refused = 0;
    for (size_t size = 0; size <= needed + 64; size++) {
        void *memory = malloc(size ? size : 1);
        arena a;
        arena_init(&a, memory, size);
        gguf_file f;
        tars_error err;
        tars_status status = gguf_open(&o.source, NULL, &a, &f, &err);
        CHECK(status == TARS_OK || status == TARS_OUT_OF_MEMORY);
        refused += status != TARS_OK;
        free(memory);
    }
    CHECK(refused > needed / 2);
    CHECK(refused <= needed + 32);
    close_made(&o);
}

static void test_limits(void) {
    opened o;
    open_made(&o);
    size_t arena_bytes = 1u << 20;
    void *memory = malloc(arena_bytes);
    arena a;
    arena_init(&a, memory, arena_bytes);
    gguf_file f;
    tars_error err;
    const gguf_limits limits[] = {
        {.max_keys = 15}, {.max_tensors = 2}, {.max_metadata_bytes = 100}};
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(gguf_open(&o.source, &limits[i], &a, &f, &err), TARS_LIMIT);
    }
    const gguf_limits enough = {
        .max_keys = 16, .max_tensors = 3, .max_metadata_bytes = o.file.header_bytes};
    CHECK_INT(gguf_open(&o.source, &enough, &a, &f, &err), TARS_OK);
    static const gguf_text tokens[3] = {{"a", 1}, {"b", 1}, {"c", 1}};
    const gguf_entry entry = gguf_entry_texts("tokenizer.ggml.tokens", tokens, 3);
    gguf_header header;
    CHECK_INT(gguf_write_header(&entry, 1, NULL, 0, &a, &header, &err), TARS_OK);
    byte_source source = byte_source_memory(header.bytes, header.header_bytes);
    CHECK_INT(gguf_open(&source, &(gguf_limits){.max_vocabulary = 2}, &a, &f, &err), TARS_LIMIT);
    CHECK(strstr(err.where, "tokenizer.ggml.tokens") != NULL);
    CHECK_INT(gguf_open(&source, &(gguf_limits){.max_vocabulary = 3}, &a, &f, &err), TARS_OK);
    free(memory);
    close_made(&o);
}

static void test_names(void) {
    static const struct {
        const char *name;
        bool fine;
    } names[] = {
        {"a", true},
        {"\xC3\xA9", true},
        {"a b", true},
        {"", false},
        {"a\nb", false},
        {"a\x1B[2J", false},
        {"\x7F", false},
        {"\xC3", false},
        {"\xED\xA0\x80", false},
        {"012345678901234567890123456789012345678901234567890123456789012", true},
        {"0123456789012345678901234567890123456789012345678901234567890123", false},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint8_t memory[8192];
        arena a;
        arena_init(&a, memory, sizeof memory);
        gguf_tensor_entry tensor = {
            .name = names[i].name, .type = TENSOR_F32, .n_dims = 1, .dims = {1}};
        gguf_header header;
        tars_error err;
        CHECK_INT(gguf_write_header(NULL, 0, &tensor, 1, &a, &header, &err), TARS_OK);
        uint8_t file[512] = {0};
        memcpy(file, header.bytes, header.data_offset);
        tars_status status = open_copy(file, header.data_offset + 4, &err);
        CHECK_INT(status, names[i].fine ? TARS_OK : TARS_MALFORMED);
        gguf_entry entry = gguf_entry_u32(names[i].name, 1);
        CHECK_INT(gguf_write_header(&entry, 1, NULL, 0, &a, &header, &err), TARS_OK);
        status = open_copy(header.bytes, header.header_bytes, &err);
        CHECK_INT(status, names[i].fine || i == 10 ? TARS_OK : TARS_MALFORMED);
        CHECK(status == TARS_OK || strchr(err.where, '\x1B') == NULL);
    }
}

static void test_other_formats(void) {
    static const struct {
        const char *start;
        const char *hint;
    } files[] = {
        {"PK\003\004 and so on", "ZIP archive"},
        {"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"},
        {"TARSPACK........", "packed model"},
        {"FUGG\3\0\0\0", "reversed"},
        {"<!DOCTYPE html>", "web page"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        tars_error err;
        CHECK_INT(open_copy((const uint8_t *)files[i].start, strlen(files[i].start), &err),
                  TARS_MALFORMED);
        CHECK(strstr(err.hint, files[i].hint) != NULL);
    }
}

static const check_test tests[] = {
    {"access", test_access},
    {"arrays", test_arrays},
    {"wrong access", test_wrong_access},
    {"version 2", test_version_2},
    {"cut at every byte", test_cut_at_every_byte},
    {"every bit flipped", test_every_bit_flipped},
    {"every word overwritten", test_every_word_overwritten},
    {"memory is bounded", test_memory_is_bounded},
    {"time is not quadratic", test_time_is_not_quadratic},
    {"tensor data is not read", test_tensor_data_is_not_read},
    {"failing source", test_failing_source},
    {"every arena size", test_every_arena_size},
    {"limits", test_limits},
    {"names", test_names},
    {"other formats", test_other_formats},
};

CHECK_MAIN(tests)
