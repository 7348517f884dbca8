/* From the texts that model files keep to pieces, the bytes that tokens stand for. */
#include "engine/tokenizer/build.h"

#include "base/utf8.h"

#include <string.h>

enum { SPACE_MARK_BYTES = 3 };
static const char space_mark[] = "\xE2\x96\x81"; /* U+2581 */

/* GPT-2's alphabet: bytes that print stand for themselves as code points, the others are numbered
 * from U+0100 on. */
void builder_init_letters(tokenizer_builder *b) {
    for (unsigned i = 0; i < BYTE_LETTERS; i++) {
        b->byte_of_letter[i] = -1;
    }
    unsigned next = 0x100;
    for (unsigned byte = 0; byte < TOKENIZER_BYTE_VALUES; byte++) {
        bool prints = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
        unsigned letter = prints ? byte : next++;
        b->letter_of_byte[byte] = (uint16_t)letter;
        b->byte_of_letter[letter] = (int16_t)byte;
    }
}

static bool is_named(const tokenizer_builder *b, uint32_t id) {
    for (unsigned kind = 0; kind < TOKENIZER_IDS; kind++) {
        if (b->ids[kind] == (int32_t)id) {
            return true;
        }
    }
    return false;
}

static bool is_end(const tokenizer_builder *b, uint32_t id) {
    for (unsigned i = 0; i < END_NAMES; i++) {
        if (b->ends[i] == (int32_t)id) {
            return true;
        }
    }
    return false;
}

tokenizer_type builder_type(const tokenizer_builder *b, uint32_t id) {
    if (is_end(b, id)) {
        return TOKENIZER_CONTROL;
    }
    if (b->v->types) {
        return (tokenizer_type)b->v->types[id];
    }
    if (b->ids[ID_UNK] == (int32_t)id) {
        return TOKENIZER_UNKNOWN;
    }
    if (is_named(b, id)) {
        return TOKENIZER_CONTROL;
    }
    bool is_byte = b->v->model == TOKENIZER_SPM && builder_parse_byte(b->v->tokens[id]) >= 0;
    return is_byte ? TOKENIZER_BYTE : TOKENIZER_NORMAL;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int builder_parse_byte(tokenizer_text text) {
    if (text.length != 6 || memcmp(text.bytes, "<0x", 3) != 0 || text.bytes[5] != '>') {
        return -1;
    }
    int high = hex_digit(text.bytes[3]), low = hex_digit(text.bytes[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Letters to bytes; a text with another character is left as it is and not sound. */
static size_t write_bpe(const tokenizer_builder *b, tokenizer_text text, char *out,
                        bool *is_sound) {
    size_t n = 0;
    for (size_t i = 0; i < text.length;) {
        uint32_t letter;
        size_t taken = utf8_decode(text.bytes + i, text.length - i, &letter);
        if (taken == 0 || letter >= BYTE_LETTERS || b->byte_of_letter[letter] < 0) {
            *is_sound = false;
            memcpy(out, text.bytes, text.length);
            return text.length;
        }
        out[n++] = (char)b->byte_of_letter[letter];
        i += taken;
    }
    return n;
}

/* Texts that stand for themselves as letters, too. */
static bool is_plain_ascii(tokenizer_text text) {
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < 0x21 || text.bytes[i] > 0x7E) {
            return false;
        }
    }
    return true;
}

static bool starts_with(tokenizer_text text, const char *beginning, size_t length) {
    return text.length >= length && memcmp(text.bytes, beginning, length) == 0;
}

/* Marks to spaces; a text with a real space cannot come out of SentencePiece. */
static size_t write_spm(tokenizer_text text, char *out, bool *is_sound) {
    size_t n = 0;
    for (size_t i = 0; i < text.length;) {
        tokenizer_text rest = {text.bytes + i, text.length - i};
        if (starts_with(rest, space_mark, SPACE_MARK_BYTES)) {
            out[n++] = ' ';
            i += SPACE_MARK_BYTES;
            continue;
        }
        *is_sound = *is_sound && text.bytes[i] != ' ';
        out[n++] = text.bytes[i++];
    }
    return n;
}

static size_t write_wpm(const tokenizer_builder *b, tokenizer_text text, char *out) {
    size_t n = 0;
    if (b->is_plain_wpm) {
        bool goes_on = starts_with(text, "##", 2) && text.length > 2;
        if (!goes_on) {
            out[n++] = ' ';
        }
        text.bytes += goes_on ? 2 : 0;
        text.length -= goes_on ? 2 : 0;
    } else if (starts_with(text, space_mark, SPACE_MARK_BYTES)) {
        out[n++] = ' ';
        text.bytes += SPACE_MARK_BYTES;
        text.length -= SPACE_MARK_BYTES;
    }
    if (text.length > 0) {
        memcpy(out + n, text.bytes, text.length);
    }
    return n + text.length;
}

size_t builder_write_piece(const tokenizer_builder *b, uint32_t id, char *out, bool *is_sound) {
    tokenizer_text text = b->v->tokens[id];
    tokenizer_type type = builder_type(b, id);
    *is_sound = text.length > 0;
    if (text.length == 0) {
        return 0;
    }
    if (type == TOKENIZER_BYTE) {
        out[0] = (char)builder_parse_byte(text);
        return 1;
    }
    if (type != TOKENIZER_NORMAL && type != TOKENIZER_UNUSED) {
        *is_sound = b->v->model != TOKENIZER_BPE || is_plain_ascii(text);
        memcpy(out, text.bytes, text.length);
        return text.length;
    }
    switch (b->v->model) {
    case TOKENIZER_SPM:
        return write_spm(text, out, is_sound);
    case TOKENIZER_WPM:
        return write_wpm(b, text, out);
    default:
        return write_bpe(b, text, out, is_sound);
    }
}

bool builder_is_matchable(const tokenizer_builder *b, uint32_t id) {
    tokenizer_type type = builder_type(b, id);
    return type == TOKENIZER_NORMAL ||
           (b->v->model == TOKENIZER_SPM &&
            (type == TOKENIZER_USER_DEFINED || type == TOKENIZER_UNUSED));
}

void builder_add_text(tokenizer_builder *b, uint32_t id) {
    tokenizer_text piece = tokenizer_piece(&b->view, (int32_t)id);
    if (tokenizer_find_text(&b->view, piece.bytes, piece.length) != TOKENIZER_NO_SYMBOL) {
        return;
    }
    uint64_t hash = hash_text(&b->header->seed, piece.bytes, piece.length);
    uint32_t mask = b->header->n_text_slots - 1;
    uint32_t slot = (uint32_t)hash & mask;
    while (b->text_slots[slot].id_plus_1 != 0) {
        slot = (slot + 1) & mask;
    }
    b->text_slots[slot] = (tokenizer_text_slot){id + 1, (uint32_t)(hash >> 32)};
    if (piece.length > b->header->max_lookup_bytes) {
        b->header->max_lookup_bytes = (uint32_t)piece.length;
    }
}
