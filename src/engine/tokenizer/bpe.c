/* Byte-level BPE: words, their bytes as symbols, merges by rank. */
#include "engine/tokenizer/encode.h"
#include "engine/tokenizer/merge.h"
#include "engine/tokenizer/split.h"

#include "base/utf8.h"

#include <string.h>

enum { REPLACEMENT = 0xFFFD };

static void lookup_pair(const merge_list *list, merge_symbol *left, const merge_symbol *right) {
    if (left->symbol == MERGE_NONE || right->symbol == MERGE_NONE) {
        return;
    }
    const tokenizer_pair_slot *pair =
        tokenizer_find_pair(list->context, left->symbol, right->symbol);
    if (pair) {
        left->priority = pair->rank;
        left->result = pair->result;
    }
}

static tars_status emit_byte(tokenizer_run *run, uint8_t byte, size_t offset) {
    uint32_t symbol = run->t->bytes[byte];
    if (symbol < run->t->header->n_tokens) {
        run_emit(run, symbol);
        return TARS_OK;
    }
    if (!(run->flags & TOKENIZER_STRICT)) {
        return TARS_OK;
    }
    error_set(run->err, TARS_UNSUPPORTED, "the model's vocabulary has no token for the byte 0x%02x",
              byte);
    error_hint(run->err, "remove the character, or do without the strict encoding");
    error_where(run->err, "byte %zu of the text", offset);
    return TARS_UNSUPPORTED;
}

tars_status bpe_merge_word(tokenizer_run *run, const char *word, size_t length, size_t offset) {
    size_t mark = arena_mark(run->scratch);
    merge_list list;
    if (!merge_init(&list, word, (uint32_t)length, (uint32_t)length, run->scratch)) {
        arena_reset(run->scratch, mark);
        return run_out_of_memory(run, length);
    }
    list.lookup = lookup_pair;
    list.context = run->t;
    for (uint32_t i = 0; i < list.n_symbols; i++) {
        list.symbols[i].start = i;
        list.symbols[i].symbol = run->t->bytes[(uint8_t)word[i]];
    }
    merge_run(&list);
    tars_status status = TARS_OK;
    for (uint32_t i = 0; i != MERGE_NONE && status == TARS_OK; i = list.symbols[i].next) {
        const merge_symbol *symbol = &list.symbols[i];
        if (symbol->symbol < run->t->header->n_tokens) {
            run_emit(run, symbol->symbol);
            continue;
        }
        /* a text that occurs in merges only, or a byte without a token */
        uint32_t end = merge_end(&list, symbol);
        for (uint32_t k = symbol->start; k < end && status == TARS_OK; k++) {
            status = emit_byte(run, (uint8_t)word[k], offset + k);
        }
    }
    arena_reset(run->scratch, mark);
    return status;
}

static tars_status encode_words(tokenizer_run *run, const char *text, size_t length,
                                size_t offset) {
    tokenizer_split split;
    tokenizer_split_init(&split, (tokenizer_split_rule)run->t->header->split_rule, text, length);
    size_t start, end;
    while (tokenizer_split_next(&split, &start, &end)) {
        uint32_t whole = tokenizer_find_text(run->t, text + start, end - start);
        if (whole != TOKENIZER_NO_SYMBOL) {
            run_emit(run, whole);
            continue;
        }
        tars_status status = bpe_merge_word(run, text + start, end - start, offset + start);
        if (status != TARS_OK) {
            return status;
        }
    }
    return TARS_OK;
}

/* Copies `text` with U+FFFD for each byte that is no UTF-8 and has no token; `out` has room for
 * three times as much. Returns the bytes written. */
static size_t replace_bytes(const tokenizer *t, const char *text, size_t length, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < length;) {
        uint32_t code_point;
        size_t taken = utf8_decode(text + i, length - i, &code_point);
        if (taken == 0 && t->bytes[(uint8_t)text[i]] >= t->header->n_tokens) {
            n += utf8_encode(REPLACEMENT, out + n);
            i++;
            continue;
        }
        taken = taken ? taken : 1;
        memcpy(out + n, text + i, taken);
        n += taken;
        i += taken;
    }
    return n;
}

tars_status bpe_encode(tokenizer_run *run, const char *text, size_t length, size_t offset) {
    if (!tokenizer_has(run->t, HEADER_BYTES_MISSING) || utf8_valid(text, length, NULL)) {
        return encode_words(run, text, length, offset);
    }
    size_t mark = arena_mark(run->scratch);
    char *copy = arena_alloc_raw(run->scratch, length * 3, 1);
    if (!copy) {
        return run_out_of_memory(run, length);
    }
    tars_status status = encode_words(run, copy, replace_bytes(run->t, text, length, copy), offset);
    arena_reset(run->scratch, mark);
    return status;
}
