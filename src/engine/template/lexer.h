/* Cuts a chat template into tokens, with Jinja's white space rules (trim_blocks, lstrip_blocks, -
 * and + signs) applied. Ownership: tokens point into the lexer's text and arena. */
#ifndef ENGINE_TEMPLATE_LEXER_H
#define ENGINE_TEMPLATE_LEXER_H

#include "engine/template/value.h"

typedef enum template_token_kind {
    TOKEN_END,
    TOKEN_TEXT, /* outside of all tags */
    TOKEN_PRINT_BEGIN,
    TOKEN_PRINT_END,
    TOKEN_BLOCK_BEGIN,
    TOKEN_BLOCK_END,
    TOKEN_NAME,
    TOKEN_STRING, /* `text` is the value, escapes resolved */
    TOKEN_INTEGER,
    TOKEN_FLOAT,
    TOKEN_ADD,
    TOKEN_SUBTRACT,
    TOKEN_MULTIPLY,
    TOKEN_DIVIDE,
    TOKEN_FLOOR_DIVIDE,
    TOKEN_MODULO,
    TOKEN_POWER,
    TOKEN_TILDE,
    TOKEN_EQUAL,
    TOKEN_NOT_EQUAL,
    TOKEN_LESS,
    TOKEN_LESS_EQUAL,
    TOKEN_GREATER,
    TOKEN_GREATER_EQUAL,
    TOKEN_ASSIGN,
    TOKEN_DOT,
    TOKEN_COLON,
    TOKEN_PIPE,
    TOKEN_COMMA,
    TOKEN_SEMICOLON,
    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_LEFT_BRACKET,
    TOKEN_RIGHT_BRACKET,
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
    TOKEN_KIND_COUNT
} template_token_kind;

typedef struct template_token {
    template_token_kind kind;
    uint32_t line;
    size_t offset; /* in the lexer's text */
    template_text text;
    template_value number; /* INTEGER and FLOAT */
} template_token;

enum { TEMPLATE_MAX_BRACKETS = 160 }; /* open ( [ { at once; the parser stops before */

typedef struct template_lexer {
    const char *text; /* line ends are \n, the last one is cut off */
    size_t length;
    size_t position;
    uint32_t line;
    arena *memory;
    tars_error *err;
    enum { LEXER_TEXT, LEXER_PRINT, LEXER_BLOCK } mode;
    bool at_line_start;     /* what came before ended with a line end */
    template_token pending; /* the tag that follows a text */
    bool has_pending;
    char brackets[TEMPLATE_MAX_BRACKETS]; /* the closing ones that are due */
    size_t n_brackets;
} template_lexer;

/* Copies the template into the arena with its line ends made \n. */
tars_status template_lexer_init(template_lexer *lexer, const char *text, size_t length,
                                arena *memory, tars_error *err);
tars_status template_lexer_next(template_lexer *lexer, template_token *out);
/* MALFORMED (or another status) at an offset, with line and column. */
tars_status template_lexer_fail(template_lexer *lexer, tars_status status, size_t offset,
                                const char *format, ...) BASE_PRINTF(4, 5);
/* "'x'", "end of template": what the token is called in messages. */
const char *template_token_name(template_token_kind kind);

#endif
