/* Checking a vocabulary and laying out its blob. */
#include "engine/tokenizer/build.h"

#include "base/checked.h"
#include "base/sha256.h"

#include <assert.h>
#include <string.h>

void tokenizer_vocabulary_init(tokenizer_vocabulary *v, tokenizer_model model, const char *pre,
                               uint32_t n_tokens) {
    bool spm = model == TOKENIZER_SPM, wpm = model == TOKENIZER_WPM;
    const tokenizer_pre *row = model == TOKENIZER_BPE ? tokenizer_pre_find(pre) : NULL;
    *v = (tokenizer_vocabulary){
        .model = model,
        .pre = pre,
        .n_tokens = n_tokens,
        .bos = spm && n_tokens > 1 ? 1 : -1,
        .eos = spm && n_tokens > 2 ? 2 : -1,
        .unk = spm && n_tokens > 0 ? 0 : -1,
        .eot = -1,
        .sep = -1,
        .pad = -1,
        .cls = -1,
        .mask = -1,
        .add_bos = spm || (row && row->adds_bos),
        .add_space_prefix = spm,
        .lower_case = wpm,
        .strip_accents = wpm,
    };
}

/* ---- checks ---- */

static tars_status damaged(tars_error *err, const char *where) {
    error_hint(err, "the file is damaged or badly converted; fetch another one");
    return error_where(err, "tokenizer.ggml.%s", where);
}

static tars_status check_counts(tokenizer_builder *b) {
    const tokenizer_vocabulary *v = b->v;
    if (v->n_tokens == 0) {
        error_set(b->err, TARS_MALFORMED, "the vocabulary has no tokens");
        return damaged(b->err, "tokens");
    }
    if (v->n_tokens > TOKENIZER_MAX_TOKENS || v->n_merges > TOKENIZER_MAX_MERGES) {
        error_set(b->err, TARS_LIMIT,
                  "a vocabulary of %u tokens and %u merges; at most %d of each are read",
                  v->n_tokens, v->n_merges, TOKENIZER_MAX_TOKENS);
        return error_where(b->err, "tokenizer.ggml.tokens");
    }
    if (v->model == TOKENIZER_BPE && v->n_merges == 0) {
        error_set(b->err, TARS_MALFORMED, "a byte-level BPE vocabulary without merges");
        return damaged(b->err, "merges");
    }
    return TARS_OK;
}

static tars_status find_pre(tokenizer_builder *b) {
    if (b->v->model != TOKENIZER_BPE) {
        return TARS_OK;
    }
    b->pre = tokenizer_pre_find(b->v->pre);
    if (b->pre) {
        return TARS_OK;
    }
    error_set(b->err, TARS_UNSUPPORTED, "the pre-tokenizer '%s' is not known", b->v->pre);
    const tokenizer_pre *row;
    char names[200];
    size_t n = 0;
    for (size_t i = 0; (row = tokenizer_pre_at(i)) != NULL; i++) {
        size_t length = strlen(row->name);
        if (n + length + 3 > sizeof names) {
            break;
        }
        memcpy(names + n, row->name, length);
        memcpy(names + n + length, ", ", 2);
        n += length + 2;
    }
    names[n > 2 ? n - 2 : 0] = '\0';
    error_hint(b->err, "known are: %s", names);
    return error_where(b->err, "tokenizer.ggml.pre");
}

static tars_status check_token(const tokenizer_builder *b, uint32_t id) {
    const tokenizer_vocabulary *v = b->v;
    tokenizer_text text = v->tokens[id];
    if (text.length > TOKENIZER_MAX_TOKEN_BYTES) {
        error_set(b->err, TARS_LIMIT, "a token of %zu bytes; at most %d are read", text.length,
                  TOKENIZER_MAX_TOKEN_BYTES);
        return error_where(b->err, "tokenizer.ggml.tokens, token %u", id);
    }
    int32_t type = v->types ? v->types[id] : TOKENIZER_NORMAL;
    if (type < TOKENIZER_NORMAL || type > TOKENIZER_BYTE) {
        error_set(b->err, TARS_MALFORMED, "token %u has the type %d; types are 1 to 6", id, type);
        return damaged(b->err, "token_type");
    }
    if (type == TOKENIZER_BYTE && builder_parse_byte(text) < 0) {
        error_set(b->err, TARS_MALFORMED,
                  "byte token %u is spelled '%.*s'; expected <0x00> to <0xFF>", id,
                  (int)(text.length < 32 ? text.length : 32), text.bytes);
        return damaged(b->err, "tokens");
    }
    if (v->scores && v->scores[id] != v->scores[id]) {
        error_set(b->err, TARS_MALFORMED, "the score of token %u is not a number", id);
        return damaged(b->err, "scores");
    }
    return TARS_OK;
}

static tars_status check_tokens(tokenizer_builder *b) {
    uint64_t total = 0;
    for (uint32_t id = 0; id < b->v->n_tokens; id++) {
        tars_status status = check_token(b, id);
        if (status != TARS_OK) {
            return status;
        }
        total += b->v->tokens[id].length + 1;
    }
    for (uint32_t i = 0; i < b->v->n_merges; i++) {
        if (b->v->merges[i].length > 2 * TOKENIZER_MAX_TOKEN_BYTES + 1) {
            error_set(b->err, TARS_LIMIT, "a merge of %zu bytes is too long",
                      b->v->merges[i].length);
            return error_where(b->err, "tokenizer.ggml.merges, element %u", i);
        }
    }
    if (total > UINT32_MAX) {
        error_set(b->err, TARS_LIMIT, "the tokens have more than 4 GiB of text");
        return error_where(b->err, "tokenizer.ggml.tokens");
    }
    return TARS_OK;
}

static bool starts_with(tokenizer_text text, const char *beginning) {
    size_t length = strlen(beginning);
    return text.length > length && memcmp(text.bytes, beginning, length) == 0;
}

/* Whether a WPM vocabulary is that of a vocab.txt: more "##ing" in it than "U+2581 word". */
static bool is_plain_wpm(const tokenizer_vocabulary *v) {
    uint32_t n_marks = 0, n_hashes = 0;
    for (uint32_t id = 0; id < v->n_tokens; id++) {
        n_marks += starts_with(v->tokens[id], "\xE2\x96\x81");
        n_hashes += starts_with(v->tokens[id], "##");
    }
    return v->model == TOKENIZER_WPM && n_hashes >= n_marks;
}

/* ---- layout ---- */

/* Bytes of each section, TEXTS with room for the longest pieces there can be. */
static void section_bounds(const tokenizer_vocabulary *v, uint64_t sizes[TOKENIZER_SECTIONS]) {
    uint64_t n = v->n_tokens, texts = 0;
    for (uint32_t id = 0; id < v->n_tokens; id++) {
        texts += v->tokens[id].length + 1;
    }
    bool bpe = v->model == TOKENIZER_BPE, spm = v->model == TOKENIZER_SPM;
    sizes[SECTION_OFFSETS] = (n + 1) * sizeof(uint32_t);
    sizes[SECTION_ATTRIBUTES] = n;
    sizes[SECTION_PRIORITIES] = spm ? n * sizeof(uint32_t) : 0;
    sizes[SECTION_SPECIALS] = n * sizeof(uint32_t);
    sizes[SECTION_BYTES] = TOKENIZER_BYTE_VALUES * sizeof(uint32_t);
    sizes[SECTION_TEXT_SLOTS] = tokenizer_slots_for(v->n_tokens) * sizeof(tokenizer_text_slot);
    sizes[SECTION_PAIR_SLOTS] =
        bpe ? (uint64_t)tokenizer_slots_for(v->n_merges) * sizeof(tokenizer_pair_slot) : 0;
    sizes[SECTION_TEXTS] = texts;
}

static uint64_t aligned(uint64_t size_bytes) {
    return (size_bytes + TOKENIZER_ALIGNMENT - 1) & ~(uint64_t)(TOKENIZER_ALIGNMENT - 1);
}

static uint64_t blob_bound(const tokenizer_vocabulary *v) {
    uint64_t sizes[TOKENIZER_SECTIONS];
    section_bounds(v, sizes);
    uint64_t total = aligned(sizeof(tokenizer_header));
    for (unsigned i = 0; i < TOKENIZER_SECTIONS; i++) {
        total += aligned(sizes[i]);
    }
    return total;
}

size_t tokenizer_build_bytes(const tokenizer_vocabulary *v, size_t *scratch_bytes) {
    *scratch_bytes = SIZE_MAX;
    size_t bytes;
    if (v->n_tokens > TOKENIZER_MAX_TOKENS || v->n_merges > TOKENIZER_MAX_MERGES ||
        !checked_to_size(blob_bound(v) + TOKENIZER_ALIGNMENT, &bytes)) {
        return SIZE_MAX;
    }
    *scratch_bytes = v->model == TOKENIZER_BPE ? builder_bpe_scratch_bytes(v) : 0;
    return bytes;
}

/* Places the sections; the tables are counted so far for the worst case. */
static void place_sections(tokenizer_builder *b) {
    uint64_t sizes[TOKENIZER_SECTIONS];
    section_bounds(b->v, sizes);
    tokenizer_header *h = b->header;
    uint64_t offset = aligned(sizeof *h);
    for (unsigned i = 0; i < TOKENIZER_SECTIONS; i++) {
        h->sections[i] = (tokenizer_place){offset, sizes[i]};
        offset += aligned(sizes[i]);
    }
    char *base = (char *)h;
    b->offsets = (void *)(base + h->sections[SECTION_OFFSETS].offset);
    b->attributes = (void *)(base + h->sections[SECTION_ATTRIBUTES].offset);
    b->priorities = (void *)(base + h->sections[SECTION_PRIORITIES].offset);
    b->specials = (void *)(base + h->sections[SECTION_SPECIALS].offset);
    b->bytes = (void *)(base + h->sections[SECTION_BYTES].offset);
    b->text_slots = (void *)(base + h->sections[SECTION_TEXT_SLOTS].offset);
    b->pair_slots = (void *)(base + h->sections[SECTION_PAIR_SLOTS].offset);
    b->texts = base + h->sections[SECTION_TEXTS].offset;
    b->view = (tokenizer){
        .header = h,
        .offsets = b->offsets,
        .texts = b->texts,
        .attributes = b->attributes,
        .priorities = b->v->model == TOKENIZER_SPM ? b->priorities : NULL,
        .specials = b->specials,
        .bytes = b->bytes,
        .text_slots = b->text_slots,
        .pair_slots = b->v->model == TOKENIZER_BPE ? b->pair_slots : NULL,
    };
}

static void hash_texts(sha256_context *sha, const tokenizer_text *texts, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint64_t length = texts[i].length;
        sha256_update(sha, &length, sizeof length);
        sha256_update(sha, texts[i].bytes, texts[i].length);
    }
}

/* The seed of the hash tables depends on every text, so collisions cannot be prepared. */
static tokenizer_seed make_seed(const tokenizer_vocabulary *v) {
    sha256_context sha;
    uint8_t digest[SHA256_DIGEST_BYTES];
    sha256_init(&sha);
    hash_texts(&sha, v->tokens, v->n_tokens);
    hash_texts(&sha, v->merges, v->n_merges);
    sha256_final(&sha, digest);
    tokenizer_seed seed;
    memcpy(&seed, digest, sizeof seed);
    return seed;
}

static void fill_header(tokenizer_builder *b) {
    const tokenizer_vocabulary *v = b->v;
    tokenizer_header *h = b->header;
    memcpy(h->magic, TOKENIZER_MAGIC, sizeof h->magic);
    h->version = TOKENIZER_BLOB_VERSION;
    h->model = v->model;
    h->split_rule = b->pre ? (uint32_t)b->pre->rule : TOKENIZER_SPLIT_NONE;
    h->flags = (v->add_bos ? HEADER_ADD_BOS : 0u) | (v->add_eos ? HEADER_ADD_EOS : 0u) |
               (v->model == TOKENIZER_SPM && v->add_space_prefix ? HEADER_SPACE_PREFIX : 0u) |
               (v->lower_case ? HEADER_LOWER_CASE : 0u) |
               (v->strip_accents ? HEADER_STRIP_ACCENTS : 0u);
    h->n_tokens = v->n_tokens;
    h->n_text_slots = tokenizer_slots_for(v->n_tokens);
    h->n_pair_slots = v->model == TOKENIZER_BPE ? tokenizer_slots_for(v->n_merges) : 0;
    memcpy(h->ids, b->ids, sizeof h->ids);
    h->seed = make_seed(v);
}

/* A number that is lower for a higher score; -0 is 0. */
static uint32_t priority_of(float score) {
    uint32_t bits;
    score = score == 0.0f ? 0.0f : score;
    memcpy(&bits, &score, sizeof bits);
    uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return ~ascending;
}

static tars_status fill_tokens(tokenizer_builder *b) {
    uint32_t offset = 0;
    for (uint32_t id = 0; id < b->v->n_tokens; id++) {
        bool sound;
        size_t length = builder_write_piece(b, id, b->texts + offset, &sound);
        b->offsets[id] = offset;
        offset += (uint32_t)length;
        b->offsets[id + 1] = offset;
        b->attributes[id] =
            (uint8_t)((unsigned)builder_type(b, id) | (sound ? (unsigned)ATTRIBUTE_SOUND : 0u));
        if (b->v->model == TOKENIZER_SPM) {
            b->priorities[id] = priority_of(b->v->scores ? b->v->scores[id] : 0.0f);
            if (builder_is_matchable(b, id) && length > TOKENIZER_MAX_SPM_PIECE_BYTES) {
                error_set(b->err, TARS_LIMIT,
                          "a SentencePiece token of %zu bytes; at most %d are read", length,
                          TOKENIZER_MAX_SPM_PIECE_BYTES);
                return error_where(b->err, "tokenizer.ggml.tokens, token %u", id);
            }
        }
    }
    b->header->sections[SECTION_TEXTS].size_bytes = offset;
    return TARS_OK;
}

static void fill_byte_tokens(tokenizer_builder *b) {
    memset(b->bytes, 0xFF, TOKENIZER_BYTE_VALUES * sizeof *b->bytes); /* TOKENIZER_NO_SYMBOL */
    for (uint32_t id = 0; id < b->v->n_tokens; id++) {
        int byte =
            builder_type(b, id) == TOKENIZER_BYTE ? builder_parse_byte(b->v->tokens[id]) : -1;
        if (byte >= 0 && b->bytes[byte] == TOKENIZER_NO_SYMBOL) {
            b->bytes[byte] = id;
        }
    }
}

static tars_status fill_tables(tokenizer_builder *b) {
    tars_status status = fill_tokens(b);
    if (status == TARS_OK) {
        status = builder_sort_specials(b);
    }
    if (status != TARS_OK) {
        return status;
    }
    builder_mark_ends(b);
    if (b->v->model == TOKENIZER_BPE) {
        status = builder_add_merges(b);
        return status == TARS_OK ? builder_add_whole_words(b) : status;
    }
    fill_byte_tokens(b);
    for (uint32_t id = 0; id < b->v->n_tokens; id++) {
        if (builder_is_matchable(b, id) && (b->attributes[id] & ATTRIBUTE_SOUND)) {
            builder_add_text(b, id);
        }
    }
    return TARS_OK;
}

/* Takes away the room that was not needed, and names the size. */
static void trim(tokenizer_builder *b) {
    tokenizer_header *h = b->header;
    h->sections[SECTION_SPECIALS].size_bytes = (uint64_t)h->n_specials * sizeof(uint32_t);
    const tokenizer_place *texts = &h->sections[SECTION_TEXTS];
    uint64_t end = texts->offset + texts->size_bytes;
    h->size_bytes = aligned(end);
    memset((char *)h + end, 0, (size_t)(h->size_bytes - end));
    memset(b->specials + h->n_specials, 0, (b->v->n_tokens - h->n_specials) * sizeof *b->specials);
}

static tars_status prepare(tokenizer_builder *b) {
    tars_status status = check_counts(b);
    if (status == TARS_OK) {
        status = find_pre(b);
    }
    if (status == TARS_OK) {
        status = check_tokens(b);
    }
    return status == TARS_OK ? builder_find_ids(b) : status;
}

tars_status tokenizer_build(const tokenizer_vocabulary *v, arena *scratch, arena *memory,
                            const void **blob, size_t *size_bytes, tars_error *err) {
    assert(v->model >= TOKENIZER_BPE && v->model <= TOKENIZER_WPM);
    *blob = NULL;
    *size_bytes = 0;
    tokenizer_builder b = {.v = v, .scratch = scratch, .err = err};
    tars_status status = prepare(&b);
    if (status != TARS_OK) {
        return status;
    }
    b.is_plain_wpm = is_plain_wpm(v);
    builder_init_letters(&b);
    size_t bound = SIZE_MAX, mark = arena_mark(memory);
    if (checked_to_size(blob_bound(v), &bound)) {
        b.header = arena_alloc(memory, bound, TOKENIZER_ALIGNMENT);
    }
    if (!b.header) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no room for a tokenizer of %zu bytes", bound);
    }
    size_t scratch_mark = arena_mark(scratch);
    fill_header(&b);
    place_sections(&b);
    status = fill_tables(&b);
    arena_reset(scratch, scratch_mark);
    if (status != TARS_OK) {
        arena_reset(memory, mark);
        return status;
    }
    trim(&b);
    *blob = b.header;
    *size_bytes = (size_t)b.header->size_bytes;
    arena_reset(memory, (size_t)((uint8_t *)b.header - memory->base) + *size_bytes);
    return TARS_OK;
}
