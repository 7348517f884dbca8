/* From the text of a template to its syntax tree. Ownership: everything is put into the arena. */
#ifndef ENGINE_TEMPLATE_PARSER_H
#define ENGINE_TEMPLATE_PARSER_H

#include "engine/template/lexer.h"
#include "engine/template/node.h"

enum {
    TEMPLATE_MAX_NESTING = 200,    /* of the parser's own recursion */
    TEMPLATE_MAX_NODE_DEPTH = 400, /* of an expression, as a chain of + or . makes it */
    TEMPLATE_MAX_PARAMETERS = 255  /* of a macro; also keyword arguments of a call */
};

typedef struct template_parser {
    template_lexer lexer;
    template_token current;
    template_token ahead;
    bool has_ahead;
    bool in_loop; /* break and continue are allowed */
    unsigned nesting;
    arena *memory;
    tars_error *err;
    tars_status status; /* of the failure */
} template_parser;

/* Parses the whole template into a list of statements. */
tars_status template_parse(const char *text, size_t length, arena *memory, template_node **out,
                           tars_error *err);
/* Gives each name its place (scope.c) and refuses unknown filters and tests where Jinja does. */
tars_status template_resolve_names(template_node *body, arena *memory, template_scope **root,
                                   tars_error *err);

/* ---- shared by the parser's files; each returns false or NULL after filling the error ---- */
bool parser_advance(template_parser *p);
/* The token after the current one. */
const template_token *parser_look(template_parser *p);
bool parser_fail(template_parser *p, const template_token *token, const char *format, ...)
    BASE_PRINTF(3, 4);
bool parser_fail_status(template_parser *p, tars_status status, const template_token *token,
                        const char *format, ...) BASE_PRINTF(4, 5);
bool parser_enter(template_parser *p);
static inline void parser_leave(template_parser *p) {
    p->nesting--;
}
bool parser_is_name(const template_token *token, const char *name);
/* Skips the current token if it is of that kind (that name) and says so in *found. */
bool parser_skip(template_parser *p, template_token_kind kind, bool *found);
bool parser_skip_name(template_parser *p, const char *name, bool *found);
/* The current token must be of that kind; takes it. */
bool parser_expect(template_parser *p, template_token_kind kind, template_token *out);
template_node *parser_node(template_parser *p, template_node_kind kind, uint32_t line);
void *parser_alloc(template_parser *p, size_t size_bytes);
void parser_append(template_list_of_nodes *list, template_node *node);
/* Sets the depth of `node` above those of its parts (NULL: none). */
bool parser_set_depth(template_parser *p, template_node *node, const template_node *part);

typedef enum tuple_end { TUPLE_END_NORMAL, TUPLE_END_IN, TUPLE_END_RECURSIVE } tuple_end;
template_node *parser_expression(template_parser *p, bool with_condition);
/* An expression or, with commas, a tuple. */
template_node *parser_tuple(template_parser *p, bool with_condition, tuple_end end);
/* Targets of set, for, with. */
template_node *parser_target(template_parser *p, bool with_namespace, tuple_end end);
/* "| name(…)" repeated, starting with a name if start_inline; base may be NULL. */
template_node *parser_filters(template_parser *p, template_node *base, bool start_inline);

#endif
