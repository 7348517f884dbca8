/* WordPiece: BERT's basic tokenizer (control characters out, accents and capitals away, Chinese
 * characters and punctuation apart), then in each word the longest piece first. */
#include "engine/tokenizer/encode.h"
#include "engine/tokenizer/unicode.h"

#include "base/utf8.h"

#include <string.h>

enum {
    REPLACEMENT = 0xFFFD,
    MAX_CHARACTERS = TOKENIZER_MAX_WORD_CHARACTERS,
    MAX_WORD_BYTES = 1 + 4 * MAX_CHARACTERS /* with the leading space */
};

typedef struct wpm_word {
    tokenizer_run *run;
    bool lower_case, strip_accents;
    bool too_long;
    uint32_t n_characters;
    uint32_t barrier; /* combining marks are not ordered across this place */
    uint32_t characters[MAX_CHARACTERS];
} wpm_word;

/* Blocks of ideographs that BERT sets apart, first and last of each. */
static bool is_ideograph(uint32_t c) {
    static const uint32_t blocks[][2] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
                                         {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F},
                                         {0x2B820, 0x2CEAF}, {0x2F800, 0x2FA1F}};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        if (c >= blocks[i][0] && c <= blocks[i][1]) {
            return true;
        }
    }
    return false;
}

/* ASCII's symbols count as punctuation too. */
static bool is_punctuation(uint32_t c, unsigned flags) {
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~') || (flags & UNICODE_PUNCTUATION);
}

/* The longest piece at word[start], or TOKENIZER_NO_SYMBOL; *end is where it ends. */
static uint32_t longest_piece(const tokenizer *t, const char *bytes, const uint32_t *offsets,
                              uint32_t start, uint32_t n, uint32_t *end) {
    for (uint32_t e = n; e > start; e--) {
        uint32_t id = tokenizer_find_text(t, bytes + offsets[start], offsets[e] - offsets[start]);
        if (id != TOKENIZER_NO_SYMBOL) {
            *end = e;
            return id;
        }
    }
    return TOKENIZER_NO_SYMBOL;
}

/* Splits a word into pieces; false when some of it is no piece. */
static bool split_word(const wpm_word *word, uint32_t *ids, uint32_t *n_ids) {
    char bytes[MAX_WORD_BYTES];
    uint32_t
        offsets[MAX_CHARACTERS + 1]; /* of the characters' ends; the space goes with the first */
    uint32_t length = 0;
    bytes[length++] = ' ';
    offsets[0] = 0;
    for (uint32_t i = 0; i < word->n_characters; i++) {
        length += (uint32_t)utf8_encode(word->characters[i], bytes + length);
        offsets[i + 1] = length;
    }
    *n_ids = 0;
    for (uint32_t start = 0; start < word->n_characters;) {
        uint32_t id =
            longest_piece(word->run->t, bytes, offsets, start, word->n_characters, &start);
        if (id == TOKENIZER_NO_SYMBOL) {
            return false;
        }
        ids[(*n_ids)++] = id;
    }
    return true;
}

static void end_word(wpm_word *word) {
    if (word->n_characters > 0) {
        uint32_t ids[MAX_CHARACTERS];
        uint32_t n_ids;
        if (!word->too_long && split_word(word, ids, &n_ids)) {
            for (uint32_t i = 0; i < n_ids; i++) {
                run_emit(word->run, ids[i]);
            }
        } else if (tokenizer_unk(word->run->t) >= 0) {
            run_emit(word->run, (uint32_t)tokenizer_unk(word->run->t));
        }
    }
    word->n_characters = 0;
    word->barrier = 0;
    word->too_long = false;
}

/* Appends a character, a combining mark in its canonical place. */
static void add_character(wpm_word *word, uint32_t c) {
    if (word->n_characters == MAX_CHARACTERS) {
        word->too_long = true;
        return;
    }
    unsigned class = unicode_combining_class(c);
    uint32_t place = word->n_characters++;
    while (class != 0 && place > word->barrier &&
           unicode_combining_class(word->characters[place - 1]) > class) {
        word->characters[place] = word->characters[place - 1];
        place--;
    }
    word->characters[place] = c;
}

/* One character after decomposition. */
static void add_normalised(wpm_word *word, uint32_t c) {
    unsigned flags = unicode_get_flags(c);
    if (word->strip_accents && (flags & UNICODE_ACCENT)) {
        if (unicode_combining_class(c) == 0) {
            word->barrier = word->n_characters;
        }
        return;
    }
    uint32_t lower[UNICODE_MAX_LOWER] = {c};
    size_t n = word->lower_case ? unicode_lower(c, lower) : 1;
    for (size_t i = 0; i < n; i++) {
        flags = unicode_get_flags(lower[i]);
        bool apart = is_punctuation(lower[i], flags);
        if (apart || (flags & UNICODE_WHITE_SPACE)) {
            end_word(word);
        }
        if (!(flags & UNICODE_WHITE_SPACE)) {
            add_character(word, lower[i]);
        }
        if (apart) {
            end_word(word);
        }
    }
}

/* One character of the text. */
static void add_raw(wpm_word *word, uint32_t c) {
    unsigned flags = unicode_get_flags(c);
    bool line = c == '\t' || c == '\n' || c == '\r';
    if (c == 0 || c == REPLACEMENT || ((flags & UNICODE_CONTROL) && !line)) {
        return;
    }
    if (flags & UNICODE_WHITE_SPACE) {
        end_word(word);
        return;
    }
    bool apart = is_ideograph(c);
    if (apart) {
        end_word(word);
    }
    uint32_t parts[UNICODE_MAX_DECOMPOSED] = {c};
    size_t n = word->strip_accents ? unicode_decompose(c, parts) : 1;
    for (size_t i = 0; i < n; i++) {
        add_normalised(word, parts[i]);
    }
    if (apart) {
        end_word(word);
    }
}

tars_status wpm_encode(tokenizer_run *run, const char *text, size_t length) {
    wpm_word word = {.run = run,
                     .lower_case = tokenizer_has(run->t, HEADER_LOWER_CASE),
                     .strip_accents = tokenizer_has(run->t, HEADER_STRIP_ACCENTS)};
    for (size_t i = 0; i < length;) {
        uint32_t code_point;
        size_t taken = utf8_decode(text + i, length - i, &code_point);
        add_raw(&word, taken ? code_point : REPLACEMENT);
        i += taken ? taken : 1;
    }
    end_word(&word);
    return TARS_OK;
}
