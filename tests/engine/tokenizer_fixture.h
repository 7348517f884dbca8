/* Vocabularies for tests: read from tests/data/tokenizer or written in the test. Ownership: a
 * fixture owns all its memory from fixture_* to fixture_free. */
#ifndef TESTS_TOKENIZER_FIXTURE_H
#define TESTS_TOKENIZER_FIXTURE_H

#include "engine/tokenizer/tokenizer.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct fixture {
    tokenizer_vocabulary vocabulary;
    tokenizer_text *tokens, *merges;
    float *scores;
    int32_t *types;
    char pre[64];
    char *text; /* the file */
    void *memory;
    arena arena; /* what the blob left: scratch for encoding */
    const void *blob;
    size_t blob_bytes;
    tokenizer t;
} fixture;

/* Compiles fixture->vocabulary and opens the result. */
static inline tars_status fixture_build(fixture *f, tars_error *err) {
    size_t scratch_bytes;
    size_t bytes = tokenizer_build_bytes(&f->vocabulary, &scratch_bytes);
    if (bytes == SIZE_MAX) { /* beyond the limits: tokenizer_build says so itself */
        bytes = scratch_bytes = 4096;
    }
    void *scratch_memory = malloc(scratch_bytes + 16);
    size_t room = (size_t)64 << 20;
    f->memory = malloc(bytes + room);
    arena scratch;
    arena_init(&scratch, scratch_memory, scratch_bytes);
    arena_init(&f->arena, f->memory, bytes);
    tars_status status =
        tokenizer_build(&f->vocabulary, &scratch, &f->arena, &f->blob, &f->blob_bytes, err);
    free(scratch_memory);
    if (status == TARS_OK) {
        status = tokenizer_open(f->blob, f->blob_bytes, &f->t, err);
    }
    f->arena.size_bytes = bytes + room;
    return status;
}

static inline void fixture_free(fixture *f) {
    free(f->tokens);
    free(f->merges);
    free(f->scores);
    free(f->types);
    free(f->text);
    free(f->memory);
    memset(f, 0, sizeof *f);
}

/* Undoes \n, \r and \\ in place. */
static inline tokenizer_text fixture_unescape(char *line) {
    size_t n = 0;
    for (char *c = line; *c; c++) {
        if (*c == '\\' && c[1]) {
            c++;
            line[n++] = *c == 'n' ? '\n' : *c == 'r' ? '\r' : *c;
        } else {
            line[n++] = *c;
        }
    }
    return (tokenizer_text){line, n};
}

static inline char *fixture_line(char **cursor) {
    char *line = *cursor;
    char *end = strchr(line, '\n');
    if (!end) {
        return NULL;
    }
    *end = '\0';
    *cursor = end + 1;
    return line;
}

static inline void fixture_read_tokens(fixture *f, uint32_t n, char **cursor) {
    tokenizer_vocabulary *v = &f->vocabulary;
    free(f->tokens); /* a second list takes the place of the first */
    free(f->types);
    free(f->scores);
    f->tokens = calloc(n + 1u, sizeof *f->tokens);
    f->types = calloc(n, sizeof *f->types);
    f->scores = v->model == TOKENIZER_SPM ? calloc(n, sizeof *f->scores) : NULL;
    for (uint32_t i = 0; i < n; i++) {
        char *line = fixture_line(cursor);
        f->types[i] = (int32_t)strtol(line, &line, 10);
        if (f->scores) {
            f->scores[i] = strtof(line, &line);
        }
        f->tokens[i] = fixture_unescape(line + 1);
    }
    v->n_tokens = n;
    v->tokens = f->tokens;
    v->types = f->types;
    v->scores = f->scores;
}

static inline void fixture_read_merges(fixture *f, uint32_t n, char **cursor) {
    f->merges = calloc(n, sizeof *f->merges);
    for (uint32_t i = 0; i < n; i++) {
        char *line = fixture_line(cursor);
        f->merges[i] = (tokenizer_text){line, strlen(line)};
    }
    f->vocabulary.merges = f->merges;
    f->vocabulary.n_merges = n;
}

/* A setting of the file's head. */
static inline void fixture_set(fixture *f, const char *key, const char *value) {
    tokenizer_vocabulary *v = &f->vocabulary;
    long number = strtol(value, NULL, 10);
    if (strcmp(key, "model") == 0) {
        v->model = strcmp(value, "gpt2") == 0    ? TOKENIZER_BPE
                   : strcmp(value, "llama") == 0 ? TOKENIZER_SPM
                                                 : TOKENIZER_WPM;
        tokenizer_vocabulary_init(v, v->model, NULL, 3);
    } else if (strcmp(key, "pre") == 0) {
        snprintf(f->pre, sizeof f->pre, "%s", value);
        v->pre = f->pre;
    } else if (strcmp(key, "bos") == 0) {
        v->bos = number;
    } else if (strcmp(key, "eos") == 0) {
        v->eos = number;
    } else if (strcmp(key, "unk") == 0) {
        v->unk = number;
    } else if (strcmp(key, "pad") == 0) {
        v->pad = number;
    } else if (strcmp(key, "add_bos") == 0) {
        v->add_bos = number != 0;
    } else if (strcmp(key, "add_eos") == 0) {
        v->add_eos = number != 0;
    } else if (strcmp(key, "add_space_prefix") == 0) {
        v->add_space_prefix = number != 0;
    } else {
        check_fail(__FILE__, __LINE__, "unknown setting '%s'", key);
    }
}

/* Reads and compiles a .vocab file (see tests/data/tokenizer/README.md). */
static inline fixture fixture_open(const char *path) {
    fixture f = {0};
    f.text = check_read_file(path, NULL);
    char *cursor = f.text, *line;
    while ((line = fixture_line(&cursor)) != NULL) {
        char *value = strchr(line, ' ');
        if (line[0] == '#' || !value) {
            continue;
        }
        *value++ = '\0';
        if (strcmp(line, "tokens") == 0) {
            fixture_read_tokens(&f, (uint32_t)strtoul(value, NULL, 10), &cursor);
        } else if (strcmp(line, "merges") == 0) {
            fixture_read_merges(&f, (uint32_t)strtoul(value, NULL, 10), &cursor);
        } else {
            fixture_set(&f, line, value);
        }
    }
    tars_error err = {0};
    if (fixture_build(&f, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s (%s)", path, err.message, err.where);
        exit(1);
    }
    return f;
}

/* A WordPiece vocabulary as in vocab.txt: one token a line, no types. */
static inline fixture fixture_open_lines(const char *path) {
    fixture f = {0};
    f.text = check_read_file(path, NULL);
    uint32_t n = 0;
    for (const char *c = f.text; *c; c++) {
        n += *c == '\n';
    }
    tokenizer_vocabulary_init(&f.vocabulary, TOKENIZER_WPM, NULL, n);
    f.tokens = calloc(n + 1u, sizeof *f.tokens);
    char *cursor = f.text;
    for (uint32_t i = 0; i < n; i++) {
        char *line = fixture_line(&cursor);
        f.tokens[i] = (tokenizer_text){line, strlen(line)};
    }
    f.vocabulary.tokens = f.tokens;
    tars_error err = {0};
    if (fixture_build(&f, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s (%s)", path, err.message, err.where);
        exit(1);
    }
    return f;
}

/* A vocabulary from lists; scores, types and merges may be NULL. The texts are borrowed. */
static inline fixture fixture_make(tokenizer_model model, const char *const *tokens, uint32_t n,
                                   const int32_t *types, const float *scores,
                                   const char *const *merges, uint32_t n_merges) {
    fixture f = {0};
    tokenizer_vocabulary *v = &f.vocabulary;
    tokenizer_vocabulary_init(v, model, NULL, n);
    f.tokens = calloc(n ? n : 1, sizeof *f.tokens);
    f.merges = calloc(n_merges ? n_merges : 1, sizeof *f.merges);
    for (uint32_t i = 0; i < n; i++) {
        f.tokens[i] = (tokenizer_text){tokens[i], strlen(tokens[i])};
    }
    for (uint32_t i = 0; i < n_merges; i++) {
        f.merges[i] = (tokenizer_text){merges[i], strlen(merges[i])};
    }
    v->tokens = f.tokens;
    v->types = types;
    v->scores = scores;
    v->merges = f.merges;
    v->n_merges = n_merges;
    return f;
}

enum { FIXTURE_MAX_IDS = 1 << 16 };

/* Encodes and checks the count's promise; the ids are in a static buffer. */
static inline size_t fixture_encode(fixture *f, const char *text, size_t length, unsigned flags,
                                    int32_t **ids) {
    static int32_t buffer[FIXTURE_MAX_IDS];
    size_t count = 0;
    tars_error err = {0};
    size_t mark = arena_mark(&f->arena);
    tars_status status = tokenizer_encode(&f->t, text, length, flags, buffer, FIXTURE_MAX_IDS,
                                          &count, &f->arena, &err);
    if (status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "encoding: %s (%s)", err.message, err.where);
    }
    CHECK(arena_mark(&f->arena) == mark);
    CHECK(count <= tokenizer_max_ids(&f->t, length));
    *ids = buffer;
    return count;
}

static inline void fixture_expect(const char *file, int line, fixture *f, const char *text,
                                  size_t length, unsigned flags, const int32_t *expected,
                                  size_t n_expected) {
    int32_t *ids;
    size_t count = fixture_encode(f, text, length, flags, &ids);
    bool equal = count == n_expected && memcmp(ids, expected, count * sizeof *ids) == 0;
    if (equal) {
        return;
    }
    char found[512] = "", wanted[512] = "";
    size_t n = 0, m = 0;
    for (size_t i = 0; i < count && n < sizeof found - 16; i++) {
        n += (size_t)snprintf(found + n, sizeof found - n, " %d", ids[i]);
    }
    for (size_t i = 0; i < n_expected && m < sizeof wanted - 16; i++) {
        m += (size_t)snprintf(wanted + m, sizeof wanted - m, " %d", expected[i]);
    }
    check_fail(file, line, "'%.*s': found%s, expected%s", (int)length, text, found, wanted);
}

/* Expects exactly these ids. */
#define EXPECT_IDS(f, text, flags, ...)                                                            \
    fixture_expect(__FILE__, __LINE__, f, text, strlen(text), flags,                               \
                   (const int32_t[]){__VA_ARGS__},                                                 \
                   sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

#endif
