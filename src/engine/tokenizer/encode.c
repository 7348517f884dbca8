#include "engine/tokenizer/encode.h"

#include "engine/tokenizer/merge.h"

#include <assert.h>

tars_status run_out_of_memory(tokenizer_run *run, size_t length) {
    error_set(run->err, TARS_OUT_OF_MEMORY,
              "the scratch memory of %zu bytes is too small to tokenize %zu bytes at once",
              run->scratch->size_bytes, length);
    return error_hint(run->err, "shorten the text, or give more memory");
}

/* One stretch without special tokens. */
static tars_status encode_plain(tokenizer_run *run, const char *text, size_t start, size_t end,
                                bool at_start) {
    if (start == end) {
        return TARS_OK;
    }
    switch (run->t->header->model) {
    case TOKENIZER_SPM:
        return spm_encode(run, text + start, end - start, start, at_start);
    case TOKENIZER_WPM:
        return wpm_encode(run, text + start, end - start);
    default:
        return bpe_encode(run, text + start, end - start, start);
    }
}

static tars_status encode_text(tokenizer_run *run, const char *text, size_t length) {
    bool parse_special = (run->flags & TOKENIZER_PARSE_SPECIAL) != 0;
    tokenizer_special_match match;
    size_t position = 0;
    bool at_start = true;
    while (tokenizer_next_special(run->t, text, length, position, parse_special, &match)) {
        tars_status status = encode_plain(run, text, position, match.start, at_start);
        if (status != TARS_OK) {
            return status;
        }
        run_emit(run, (uint32_t)match.id);
        position = match.start + match.length;
        at_start = true;
    }
    return encode_plain(run, text, position, length, at_start);
}

/* The id that goes before or after a text; -1: none. */
static int32_t first_id(const tokenizer *t) {
    if (t->header->model == TOKENIZER_WPM) {
        return tokenizer_id(t, ID_CLS);
    }
    return tokenizer_has(t, HEADER_ADD_BOS) ? tokenizer_id(t, ID_BOS) : -1;
}

static int32_t last_id(const tokenizer *t) {
    if (t->header->model == TOKENIZER_WPM) {
        return tokenizer_id(t, ID_SEP);
    }
    return tokenizer_has(t, HEADER_ADD_EOS) ? tokenizer_id(t, ID_EOS) : -1;
}

static void emit_if_any(tokenizer_run *run, int32_t id) {
    if ((run->flags & TOKENIZER_ADD_SPECIAL) && id >= 0) {
        run_emit(run, (uint32_t)id);
    }
}

tars_status tokenizer_encode(const tokenizer *t, const char *text, size_t length, unsigned flags,
                             int32_t *ids, size_t capacity, size_t *count, arena *scratch,
                             tars_error *err) {
    assert(ids || capacity == 0);
    *count = 0;
    if (length > TOKENIZER_MAX_TEXT_BYTES) {
        return error_set(err, TARS_LIMIT, "a text of %zu bytes is too long to tokenize, at most %d",
                         length, TOKENIZER_MAX_TEXT_BYTES);
    }
    tokenizer_run run = {
        .t = t, .flags = flags, .ids = ids, .capacity = capacity, .scratch = scratch, .err = err};
    emit_if_any(&run, first_id(t));
    tars_status status = encode_text(&run, text, length);
    if (status != TARS_OK) {
        return status;
    }
    emit_if_any(&run, last_id(t));
    *count = run.count;
    if (run.count > capacity) {
        return error_set(err, TARS_LIMIT, "the text has %zu tokens, there is room for %zu",
                         run.count, capacity);
    }
    return TARS_OK;
}

/* Every byte of the text gives at most four ids: a special token of one byte and the three byte
 * tokens of the space mark before what follows it. */
size_t tokenizer_max_ids(const tokenizer *t, size_t length) {
    (void)t;
    return length > TOKENIZER_MAX_TEXT_BYTES ? SIZE_MAX : 4 * length + 8;
}

size_t tokenizer_scratch_bytes(const tokenizer *t, size_t length) {
    size_t n_symbols = length + 1, copy_bytes = length + 1;
    if (t->header->model == TOKENIZER_WPM) {
        return 0;
    }
    if (tokenizer_has(t, HEADER_BYTES_MISSING)) { /* an invalid byte becomes three */
        n_symbols *= 3;
        copy_bytes *= 3;
    }
    if (length > TOKENIZER_MAX_TEXT_BYTES || n_symbols > SIZE_MAX / 64) {
        return SIZE_MAX;
    }
    return copy_bytes + n_symbols * MERGE_BYTES_PER_SYMBOL + 2 * TOKENIZER_ALIGNMENT;
}
