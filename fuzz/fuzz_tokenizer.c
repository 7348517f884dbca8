/* Any lines as a vocabulary and any bytes as a text: compiled twice with equal results, encoded in
 * exactly the promised scratch, decoded whole and as a stream; then the blob is damaged.
 *
 * Input: MODEL PRE FLAGS DAMAGE (one byte each), a line a token (type digit, for SPM a score byte,
 * text), an empty line, a line a merge, an empty line, the text. */
#include "base/utf8.h"
#include "engine/tokenizer/split.h"
#include "engine/tokenizer/tokenizer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINES = 4096, HEAD_BYTES = 4 };
enum { NO_TYPES = 16, NO_SCORES = 32, SPECIAL_IDS = 64, SPACE_PREFIX = 128 }; /* in FLAGS */

typedef struct input {
    tokenizer_vocabulary vocabulary;
    tokenizer_text tokens[MAX_LINES], merges[MAX_LINES];
    int32_t types[MAX_LINES];
    float scores[MAX_LINES];
    const char *text;
    size_t length;
    unsigned encode_flags;
    uint8_t damage;
} input;

static void require(int condition) {
    if (!condition) {
        abort();
    }
}

static tokenizer_text next_line(const char **cursor, const char *end) {
    const char *start = *cursor, *stop = start;
    while (stop < end && *stop != '\n') {
        stop++;
    }
    *cursor = stop < end ? stop + 1 : end;
    return (tokenizer_text){start, (size_t)(stop - start)};
}

static void read_tokens(input *in, const char **cursor, const char *end) {
    tokenizer_vocabulary *v = &in->vocabulary;
    for (v->n_tokens = 0; v->n_tokens < MAX_LINES; v->n_tokens++) {
        tokenizer_text line = next_line(cursor, end);
        if (line.length == 0) {
            break;
        }
        in->types[v->n_tokens] = line.bytes[0] - '0';
        size_t used = 1;
        if (v->model == TOKENIZER_SPM && line.length > 1) {
            in->scores[v->n_tokens] = (float)(int8_t)line.bytes[1];
            used = 2;
        }
        in->tokens[v->n_tokens] = (tokenizer_text){line.bytes + used, line.length - used};
    }
}

static int read_input(input *in, const uint8_t *data, size_t size) {
    if (size < HEAD_BYTES) {
        return 0;
    }
    const char *cursor = (const char *)data + HEAD_BYTES, *end = (const char *)data + size;
    unsigned flags = data[2];
    const tokenizer_pre *pre = tokenizer_pre_at(data[1]);
    tokenizer_vocabulary *v = &in->vocabulary;
    tokenizer_vocabulary_init(v, (tokenizer_model)(TOKENIZER_BPE + data[0] % 3),
                              pre ? pre->name : "gpt-2", 0);
    read_tokens(in, &cursor, end);
    while (v->n_merges < MAX_LINES && v->model == TOKENIZER_BPE) {
        tokenizer_text line = next_line(&cursor, end);
        if (line.length == 0) {
            break;
        }
        in->merges[v->n_merges++] = line;
    }
    v->tokens = in->tokens;
    v->merges = in->merges;
    v->types = flags & NO_TYPES ? NULL : in->types;
    v->scores = flags & NO_SCORES ? NULL : in->scores;
    if (flags & SPECIAL_IDS) {
        v->bos = 1;
        v->eos = 2;
        v->unk = 0;
        v->add_bos = v->add_eos = true;
    } else {
        v->bos = v->eos = v->unk = -1;
    }
    v->add_space_prefix = (flags & SPACE_PREFIX) != 0;
    v->lower_case = v->strip_accents = (flags & SPACE_PREFIX) != 0;
    in->encode_flags = flags & 7;
    in->damage = data[3];
    in->text = cursor;
    in->length = (size_t)(end - cursor);
    return 1;
}

/* Compiles in memory that was filled with `fill`; the caller frees *memory. */
static tars_status build(const input *in, int fill, void **memory, const void **blob,
                         size_t *size) {
    size_t scratch_bytes, bytes = tokenizer_build_bytes(&in->vocabulary, &scratch_bytes);
    void *scratch_memory = malloc(scratch_bytes + 1);
    *memory = malloc(bytes + 1);
    require(scratch_memory && *memory);
    memset(*memory, fill, bytes);
    arena scratch, arena_memory;
    arena_init(&scratch, scratch_memory, scratch_bytes);
    arena_init(&arena_memory, *memory, bytes);
    tars_error err = {0};
    tars_status status =
        tokenizer_build(&in->vocabulary, &scratch, &arena_memory, blob, size, &err);
    require(status != TARS_OUT_OF_MEMORY);
    require(status == TARS_OK ? *blob != NULL : err.message[0] != '\0');
    free(scratch_memory);
    return status;
}

typedef struct collector {
    char *bytes;
    size_t length, capacity;
} collector;

static bool collect(void *context, const char *bytes, size_t length) {
    collector *c = context;
    require(length > 0 && utf8_valid(bytes, length, NULL) && length <= c->capacity - c->length);
    memcpy(c->bytes + c->length, bytes, length);
    c->length += length;
    return true;
}

static void check_stream(const tokenizer *t, const int32_t *ids, size_t count, const char *text,
                         size_t length) {
    collector c = {.capacity = 3 * length + 16};
    c.bytes = malloc(c.capacity);
    require(c.bytes != NULL);
    tokenizer_stream stream;
    tokenizer_stream_init(&stream, t, TOKENIZER_SHOW_SPECIAL);
    for (size_t i = 0; i < count; i++) {
        require(tokenizer_stream_push(&stream, ids[i], collect, &c));
    }
    require(tokenizer_stream_finish(&stream, collect, &c));
    if (utf8_valid(text, length, NULL)) {
        require(c.length == length && memcmp(c.bytes, text, length) == 0);
    }
    free(c.bytes);
}

static void check_decode(const input *in, const tokenizer *t, const int32_t *ids, size_t count) {
    size_t length, again;
    tars_error err = {0};
    tars_status status =
        tokenizer_decode(t, ids, count, TOKENIZER_SHOW_SPECIAL, NULL, 0, &length, &err);
    require(status == (length > 0 ? TARS_LIMIT : TARS_OK));
    char *text = malloc(length + 1);
    require(tokenizer_decode(t, ids, count, TOKENIZER_SHOW_SPECIAL, text, length, &again, &err) ==
            TARS_OK);
    require(again == length);
    check_stream(t, ids, count, text, length);
    bool lossless =
        in->vocabulary.model == TOKENIZER_BPE && (in->encode_flags & TOKENIZER_STRICT) &&
        !(in->encode_flags & TOKENIZER_ADD_SPECIAL) && utf8_valid(in->text, in->length, NULL);
    if (lossless) {
        require(length == in->length && memcmp(text, in->text, length) == 0);
    }
    free(text);
}

static void encode(const input *in, const tokenizer *t, bool is_sound) {
    size_t max_ids = tokenizer_max_ids(t, in->length), count;
    size_t scratch_bytes = tokenizer_scratch_bytes(t, in->length);
    int32_t *ids = malloc(max_ids * sizeof *ids);
    void *memory = malloc(scratch_bytes + 1);
    arena scratch;
    arena_init(&scratch, memory, scratch_bytes);
    tars_error err = {0};
    tars_status status = tokenizer_encode(t, in->text, in->length, in->encode_flags, ids, max_ids,
                                          &count, &scratch, &err);
    require(arena_mark(&scratch) == 0);
    if (is_sound) {
        require(status == TARS_OK || status == TARS_UNSUPPORTED);
    }
    if (status == TARS_OK) {
        for (size_t i = 0; i < count; i++) {
            require(ids[i] >= 0 && (uint32_t)ids[i] < tokenizer_n_tokens(t));
        }
        if (is_sound) {
            check_decode(in, t, ids, count);
        }
    }
    free(memory);
    free(ids);
}

/* Changes some bytes of the blob, by the text's, and uses it. */
static void use_damaged(const input *in, uint8_t *blob, size_t size) {
    enum { HEADER_BYTES = 264 };
    require(size > HEADER_BYTES);
    uint64_t state = in->damage;
    for (size_t i = 0; i < in->damage % 8u && i < in->length; i++) {
        state = state * 6364136223846793005u + (uint8_t)in->text[i];
        size_t limit = state >> 63 ? size : HEADER_BYTES;
        blob[(state >> 20) % limit] ^= (uint8_t)(state >> 12);
    }
    tokenizer t;
    tars_error err = {0};
    if (tokenizer_open(blob, size, &t, &err) == TARS_OK) {
        encode(in, &t, false);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static input in;
    memset(&in, 0, sizeof in);
    if (!read_input(&in, data, size)) {
        return 0;
    }
    void *first, *second;
    const void *blob, *other;
    size_t blob_bytes, other_bytes;
    tars_status status = build(&in, 0x00, &first, &blob, &blob_bytes);
    require(build(&in, 0xA5, &second, &other, &other_bytes) == status);
    if (status == TARS_OK) {
        require(blob_bytes == other_bytes && memcmp(blob, other, blob_bytes) == 0);
        tokenizer t;
        tars_error err = {0};
        require(tokenizer_open(blob, blob_bytes, &t, &err) == TARS_OK);
        encode(&in, &t, true);
        uint8_t *copy = malloc(blob_bytes + 1);
        memcpy(copy, blob, blob_bytes);
        use_damaged(&in, copy, blob_bytes);
        free(copy);
    }
    free(first);
    free(second);
    return 0;
}
