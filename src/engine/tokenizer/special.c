/* Special tokens in a text: a walk down the sorted table at every place where one can begin. */
#include "engine/tokenizer/blob.h"

typedef struct special_range {
    uint32_t low, high; /* of the sorted table; all pieces in it share the bytes walked so far */
} special_range;

/* Byte `depth` of the special token in that row of the table, -1 beyond its end. */
static int byte_at(const tokenizer *t, uint32_t row, size_t depth) {
    tokenizer_text piece = tokenizer_piece(t, (int32_t)t->specials[row]);
    return depth < piece.length ? (uint8_t)piece.bytes[depth] : -1;
}

/* The first row of the range whose byte is at least `value`. */
static uint32_t lower_bound(const tokenizer *t, special_range range, size_t depth, int value) {
    while (range.low < range.high) {
        uint32_t middle = range.low + (range.high - range.low) / 2;
        if (byte_at(t, middle, depth) < value) {
            range.low = middle + 1;
        } else {
            range.high = middle;
        }
    }
    return range.low;
}

static special_range narrow(const tokenizer *t, special_range range, size_t depth, uint8_t value) {
    range.low = lower_bound(t, range, depth, value);
    range.high = lower_bound(t, range, depth, value + 1);
    return range;
}

static bool may_match(const tokenizer *t, int32_t id, bool parse_special) {
    return parse_special || tokenizer_get_type(t, id) == TOKENIZER_USER_DEFINED;
}

/* The longest special token at the text's beginning. */
static bool match_here(const tokenizer *t, const char *text, size_t length, bool parse_special,
                       tokenizer_special_match *match) {
    special_range range = {0, t->header->n_specials};
    bool found = false;
    for (size_t depth = 0; depth < length; depth++) {
        range = narrow(t, range, depth, (uint8_t)text[depth]);
        if (range.low >= range.high) {
            break;
        }
        int32_t id = (int32_t)t->specials[range.low]; /* the shortest of the range comes first */
        if (tokenizer_piece(t, id).length == depth + 1 && may_match(t, id, parse_special)) {
            match->id = id;
            match->length = depth + 1;
            found = true;
        }
    }
    return found;
}

bool tokenizer_next_special(const tokenizer *t, const char *text, size_t length, size_t start,
                            bool parse_special, tokenizer_special_match *match) {
    if (!parse_special && !tokenizer_has(t, HEADER_USER_DEFINED)) {
        return false;
    }
    const uint8_t *starts = t->header->special_starts;
    for (size_t i = start; i < length; i++) {
        uint8_t byte = (uint8_t)text[i];
        if ((starts[byte / 8] >> byte % 8 & 1) &&
            match_here(t, text + i, length - i, parse_special, match)) {
            match->start = i;
            return true;
        }
    }
    return false;
}

int32_t tokenizer_find_special(const tokenizer *t, const char *text, size_t length) {
    tokenizer_special_match match;
    if (length == 0 || !match_here(t, text, length, true, &match) || match.length != length) {
        return -1;
    }
    return match.id;
}
