/* SentencePiece as llama has it: characters as symbols, neighbours merged whose text is a token,
 * the token of the best score first; what is left over goes byte by byte. */
#include "engine/tokenizer/encode.h"
#include "engine/tokenizer/merge.h"

#include "base/utf8.h"

#include <string.h>

/* U+2581, which stands for a space in SentencePiece's own texts. */
static const char space_mark[] = "\xE2\x96\x81";
enum { SPACE_MARK_BYTES = sizeof space_mark - 1 };

static void lookup_text(const merge_list *list, merge_symbol *left, const merge_symbol *right) {
    const tokenizer *t = list->context;
    uint32_t end = merge_end(list, right);
    uint32_t id = tokenizer_find_text(t, list->text + left->start, end - left->start);
    if (id != TOKENIZER_NO_SYMBOL) {
        left->priority = t->priorities[id];
        left->result = id;
    }
}

/* Copies the text behind an optional space, marks as spaces. Returns the bytes written, at most
 * length + 1, and counts the characters. */
static uint32_t prepare(char *out, const char *text, size_t length, bool prefix,
                        uint32_t *n_characters) {
    uint32_t n = 0, characters = 0;
    if (prefix) {
        out[n++] = ' ';
        characters++;
    }
    for (size_t i = 0; i < length; characters++) {
        uint32_t code_point;
        size_t taken = utf8_decode(text + i, length - i, &code_point);
        taken = taken ? taken : 1;
        if (taken == SPACE_MARK_BYTES && memcmp(text + i, space_mark, SPACE_MARK_BYTES) == 0) {
            out[n++] = ' ';
        } else {
            memcpy(out + n, text + i, taken);
            n += (uint32_t)taken;
        }
        i += taken;
    }
    *n_characters = characters;
    return n;
}

static tars_status emit_unknown(tokenizer_run *run, const char *bytes, size_t length,
                                size_t offset) {
    bool has_bytes = true;
    for (size_t i = 0; i < length; i++) {
        has_bytes = has_bytes && run->t->bytes[(uint8_t)bytes[i]] < run->t->header->n_tokens;
    }
    if (has_bytes) {
        for (size_t i = 0; i < length; i++) {
            run_emit(run, run->t->bytes[(uint8_t)bytes[i]]);
        }
        return TARS_OK;
    }
    int32_t unknown = tokenizer_unk(run->t);
    if (unknown >= 0 && !(run->flags & TOKENIZER_STRICT)) {
        run_emit(run, (uint32_t)unknown);
        return TARS_OK;
    }
    error_set(run->err, TARS_UNSUPPORTED,
              "the model's vocabulary has no token for '%.*s', no byte tokens for it%s",
              (int)length, bytes, unknown < 0 ? " and no unknown token" : "");
    error_hint(run->err, "remove the character from the text");
    error_where(run->err, "after byte %zu of the text", offset);
    return TARS_UNSUPPORTED;
}

/* A symbol that was merged is a token; a single character may be one, too. */
static tars_status emit_symbol(tokenizer_run *run, const merge_list *list,
                               const merge_symbol *symbol, size_t offset) {
    const char *bytes = list->text + symbol->start;
    size_t length = merge_end(list, symbol) - symbol->start;
    uint32_t id =
        symbol->symbol == MERGE_NONE ? tokenizer_find_text(run->t, bytes, length) : symbol->symbol;
    if (id < run->t->header->n_tokens) {
        run_emit(run, id);
        return TARS_OK;
    }
    if (length == 1 && bytes[0] == ' ') {
        bytes = space_mark;
        length = SPACE_MARK_BYTES;
    }
    return emit_unknown(run, bytes, length, offset + symbol->start);
}

static tars_status encode_prepared(tokenizer_run *run, const char *text, uint32_t length,
                                   uint32_t n_characters, size_t offset) {
    merge_list list;
    if (!merge_init(&list, text, length, n_characters, run->scratch)) {
        return run_out_of_memory(run, length);
    }
    list.lookup = lookup_text;
    list.context = run->t;
    uint32_t start = 0;
    for (uint32_t i = 0; i < n_characters; i++) {
        uint32_t code_point;
        size_t taken = utf8_decode(text + start, length - start, &code_point);
        list.symbols[i].start = start;
        list.symbols[i].symbol = MERGE_NONE;
        start += taken ? (uint32_t)taken : 1;
    }
    merge_run(&list);
    tars_status status = TARS_OK;
    for (uint32_t i = 0; i != MERGE_NONE && status == TARS_OK; i = list.symbols[i].next) {
        status = emit_symbol(run, &list, &list.symbols[i], offset);
    }
    return status;
}

tars_status spm_encode(tokenizer_run *run, const char *text, size_t length, size_t offset,
                       bool at_start) {
    size_t mark = arena_mark(run->scratch);
    char *prepared = arena_alloc_raw(run->scratch, length + 1, 1);
    tars_status status;
    if (prepared) {
        uint32_t n_characters;
        bool prefix = at_start && tokenizer_has(run->t, HEADER_SPACE_PREFIX);
        uint32_t n = prepare(prepared, text, length, prefix, &n_characters);
        status = encode_prepared(run, prepared, n, n_characters, offset);
    } else {
        status = run_out_of_memory(run, length);
    }
    arena_reset(run->scratch, mark);
    return status;
}
