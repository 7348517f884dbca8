#include "engine/tokenizer/split.h"

#include "base/utf8.h"
#include "engine/tokenizer/unicode.h"

#include <string.h>

enum { LONG_S = 0x17F, REPLACEMENT = 0xFFFD };

/* Names of models whose rule is the same share it. */
static const tokenizer_pre pre_table[] = {
    {"gpt-2", TOKENIZER_SPLIT_GPT2, false, false},
    {"default", TOKENIZER_SPLIT_GPT2, false, false},
    {"phi-2", TOKENIZER_SPLIT_GPT2, false, false},
    {"olmo", TOKENIZER_SPLIT_GPT2, false, false},
    {"llama-bpe", TOKENIZER_SPLIT_LLAMA3, true, true},
    {"llama3", TOKENIZER_SPLIT_LLAMA3, true, true},
    {"llama-v3", TOKENIZER_SPLIT_LLAMA3, true, true},
    {"qwen2", TOKENIZER_SPLIT_QWEN2, false, false},
    {"stablelm2", TOKENIZER_SPLIT_QWEN2, false, false},
    {"smollm", TOKENIZER_SPLIT_SMOLLM, false, false},
    {"starcoder", TOKENIZER_SPLIT_SMOLLM, false, false},
    {"refact", TOKENIZER_SPLIT_SMOLLM, false, false},
};

const tokenizer_pre *tokenizer_pre_at(size_t index) {
    return index < sizeof pre_table / sizeof pre_table[0] ? &pre_table[index] : NULL;
}

const tokenizer_pre *tokenizer_pre_find(const char *name) {
    const tokenizer_pre *pre;
    for (size_t i = 0; (pre = tokenizer_pre_at(i)) != NULL; i++) {
        if (strcmp(pre->name, name ? name : "default") == 0) {
            return pre;
        }
    }
    return NULL;
}

/* One character of the text, or nothing at its end. */
typedef struct split_character {
    uint32_t code_point;
    size_t length; /* 0: the end */
    bool letter, number, white;
} split_character;

static split_character character_at(const tokenizer_split *s, size_t position) {
    split_character c = {0, 0, false, false, false};
    if (position >= s->limit) {
        return c;
    }
    c.code_point = (uint8_t)s->text[position];
    c.length = 1;
    if (c.code_point >= 0x80) {
        size_t length = utf8_decode(s->text + position, s->limit - position, &c.code_point);
        c.length = length ? length : 1;
        c.code_point = length ? c.code_point : REPLACEMENT;
    }
    unsigned flags = unicode_get_flags(c.code_point);
    c.letter = (flags & UNICODE_LETTER) != 0;
    c.number = (flags & UNICODE_NUMBER) != 0;
    c.white = (flags & UNICODE_WHITE_SPACE) != 0;
    return c;
}

static bool is_line_end(split_character c) {
    return c.code_point == '\r' || c.code_point == '\n';
}

static bool is_other(split_character c) {
    return c.length > 0 && !c.letter && !c.number && !c.white;
}

/* Each returns where the run that begins at `position` ends, perhaps at once. */
static size_t skip_letters(const tokenizer_split *s, size_t position) {
    split_character c;
    while ((c = character_at(s, position)).letter) {
        position += c.length;
    }
    return position;
}

static size_t skip_numbers(const tokenizer_split *s, size_t position, size_t at_most) {
    split_character c;
    while (at_most-- > 0 && (c = character_at(s, position)).number) {
        position += c.length;
    }
    return position;
}

static size_t skip_others(const tokenizer_split *s, size_t position) {
    split_character c;
    while (is_other(c = character_at(s, position))) {
        position += c.length;
    }
    return position;
}

/* Whether the text goes on with these small letters. */
static bool goes_on(const tokenizer_split *s, size_t position, const char *letters, bool any_case) {
    size_t length = strlen(letters);
    if (s->limit - position < length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        char letter = s->text[position + i];
        bool capital = letter >= 'A' && letter <= 'Z';
        if ((any_case && capital ? letter + 'a' - 'A' : letter) != letters[i]) {
            return false;
        }
    }
    return true;
}

/* 's|'t|'re|'ve|'m|'ll|'d; returns the end, or `position` when it is none of them. */
static size_t skip_contraction(const tokenizer_split *s, size_t position, bool any_case) {
    static const char *const endings[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    if (s->text[position] != '\'') {
        return position;
    }
    size_t after = position + 1;
    split_character c = character_at(s, after);
    if (any_case && c.code_point == LONG_S) {
        return after + c.length;
    }
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (goes_on(s, after, endings[i], any_case)) {
            return after + strlen(endings[i]);
        }
    }
    return position;
}

/* \s+(?!\S)|\s+, preceded by \s*[\r\n]+ if `lines`: a run of white space, without its last
 * character when a word follows. */
static size_t skip_white(const tokenizer_split *s, size_t position, bool lines) {
    size_t end = position, last = position, after_line = position;
    split_character c;
    while ((c = character_at(s, end)).white) {
        last = end;
        end += c.length;
        if (is_line_end(c)) {
            after_line = end;
        }
    }
    if (lines && after_line > position) {
        return after_line;
    }
    return end < s->limit && last > position ? last : end;
}

static size_t next_gpt2(const tokenizer_split *s, size_t position) {
    size_t end = skip_contraction(s, position, false);
    if (end > position) {
        return end;
    }
    split_character c = character_at(s, position);
    size_t word = position;
    if (c.code_point == ' ' && character_at(s, position + 1).length > 0) {
        word = position + 1;
        c = character_at(s, word);
    }
    if (c.letter) {
        return skip_letters(s, word);
    }
    if (c.number) {
        return skip_numbers(s, word, SIZE_MAX);
    }
    return c.white ? skip_white(s, position, false) : skip_others(s, word);
}

/* LLAMA3 and QWEN2 */
static size_t next_llama3(const tokenizer_split *s, size_t position, size_t max_digits) {
    size_t end = skip_contraction(s, position, true);
    if (end > position) {
        return end;
    }
    split_character c = character_at(s, position);
    split_character next = character_at(s, position + c.length);
    if (c.letter || (!is_line_end(c) && !c.number && next.letter)) {
        return skip_letters(s, position + c.length);
    }
    if (c.number) {
        return skip_numbers(s, position, max_digits);
    }
    if (is_other(c) || (c.code_point == ' ' && is_other(next))) {
        end = skip_others(s, position + (c.code_point == ' ' ? 1 : 0));
        while (end < s->limit && (s->text[end] == '\r' || s->text[end] == '\n')) {
            end++;
        }
        return end;
    }
    return skip_white(s, position, true);
}

/* Where the text without numbers that begins here ends. */
static size_t find_number(const tokenizer_split *s) {
    tokenizer_split whole = *s;
    whole.limit = s->length;
    size_t position = s->position;
    for (split_character c = character_at(&whole, position); c.length > 0 && !c.number;
         c = character_at(&whole, position)) {
        position += c.length;
    }
    return position;
}

void tokenizer_split_init(tokenizer_split *split, tokenizer_split_rule rule, const char *text,
                          size_t length) {
    *split = (tokenizer_split){
        .rule = rule, .text = text, .length = length, .limit = length, .position = 0};
    if (rule == TOKENIZER_SPLIT_SMOLLM) {
        split->limit = 0;
    }
}

static size_t next_smollm(tokenizer_split *s) {
    if (s->position == s->limit) {
        s->limit = find_number(s);
    }
    if (s->position == s->limit) { /* a number stands here */
        s->limit = s->length;
        s->limit = skip_numbers(s, s->position, 1);
        return s->limit;
    }
    return next_gpt2(s, s->position);
}

bool tokenizer_split_next(tokenizer_split *s, size_t *start, size_t *end) {
    if (s->position >= s->length) {
        return false;
    }
    *start = s->position;
    switch (s->rule) {
    case TOKENIZER_SPLIT_GPT2:
        s->position = next_gpt2(s, s->position);
        break;
    case TOKENIZER_SPLIT_LLAMA3:
        s->position = next_llama3(s, s->position, 3);
        break;
    case TOKENIZER_SPLIT_QWEN2:
        s->position = next_llama3(s, s->position, 1);
        break;
    case TOKENIZER_SPLIT_SMOLLM:
        s->position = next_smollm(s);
        break;
    default:
        s->position = s->length;
        break; /* a damaged blob */
    }
    *end = s->position;
    return true;
}
