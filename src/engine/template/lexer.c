#include "engine/template/lexer.h"

#include "base/number.h"
#include "base/text.h"
#include "base/utf8.h"
#include "engine/template/character.h"

#include <stdarg.h>
#include <string.h>

static const char *const token_names[TOKEN_KIND_COUNT] = {
    [TOKEN_END] = "the end of the template",
    [TOKEN_TEXT] = "text",
    [TOKEN_PRINT_BEGIN] = "{{",
    [TOKEN_PRINT_END] = "}}",
    [TOKEN_BLOCK_BEGIN] = "{%",
    [TOKEN_BLOCK_END] = "%}",
    [TOKEN_NAME] = "a name",
    [TOKEN_STRING] = "a string",
    [TOKEN_INTEGER] = "an integer",
    [TOKEN_FLOAT] = "a number",
    [TOKEN_ADD] = "+",
    [TOKEN_SUBTRACT] = "-",
    [TOKEN_MULTIPLY] = "*",
    [TOKEN_DIVIDE] = "/",
    [TOKEN_FLOOR_DIVIDE] = "//",
    [TOKEN_MODULO] = "%",
    [TOKEN_POWER] = "**",
    [TOKEN_TILDE] = "~",
    [TOKEN_EQUAL] = "==",
    [TOKEN_NOT_EQUAL] = "!=",
    [TOKEN_LESS] = "<",
    [TOKEN_LESS_EQUAL] = "<=",
    [TOKEN_GREATER] = ">",
    [TOKEN_GREATER_EQUAL] = ">=",
    [TOKEN_ASSIGN] = "=",
    [TOKEN_DOT] = ".",
    [TOKEN_COLON] = ":",
    [TOKEN_PIPE] = "|",
    [TOKEN_COMMA] = ",",
    [TOKEN_SEMICOLON] = ";",
    [TOKEN_LEFT_PAREN] = "(",
    [TOKEN_RIGHT_PAREN] = ")",
    [TOKEN_LEFT_BRACKET] = "[",
    [TOKEN_RIGHT_BRACKET] = "]",
    [TOKEN_LEFT_BRACE] = "{",
    [TOKEN_RIGHT_BRACE] = "}",
};

/* Longest first among those with the same beginning. */
static const template_token_kind operators[] = {
    TOKEN_FLOOR_DIVIDE,  TOKEN_POWER,       TOKEN_EQUAL,        TOKEN_NOT_EQUAL,
    TOKEN_GREATER_EQUAL, TOKEN_LESS_EQUAL,  TOKEN_ADD,          TOKEN_SUBTRACT,
    TOKEN_MULTIPLY,      TOKEN_DIVIDE,      TOKEN_MODULO,       TOKEN_TILDE,
    TOKEN_LESS,          TOKEN_GREATER,     TOKEN_ASSIGN,       TOKEN_DOT,
    TOKEN_COLON,         TOKEN_PIPE,        TOKEN_COMMA,        TOKEN_SEMICOLON,
    TOKEN_LEFT_PAREN,    TOKEN_RIGHT_PAREN, TOKEN_LEFT_BRACKET, TOKEN_RIGHT_BRACKET,
    TOKEN_LEFT_BRACE,    TOKEN_RIGHT_BRACE,
};

const char *template_token_name(template_token_kind kind) {
    return token_names[kind];
}

tars_status template_lexer_fail(template_lexer *lexer, tars_status status, size_t offset,
                                const char *format, ...) {
    size_t line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < offset && i < lexer->length; i++) {
        if (lexer->text[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    }
    if (lexer->err) {
        error_clear(lexer->err);
        lexer->err->status = status;
        text_buffer text;
        text_init(&text, lexer->err->message, sizeof lexer->err->message);
        va_list arguments;
        va_start(arguments, format);
        text_format_list(&text, format, arguments);
        va_end(arguments);
    }
    size_t column = 1 + character_count(lexer->text + line_start, offset - line_start);
    error_where(lexer->err, "chat template, line %zu, column %zu", line, column);
    return status;
}

static tars_status out_of_memory(template_lexer *lexer) {
    error_set(lexer->err, TARS_OUT_OF_MEMORY,
              "the chat template needs more memory than its arena of %zu bytes has",
              lexer->memory->size_bytes);
    return TARS_OUT_OF_MEMORY;
}

tars_status template_lexer_init(template_lexer *lexer, const char *text, size_t length,
                                arena *memory, tars_error *err) {
    memset(lexer, 0, sizeof *lexer);
    lexer->memory = memory;
    lexer->err = err;
    char *copy = arena_alloc_raw(memory, length, 1);
    if (!copy) {
        return out_of_memory(lexer);
    }
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '\r') {
            i += i + 1 < length && text[i + 1] == '\n' ? 1 : 0;
            c = '\n';
        }
        copy[n++] = c;
    }
    if (n > 0 && copy[n - 1] == '\n') {
        n--;
    }
    lexer->text = copy;
    lexer->length = n;
    lexer->line = 1;
    lexer->at_line_start = true;
    return TARS_OK;
}

/* ---- outside of tags ----------------------------------------------------------------------- */

static bool has_at(const template_lexer *lexer, size_t position, const char *string) {
    size_t length = strlen(string);
    return lexer->length - position >= length && position <= lexer->length &&
           memcmp(lexer->text + position, string, length) == 0;
}

static size_t skip_space(const template_lexer *lexer, size_t position) {
    while (position < lexer->length) {
        uint32_t c;
        size_t used = character_read(lexer->text + position, lexer->length - position, &c);
        if (!character_is_space(c)) {
            break;
        }
        position += used;
    }
    return position;
}

static size_t strip_end(const char *text, size_t length) {
    while (length > 0) {
        uint32_t c;
        size_t used = character_read_back(text, length, &c);
        if (!character_is_space(c)) {
            break;
        }
        length -= used;
    }
    return length;
}

/* Moves to `position` and keeps line number and line start up to date. */
static void move_to(template_lexer *lexer, size_t position) {
    for (size_t i = lexer->position; i < position; i++) {
        lexer->line += lexer->text[i] == '\n' ? 1 : 0;
    }
    lexer->at_line_start =
        position > lexer->position ? lexer->text[position - 1] == '\n' : lexer->at_line_start;
    lexer->position = position;
}

/* End of a tag's closing mark at `position`, white space control included. 0: none is there. A
 * closing mark is e.g. "%}"; `trims` removes one line end after it. */
static size_t end_of_mark(const template_lexer *lexer, size_t position, const char *mark,
                          bool allows_plus, bool trims) {
    if (has_at(lexer, position, mark)) {
        size_t end = position + 2;
        return trims && end < lexer->length && lexer->text[end] == '\n' ? end + 1 : end;
    }
    if (position < lexer->length && has_at(lexer, position + 1, mark)) {
        if (lexer->text[position] == '-') {
            return skip_space(lexer, position + 3);
        }
        if (lexer->text[position] == '+' && allows_plus) {
            return position + 3;
        }
    }
    return 0;
}

/* The text before a tag, cut as the tag's sign ('-', '+' or 0) says. */
static size_t cut_text(const template_lexer *lexer, size_t start, size_t end, char sign,
                       bool is_print) {
    const char *text = lexer->text + start;
    size_t length = end - start;
    if (sign == '-') {
        return strip_end(text, length);
    }
    if (sign == '+' || is_print) {
        return length;
    }
    size_t line_start = length;
    while (line_start > 0 && text[line_start - 1] != '\n') {
        line_start--;
    }
    if (line_start == 0 && !lexer->at_line_start) {
        return length;
    }
    return strip_end(text, length) <= line_start ? line_start : length;
}

static char sign_at(const template_lexer *lexer, size_t position) {
    char c = position < lexer->length ? lexer->text[position] : '\0';
    return c == '-' || c == '+' ? c : '\0';
}

/* End of "{% word %}" that starts at `position`, or 0. */
static size_t end_of_simple_tag(const template_lexer *lexer, size_t position, const char *word,
                                bool trims) {
    if (!has_at(lexer, position, "{%")) {
        return 0;
    }
    size_t p = position + 2 + (sign_at(lexer, position + 2) ? 1 : 0);
    p = skip_space(lexer, p);
    if (!has_at(lexer, p, word)) {
        return 0;
    }
    p = skip_space(lexer, p + strlen(word));
    return end_of_mark(lexer, p, "%}", trims, trims);
}

/* Makes `out` the text [start, start + length) if there is any. */
static bool take_text(const template_lexer *lexer, size_t start, size_t length, uint32_t line,
                      template_token *out) {
    *out = (template_token){
        .kind = TOKEN_TEXT, .line = line, .offset = start, .text = {lexer->text + start, length}};
    return length > 0;
}

/* A comment: skipped. */
static tars_status skip_comment(template_lexer *lexer, size_t start) {
    for (size_t p = start + 2 + (sign_at(lexer, start + 2) ? 1 : 0); p < lexer->length; p++) {
        size_t end = end_of_mark(lexer, p, "#}", true, true);
        if (end) {
            move_to(lexer, end);
            return TARS_OK;
        }
    }
    return template_lexer_fail(lexer, TARS_MALFORMED, start, "the comment is never closed by #}");
}

/* The content of {% raw %}, whose tag ended at the lexer's position. */
static tars_status read_raw(template_lexer *lexer, size_t tag, template_token *out,
                            bool *has_text) {
    size_t start = lexer->position;
    for (size_t p = start; p < lexer->length; p++) {
        size_t end = lexer->text[p] == '{' ? end_of_simple_tag(lexer, p, "endraw", true) : 0;
        if (end) {
            size_t length = cut_text(lexer, start, p, sign_at(lexer, p + 2), false);
            *has_text = take_text(lexer, start, length, lexer->line, out);
            move_to(lexer, end);
            return TARS_OK;
        }
    }
    return template_lexer_fail(lexer, TARS_MALFORMED, tag,
                               "the raw block is never closed by {%% endraw %%}");
}

static size_t find_tag(const template_lexer *lexer) {
    for (size_t p = lexer->position; p + 1 < lexer->length; p++) {
        const char *text = lexer->text + p;
        if (text[0] == '{' && (text[1] == '%' || text[1] == '{' || text[1] == '#')) {
            return p;
        }
    }
    return lexer->length;
}

/* One tag after a text; what the tag begins is left in lexer->pending. */
static tars_status begin_tag(template_lexer *lexer, size_t tag, template_token *out,
                             bool *has_token) {
    char kind = lexer->text[tag + 1];
    size_t start = lexer->position;
    char sign = sign_at(lexer, tag + 2);
    size_t length = cut_text(lexer, start, tag, sign, kind == '{');
    *has_token = take_text(lexer, start, length, lexer->line, out);
    if (kind == '#') {
        move_to(lexer, tag);
        return skip_comment(lexer, tag);
    }
    size_t raw_end = kind == '%' ? end_of_simple_tag(lexer, tag, "raw", false) : 0;
    if (raw_end) {
        move_to(lexer, raw_end);
        template_token raw = {0};
        bool has_raw = false;
        tars_status status = read_raw(lexer, tag, &raw, &has_raw);
        if (status == TARS_OK && has_raw) {
            if (*has_token) {
                lexer->pending = raw;
                lexer->has_pending = true;
            } else {
                *out = raw;
                *has_token = true;
            }
        }
        return status;
    }
    move_to(lexer, tag + (sign ? 3 : 2));
    lexer->mode = kind == '{' ? LEXER_PRINT : LEXER_BLOCK;
    lexer->n_brackets = 0;
    template_token begin = {.kind = kind == '{' ? TOKEN_PRINT_BEGIN : TOKEN_BLOCK_BEGIN,
                            .line = lexer->line,
                            .offset = tag,
                            .text = {lexer->text + tag, 2}};
    if (*has_token) {
        lexer->pending = begin;
        lexer->has_pending = true;
    } else {
        *out = begin;
        *has_token = true;
    }
    return TARS_OK;
}

static tars_status next_outside(template_lexer *lexer, template_token *out) {
    bool has_token = false;
    while (!has_token) {
        if (lexer->position >= lexer->length) {
            *out =
                (template_token){.kind = TOKEN_END, .line = lexer->line, .offset = lexer->length};
            return TARS_OK;
        }
        size_t tag = find_tag(lexer);
        if (tag == lexer->length) {
            has_token = take_text(lexer, lexer->position, tag - lexer->position, lexer->line, out);
            move_to(lexer, tag);
            continue;
        }
        tars_status status = begin_tag(lexer, tag, out, &has_token);
        if (status != TARS_OK) {
            return status;
        }
    }
    return TARS_OK;
}

/* ---- inside tags --------------------------------------------------------------------------- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static char byte_at(const template_lexer *lexer, size_t position) {
    return position < lexer->length ? lexer->text[position] : '\0';
}

/* Digits of a base with single underscores between them; returns the end. */
static size_t skip_digits(const template_lexer *lexer, size_t p, unsigned base) {
    for (;;) {
        size_t digit = byte_at(lexer, p) == '_' ? p + 1 : p;
        char c = byte_at(lexer, digit);
        unsigned value = is_digit(c)            ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 99;
        if (value >= base) {
            return p;
        }
        p = digit + 1;
    }
}

/* End of a float that starts at p, or 0. */
static size_t end_of_float(const template_lexer *lexer, size_t p) {
    if (p > 0 && lexer->text[p - 1] == '.') {
        return 0;
    }
    size_t end = skip_digits(lexer, p, 10);
    bool is_float = false;
    if (byte_at(lexer, end) == '.' && is_digit(byte_at(lexer, end + 1))) {
        end = skip_digits(lexer, end + 1, 10);
        is_float = true;
    }
    if (byte_at(lexer, end) == 'e' || byte_at(lexer, end) == 'E') {
        char sign = byte_at(lexer, end + 1);
        size_t digits = end + (sign == '+' || sign == '-' ? 2 : 1);
        if (is_digit(byte_at(lexer, digits))) {
            return skip_digits(lexer, digits, 10);
        }
    }
    return is_float ? end : 0;
}

/* Copies [start, end) without underscores and leading zeros. */
static char *plain_number(template_lexer *lexer, size_t start, size_t end, size_t *length) {
    char *copy = arena_alloc_raw(lexer->memory, end - start, 1);
    *length = 0;
    for (size_t p = start; copy && p < end; p++) {
        char c = lexer->text[p];
        bool is_leading_zero = c == '0' && *length == 0 && p + 1 < end &&
                               (is_digit(lexer->text[p + 1]) || lexer->text[p + 1] == '_');
        if (c != '_' && !is_leading_zero) {
            copy[(*length)++] = c;
        }
    }
    return copy;
}

static tars_status read_float(template_lexer *lexer, size_t end, template_token *out) {
    size_t length;
    char *plain = plain_number(lexer, lexer->position, end, &length);
    if (!plain) {
        return out_of_memory(lexer);
    }
    double value;
    if (!number_to_double(plain, length, &value)) {
        return template_lexer_fail(lexer, TARS_UNSUPPORTED, lexer->position,
                                   "the number %.*s is beyond a double", (int)length, plain);
    }
    out->kind = TOKEN_FLOAT;
    out->number = template_float(value);
    return TARS_OK;
}

static bool parse_base(const char *digits, size_t length, unsigned base, int64_t *out) {
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++) {
        char c = digits[i];
        if (c == '_') {
            continue;
        }
        unsigned digit = is_digit(c) ? (unsigned)(c - '0') : ((unsigned)c | 0x20u) - 'a' + 10;
        if (value > ((uint64_t)INT64_MAX - digit) / base) {
            return false;
        }
        value = value * base + digit;
    }
    *out = (int64_t)value;
    return true;
}

static tars_status read_integer(template_lexer *lexer, size_t *end, template_token *out) {
    size_t start = lexer->position;
    char mark = (char)(byte_at(lexer, start + 1) | 0x20);
    unsigned base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    size_t digits = start + 2;
    if (byte_at(lexer, start) != '0' || base == 0 || skip_digits(lexer, digits, base) == digits) {
        base = 10;
        digits = start;
    }
    *end = byte_at(lexer, digits) == '0' && base == 10 ? skip_digits(lexer, digits, 1)
                                                       : skip_digits(lexer, digits, base);
    int64_t value;
    if (!parse_base(lexer->text + digits, *end - digits, base, &value)) {
        return template_lexer_fail(lexer, TARS_UNSUPPORTED, start,
                                   "the integer is beyond 64 bits, which is not supported");
    }
    out->kind = TOKEN_INTEGER;
    out->number = template_int(value);
    return TARS_OK;
}

/* ---- strings ------------------------------------------------------------------------------- */

static const char escape_letters[] = "abfnrtv\\'\"";
static const char escape_values[] = "\a\b\f\n\r\t\v\\'\"";

/* The code point of `digits` hexadecimal digits at s, or -1. */
static int64_t hex_value(const char *s, size_t length, size_t digits) {
    int64_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = i < length ? s[i] : '\0';
        int digit = is_digit(c)            ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

static size_t put_hex(char *out, uint32_t c) {
    size_t digits = c < 0x100 ? 2 : c < 0x10000 ? 4 : 8;
    out[0] = digits == 2 ? 'x' : digits == 4 ? 'u' : 'U';
    for (size_t i = 0; i < digits; i++) {
        out[1 + i] = "0123456789abcdef"[(c >> (4 * (digits - 1 - i))) & 0xFu];
    }
    return 1 + digits;
}

/* Resolves the escape after a backslash at s; writes to out and returns the bytes read, 0 when it
 * is malformed. The rules are those of Python's string literals. */
static size_t read_escape(const char *s, size_t length, char *out, size_t *written) {
    char c = s[0];
    for (size_t i = 0; i < sizeof escape_letters - 1; i++) {
        if (escape_letters[i] == c) {
            *written = 1;
            out[0] = escape_values[i];
            return 1;
        }
    }
    if (c == '\n') {
        *written = 0;
        return 1;
    }
    if (c >= '0' && c <= '7') {
        size_t used = 0;
        uint32_t value = 0;
        while (used < 3 && used < length && s[used] >= '0' && s[used] <= '7') {
            value = value * 8 + (uint32_t)(s[used++] - '0');
        }
        *written = utf8_encode(value, out);
        return used;
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits > 0) {
        int64_t value = hex_value(s + 1, length - 1, digits);
        if (value < 0 || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
            return 0;
        }
        *written = utf8_encode((uint32_t)value, out);
        return 1 + digits;
    }
    out[0] = '\\'; /* an unknown escape stays as it is, a character beyond ASCII as its number */
    uint32_t code_point;
    size_t used = character_read(s, length, &code_point);
    if (code_point < 0x80 || code_point == CHARACTER_INVALID) {
        out[1] = c;
        *written = 2;
    } else {
        *written = 1 + put_hex(out + 1, code_point);
    }
    return c == 'N' ? 0 : used;
}

static tars_status unescape(template_lexer *lexer, size_t start, size_t end, template_token *out) {
    /* "\é" (3 bytes) becomes "\xe9" (4): at most 10 bytes for each 3 */
    char *copy = arena_alloc_raw(lexer->memory, (end - start) * 4, 1);
    if (!copy) {
        return out_of_memory(lexer);
    }
    size_t n = 0;
    for (size_t p = start; p < end;) {
        if (lexer->text[p] != '\\') {
            copy[n++] = lexer->text[p++];
            continue;
        }
        size_t written = 0;
        size_t used = read_escape(lexer->text + p + 1, end - p - 1, copy + n, &written);
        if (used == 0) {
            return template_lexer_fail(lexer, TARS_MALFORMED, p,
                                       "an escape in a string is malformed or not supported");
        }
        n += written;
        p += 1 + used;
    }
    out->text = (template_text){copy, n};
    return TARS_OK;
}

static tars_status read_string(template_lexer *lexer, size_t *end, template_token *out) {
    char quote = lexer->text[lexer->position];
    size_t start = lexer->position + 1;
    bool has_escape = false;
    size_t p = start;
    while (p < lexer->length && lexer->text[p] != quote) {
        has_escape = has_escape || lexer->text[p] == '\\';
        p += lexer->text[p] == '\\' ? 2 : 1;
    }
    if (p >= lexer->length) {
        return template_lexer_fail(lexer, TARS_MALFORMED, lexer->position,
                                   "the string is never closed by %c", quote);
    }
    *end = p + 1;
    out->kind = TOKEN_STRING;
    out->text = (template_text){lexer->text + start, p - start};
    return has_escape ? unescape(lexer, start, p, out) : TARS_OK;
}

/* ---- tokens inside tags -------------------------------------------------------------------- */

static tars_status track_bracket(template_lexer *lexer, template_token_kind kind) {
    static const char closing[TOKEN_KIND_COUNT] = {
        [TOKEN_LEFT_PAREN] = ')', [TOKEN_LEFT_BRACKET] = ']', [TOKEN_LEFT_BRACE] = '}'};
    if (closing[kind]) {
        if (lexer->n_brackets == TEMPLATE_MAX_BRACKETS) {
            return template_lexer_fail(lexer, TARS_LIMIT, lexer->position,
                                       "more than %d brackets are open", TEMPLATE_MAX_BRACKETS);
        }
        lexer->brackets[lexer->n_brackets++] = closing[kind];
        return TARS_OK;
    }
    if (kind != TOKEN_RIGHT_PAREN && kind != TOKEN_RIGHT_BRACKET && kind != TOKEN_RIGHT_BRACE) {
        return TARS_OK;
    }
    char found = token_names[kind][0];
    if (lexer->n_brackets == 0) {
        return template_lexer_fail(lexer, TARS_MALFORMED, lexer->position, "unexpected %c", found);
    }
    char due = lexer->brackets[--lexer->n_brackets];
    if (due != found) {
        return template_lexer_fail(lexer, TARS_MALFORMED, lexer->position,
                                   "unexpected %c, expected %c", found, due);
    }
    return TARS_OK;
}

static tars_status read_operator(template_lexer *lexer, size_t *end, template_token *out) {
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        const char *name = token_names[operators[i]];
        if (has_at(lexer, lexer->position, name)) {
            out->kind = operators[i];
            *end = lexer->position + strlen(name);
            return track_bracket(lexer, out->kind);
        }
    }
    unsigned char c = (unsigned char)lexer->text[lexer->position];
    if (c >= 0x80) {
        return template_lexer_fail(lexer, TARS_UNSUPPORTED, lexer->position,
                                   "a character beyond ASCII outside of a string");
    }
    return template_lexer_fail(lexer, TARS_MALFORMED, lexer->position, "unexpected character %c",
                               c);
}

static tars_status read_word(template_lexer *lexer, size_t *end, template_token *out) {
    char c = lexer->text[lexer->position];
    if (is_digit(c)) {
        *end = end_of_float(lexer, lexer->position);
        return *end ? read_float(lexer, *end, out) : read_integer(lexer, end, out);
    }
    if (is_name_start(c)) {
        size_t p = lexer->position;
        while (is_name_start(byte_at(lexer, p)) || is_digit(byte_at(lexer, p))) {
            p++;
        }
        *end = p;
        out->kind = TOKEN_NAME;
        return TARS_OK;
    }
    return c == '\'' || c == '"' ? read_string(lexer, end, out) : read_operator(lexer, end, out);
}

static tars_status next_inside(template_lexer *lexer, template_token *out) {
    move_to(lexer, skip_space(lexer, lexer->position));
    *out = (template_token){.line = lexer->line, .offset = lexer->position};
    if (lexer->position >= lexer->length) {
        out->kind = TOKEN_END;
        return TARS_OK;
    }
    bool is_print = lexer->mode == LEXER_PRINT;
    size_t end = lexer->n_brackets > 0 ? 0
                                       : end_of_mark(lexer, lexer->position, is_print ? "}}" : "%}",
                                                     !is_print, !is_print);
    if (end) {
        out->kind = is_print ? TOKEN_PRINT_END : TOKEN_BLOCK_END;
        lexer->mode = LEXER_TEXT;
    } else {
        tars_status status = read_word(lexer, &end, out);
        if (status != TARS_OK) {
            return status;
        }
    }
    if (out->kind != TOKEN_STRING) {
        out->text = (template_text){lexer->text + lexer->position, end - lexer->position};
    }
    move_to(lexer, end);
    return TARS_OK;
}

tars_status template_lexer_next(template_lexer *lexer, template_token *out) {
    if (lexer->has_pending) {
        lexer->has_pending = false;
        *out = lexer->pending;
        return TARS_OK;
    }
    return lexer->mode == LEXER_TEXT ? next_outside(lexer, out) : next_inside(lexer, out);
}
