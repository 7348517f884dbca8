#include "engine/template/parser.h"

#include "base/text.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <string.h>

/* ---- shared helpers ------------------------------------------------------------------------ */

bool parser_fail_status(template_parser *p, tars_status status, const template_token *token,
                        const char *format, ...) {
    if (p->status != TARS_OK) {
        return false;
    }
    char message[256];
    text_buffer text;
    text_init(&text, message, sizeof message);
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&text, format, arguments);
    va_end(arguments);
    p->status = template_lexer_fail(&p->lexer, status, token->offset, "%s", message);
    return false;
}

bool parser_fail(template_parser *p, const template_token *token, const char *format, ...) {
    if (p->status != TARS_OK) {
        return false;
    }
    char message[256];
    text_buffer text;
    text_init(&text, message, sizeof message);
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&text, format, arguments);
    va_end(arguments);
    p->status = template_lexer_fail(&p->lexer, TARS_MALFORMED, token->offset, "%s", message);
    return false;
}

bool parser_advance(template_parser *p) {
    if (p->has_ahead) {
        p->has_ahead = false;
        p->current = p->ahead;
        return true;
    }
    tars_status status = template_lexer_next(&p->lexer, &p->current);
    if (status != TARS_OK && p->status == TARS_OK) {
        p->status = status;
    }
    return status == TARS_OK;
}

const template_token *parser_look(template_parser *p) {
    if (!p->has_ahead) {
        tars_status status = template_lexer_next(&p->lexer, &p->ahead);
        if (status != TARS_OK) {
            p->status = p->status == TARS_OK ? status : p->status;
            return NULL;
        }
        p->has_ahead = true;
    }
    return &p->ahead;
}

bool parser_enter(template_parser *p) {
    if (p->nesting >= TEMPLATE_MAX_NESTING) {
        return parser_fail_status(p, TARS_LIMIT, &p->current, "nested deeper than %d levels",
                                  TEMPLATE_MAX_NESTING);
    }
    p->nesting++;
    return true;
}

bool parser_is_name(const template_token *token, const char *name) {
    return token->kind == TOKEN_NAME && strlen(name) == token->text.length &&
           memcmp(token->text.bytes, name, token->text.length) == 0;
}

bool parser_skip(template_parser *p, template_token_kind kind, bool *found) {
    *found = p->current.kind == kind;
    return !*found || parser_advance(p);
}

bool parser_skip_name(template_parser *p, const char *name, bool *found) {
    *found = parser_is_name(&p->current, name);
    return !*found || parser_advance(p);
}

/* What the current token is called in a message. */
static const char *describe(const template_parser *p, char *buffer, size_t size_bytes) {
    if (p->current.kind != TOKEN_NAME) {
        return template_token_name(p->current.kind);
    }
    text_buffer text;
    text_init(&text, buffer, size_bytes);
    text_format(&text, "'%.*s'", (int)(p->current.text.length < 40 ? p->current.text.length : 40),
                p->current.text.bytes);
    return buffer;
}

bool parser_expect(template_parser *p, template_token_kind kind, template_token *out) {
    if (p->current.kind != kind) {
        char name[64];
        return parser_fail(p, &p->current, "expected %s, found %s", template_token_name(kind),
                           describe(p, name, sizeof name));
    }
    if (out) {
        *out = p->current;
    }
    return parser_advance(p);
}

static bool expect_name(template_parser *p, const char *name) {
    if (!parser_is_name(&p->current, name)) {
        char found[64];
        return parser_fail(p, &p->current, "expected '%s', found %s", name,
                           describe(p, found, sizeof found));
    }
    return parser_advance(p);
}

void *parser_alloc(template_parser *p, size_t size_bytes) {
    void *memory = arena_alloc(p->memory, size_bytes, _Alignof(max_align_t));
    if (!memory) {
        parser_fail_status(p, TARS_OUT_OF_MEMORY, &p->current,
                           "the chat template needs more memory than its arena of %zu bytes has",
                           p->memory->size_bytes);
    }
    return memory;
}

template_node *parser_node(template_parser *p, template_node_kind kind, uint32_t line) {
    template_node *node = parser_alloc(p, sizeof *node);
    if (node) {
        node->kind = (uint8_t)kind;
        node->line = line;
    }
    return node;
}

void parser_append(template_list_of_nodes *list, template_node *node) {
    if (list->last) {
        list->last->next = node;
    } else {
        list->first = node;
    }
    list->last = node;
    list->count++;
}

bool parser_set_depth(template_parser *p, template_node *node, const template_node *part) {
    if (!part || node->depth > part->depth) {
        return true;
    }
    if (part->depth >= TEMPLATE_MAX_NODE_DEPTH) {
        return parser_fail_status(p, TARS_LIMIT, &p->current,
                                  "an expression of more than %d operations in a row",
                                  TEMPLATE_MAX_NODE_DEPTH);
    }
    node->depth = (uint16_t)(part->depth + 1);
    return true;
}

/* ---- statements ---------------------------------------------------------------------------- */

/* Names that end a block, at most three. */
typedef struct end_names {
    const char *names[4];
} end_names;

static bool parse_body(template_parser *p, const end_names *ends, template_node **out);

/* The body of a block up to one of the end names, which stays the current token. */
static bool parse_block(template_parser *p, const end_names *ends, template_node **out) {
    bool found;
    if (!parser_skip(p, TOKEN_COLON, &found) || !parser_expect(p, TOKEN_BLOCK_END, NULL) ||
        !parser_enter(p) || !parse_body(p, ends, out)) {
        return false;
    }
    parser_leave(p);
    return true;
}

/* As parse_block for a block with one end name, which is taken. */
static bool parse_block_to(template_parser *p, const char *name, template_node **out) {
    end_names ends = {{name}};
    return parse_block(p, &ends, out) && parser_advance(p);
}

static template_node *parse_if(template_parser *p) {
    static const end_names ends = {{"elif", "else", "endif"}};
    template_node *node = parser_node(p, NODE_IF, p->current.line);
    template_list_of_nodes branches = {0};
    bool more = true;
    while (more) {
        template_node *branch = parser_node(p, NODE_BRANCH, p->current.line);
        if (!node || !branch || !parser_advance(p)) {
            return NULL;
        }
        branch->as.branch.test = parser_tuple(p, false, TUPLE_END_NORMAL);
        if (!branch->as.branch.test || !parse_block(p, &ends, &branch->as.branch.body)) {
            return NULL;
        }
        parser_append(&branches, branch);
        more = parser_is_name(&p->current, "elif");
    }
    bool has_else;
    if (!parser_skip_name(p, "else", &has_else)) {
        return NULL;
    }
    if (has_else) {
        template_node *branch = parser_node(p, NODE_BRANCH, p->current.line);
        if (!branch || !parse_block_to(p, "endif", &branch->as.branch.body)) {
            return NULL;
        }
        parser_append(&branches, branch);
    } else if (!parser_advance(p)) {
        return NULL;
    }
    node->as.of.left = branches.first;
    return node;
}

static bool parse_loop_head(template_parser *p, template_loop_code *loop) {
    bool found;
    if (!parser_advance(p)) {
        return false;
    }
    loop->target = parser_target(p, false, TUPLE_END_IN);
    if (!loop->target || !expect_name(p, "in")) {
        return false;
    }
    loop->iterable = parser_tuple(p, false, TUPLE_END_RECURSIVE);
    if (!loop->iterable || !parser_skip_name(p, "if", &found)) {
        return false;
    }
    if (found) {
        loop->test = parser_expression(p, true);
        if (!loop->test) {
            return false;
        }
    }
    template_token token = p->current;
    if (!parser_skip_name(p, "recursive", &loop->recursive)) {
        return false;
    }
    return !loop->recursive ||
           parser_fail_status(p, TARS_UNSUPPORTED, &token, "recursive loops are not supported");
}

static template_node *parse_for(template_parser *p) {
    static const end_names ends = {{"endfor", "else"}};
    template_node *node = parser_node(p, NODE_FOR, p->current.line);
    template_loop_code *loop = parser_alloc(p, sizeof *loop);
    if (!node || !loop || !parse_loop_head(p, loop)) {
        return NULL;
    }
    node->as.loop = loop;
    bool was_in_loop = p->in_loop;
    p->in_loop = true;
    bool parsed = parse_block(p, &ends, &loop->body);
    p->in_loop = was_in_loop;
    if (!parsed || !parser_skip_name(p, "else", &loop->has_otherwise)) {
        return NULL;
    }
    if (loop->has_otherwise) {
        return parse_block_to(p, "endfor", &loop->otherwise) ? node : NULL;
    }
    return parser_advance(p) ? node : NULL;
}

static template_node *parse_set(template_parser *p) {
    template_node *node = parser_node(p, NODE_SET, p->current.line);
    if (!node || !parser_advance(p)) {
        return NULL;
    }
    node->as.block.target = parser_target(p, true, TUPLE_END_NORMAL);
    bool has_value;
    if (!node->as.block.target || !parser_skip(p, TOKEN_ASSIGN, &has_value)) {
        return NULL;
    }
    if (has_value) {
        node->as.block.value = parser_tuple(p, true, TUPLE_END_NORMAL);
        return node->as.block.value ? node : NULL;
    }
    node->kind = NODE_SET_BLOCK;
    if (p->current.kind == TOKEN_PIPE) {
        node->as.block.value = parser_filters(p, NULL, false);
        if (!node->as.block.value) {
            return NULL;
        }
    }
    return parse_block_to(p, "endset", &node->as.block.body) ? node : NULL;
}

/* The parameters of a macro or of a call block. */
static bool parse_signature(template_parser *p, template_macro_code *code) {
    template_list_of_nodes parameters = {0};
    template_list_of_nodes defaults = {0};
    if (!parser_expect(p, TOKEN_LEFT_PAREN, NULL)) {
        return false;
    }
    while (p->current.kind != TOKEN_RIGHT_PAREN) {
        template_token token = p->current;
        if ((parameters.first && !parser_expect(p, TOKEN_COMMA, NULL)) ||
            !parser_expect(p, TOKEN_NAME, &token)) {
            return false;
        }
        for (const template_node *n = parameters.first; n; n = n->next) {
            if (n->as.name.name.length == token.text.length &&
                memcmp(n->as.name.name.bytes, token.text.bytes, token.text.length) == 0) {
                return parser_fail(p, &token, "a parameter name is used twice");
            }
        }
        template_node *name = parser_node(p, NODE_NAME, token.line);
        bool has_default;
        if (!name || !parser_skip(p, TOKEN_ASSIGN, &has_default)) {
            return false;
        }
        name->as.name.name = token.text;
        parser_append(&parameters, name);
        code->has_caller_parameter = code->has_caller_parameter || parser_is_name(&token, "caller");
        if (has_default) {
            template_node *value = parser_expression(p, true);
            if (!value) {
                return false;
            }
            parser_append(&defaults, value);
        } else if (defaults.first || parameters.count > TEMPLATE_MAX_PARAMETERS) {
            return parser_fail(p, &token,
                               "a parameter without a default after one with it, or "
                               "too many parameters");
        }
    }
    code->parameters = parameters.first;
    code->n_parameters = parameters.count;
    code->defaults = defaults.first;
    code->n_defaults = defaults.count;
    return parser_advance(p);
}

/* A body that is a function of its own: break and continue do not reach out of it. */
static bool parse_function_body(template_parser *p, const char *end, template_node **out) {
    bool was_in_loop = p->in_loop;
    p->in_loop = false;
    bool parsed = parse_block_to(p, end, out);
    p->in_loop = was_in_loop;
    return parsed;
}

static template_node *make_macro(template_parser *p, template_node_kind kind) {
    template_node *node = parser_node(p, kind, p->current.line);
    template_macro_code *code = parser_alloc(p, sizeof *code);
    if (!node || !code || !parser_advance(p)) {
        return NULL;
    }
    node->as.macro.code = code;
    return node;
}

static template_node *parse_macro(template_parser *p) {
    template_node *node = make_macro(p, NODE_MACRO);
    template_token token = p->current;
    if (!node || !parser_expect(p, TOKEN_NAME, &token)) {
        return NULL;
    }
    template_node *target = parser_node(p, NODE_NAME, token.line);
    if (!target) {
        return NULL;
    }
    target->as.name.name = token.text;
    node->as.macro.call = target;
    node->as.macro.code->name = token.text;
    return parse_signature(p, node->as.macro.code) &&
                   parse_function_body(p, "endmacro", &node->as.macro.code->body)
               ? node
               : NULL;
}

static template_node *parse_call_block(template_parser *p) {
    template_node *node = make_macro(p, NODE_CALL_BLOCK);
    if (!node ||
        (p->current.kind == TOKEN_LEFT_PAREN && !parse_signature(p, node->as.macro.code))) {
        return NULL;
    }
    template_token token = p->current;
    template_node *call = parser_expression(p, true);
    if (!call) {
        return NULL;
    }
    if (call->kind != NODE_CALL) {
        parser_fail(p, &token, "expected a call");
        return NULL;
    }
    node->as.macro.call = call;
    node->as.macro.code->name = (template_text){"caller", 6};
    return parse_function_body(p, "endcall", &node->as.macro.code->body) ? node : NULL;
}

static template_node *parse_generation(template_parser *p) {
    template_node *node = make_macro(p, NODE_GENERATION);
    return node && parse_function_body(p, "endgeneration", &node->as.macro.code->body) ? node
                                                                                       : NULL;
}

static template_node *parse_filter_block(template_parser *p) {
    template_node *node = parser_node(p, NODE_FILTER_BLOCK, p->current.line);
    if (!node || !parser_advance(p)) {
        return NULL;
    }
    node->as.block.value = parser_filters(p, NULL, true);
    return node->as.block.value && parse_block_to(p, "endfilter", &node->as.block.body) ? node
                                                                                        : NULL;
}

static template_node *parse_with(template_parser *p) {
    template_node *node = parser_node(p, NODE_WITH, p->current.line);
    template_list_of_nodes targets = {0};
    template_list_of_nodes values = {0};
    if (!node || !parser_advance(p)) {
        return NULL;
    }
    while (p->current.kind != TOKEN_BLOCK_END) {
        if (targets.first && !parser_expect(p, TOKEN_COMMA, NULL)) {
            return NULL;
        }
        template_node *target = parser_target(p, false, TUPLE_END_NORMAL);
        if (!target || !parser_expect(p, TOKEN_ASSIGN, NULL)) {
            return NULL;
        }
        template_node *value = parser_expression(p, true);
        if (!value) {
            return NULL;
        }
        parser_append(&targets, target);
        parser_append(&values, value);
    }
    node->as.block.target = targets.first;
    node->as.block.value = values.first;
    return parse_block_to(p, "endwith", &node->as.block.body) ? node : NULL;
}

static template_node *parse_print(template_parser *p) {
    template_node *node = parser_node(p, NODE_PRINT, p->current.line);
    template_list_of_nodes values = {0};
    if (!node || !parser_advance(p)) {
        return NULL;
    }
    while (p->current.kind != TOKEN_BLOCK_END) {
        if (values.first && !parser_expect(p, TOKEN_COMMA, NULL)) {
            return NULL;
        }
        template_node *value = parser_expression(p, true);
        if (!value) {
            return NULL;
        }
        parser_append(&values, value);
    }
    node->as.of.left = values.first;
    return node;
}

static template_node *parse_loop_control(template_parser *p) {
    template_node_kind kind = parser_is_name(&p->current, "break") ? NODE_BREAK : NODE_CONTINUE;
    template_node *node = parser_node(p, kind, p->current.line);
    if (!p->in_loop) {
        parser_fail(p, &p->current, "%.*s outside of a loop", (int)p->current.text.length,
                    p->current.text.bytes);
        return NULL;
    }
    return node && parser_advance(p) ? node : NULL;
}

static template_node *refuse(template_parser *p) {
    parser_fail_status(p, TARS_UNSUPPORTED, &p->current,
                       "the tag '%.*s' is not supported in chat templates",
                       (int)p->current.text.length, p->current.text.bytes);
    return NULL;
}

static const struct {
    const char *name;
    template_node *(*parse)(template_parser *p);
} tags[] = {
    {"if", parse_if},
    {"for", parse_for},
    {"set", parse_set},
    {"macro", parse_macro},
    {"generation", parse_generation},
    {"break", parse_loop_control},
    {"continue", parse_loop_control},
    {"filter", parse_filter_block},
    {"call", parse_call_block},
    {"with", parse_with},
    {"print", parse_print},
    {"include", refuse},
    {"import", refuse},
    {"from", refuse},
    {"extends", refuse},
    {"block", refuse},
    {"autoescape", refuse},
};

static template_node *parse_statement(template_parser *p) {
    if (p->current.kind != TOKEN_NAME) {
        parser_fail(p, &p->current, "expected the name of a tag, found %s",
                    template_token_name(p->current.kind));
        return NULL;
    }
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        if (parser_is_name(&p->current, tags[i].name)) {
            return tags[i].parse(p);
        }
    }
    parser_fail(p, &p->current, "unexpected or unknown tag '%.*s'",
                (int)(p->current.text.length < 80 ? p->current.text.length : 80),
                p->current.text.bytes);
    return NULL;
}

static bool is_end(const template_parser *p, const end_names *ends) {
    for (size_t i = 0; ends && ends->names[i]; i++) {
        if (parser_is_name(&p->current, ends->names[i])) {
            return true;
        }
    }
    return false;
}

static template_node *parse_text(template_parser *p) {
    template_node *node = parser_node(p, NODE_TEXT, p->current.line);
    if (!node) {
        return NULL;
    }
    node->as.text = p->current.text;
    return parser_advance(p) ? node : NULL;
}

static template_node *parse_print_tag(template_parser *p) {
    template_node *node = parser_node(p, NODE_PRINT, p->current.line);
    if (!node || !parser_advance(p)) {
        return NULL;
    }
    node->as.of.left = parser_tuple(p, true, TUPLE_END_NORMAL);
    return node->as.of.left && parser_expect(p, TOKEN_PRINT_END, NULL) ? node : NULL;
}

/* Statements up to one of the end names (the current token is then the name), or with ends NULL
 * up to the end of the template. */
static bool parse_body(template_parser *p, const end_names *ends, template_node **out) {
    template_list_of_nodes body = {0};
    uint32_t line = p->current.line;
    while (p->current.kind != TOKEN_END) {
        template_node *node;
        if (p->current.kind == TOKEN_TEXT) {
            node = parse_text(p);
        } else if (p->current.kind == TOKEN_PRINT_BEGIN) {
            node = parse_print_tag(p);
        } else {
            if (!parser_advance(p)) {
                return false;
            }
            if (is_end(p, ends)) {
                *out = body.first;
                return true;
            }
            node = parse_statement(p);
            if (node && !parser_expect(p, TOKEN_BLOCK_END, NULL)) {
                return false;
            }
        }
        if (!node) {
            return false;
        }
        parser_append(&body, node);
    }
    *out = body.first;
    return !ends || parser_fail(p, &p->current,
                                "the template ends before '%s' of the block in "
                                "line %u",
                                ends->names[0], line);
}

tars_status template_parse(const char *text, size_t length, arena *memory, template_node **out,
                           tars_error *err) {
    template_parser parser = {.memory = memory, .err = err};
    template_parser *p = &parser;
    size_t bad_offset;
    *out = NULL;
    if (!utf8_valid(text, length, &bad_offset)) {
        error_set(err, TARS_MALFORMED, "the chat template is not UTF-8");
        return error_where(err, "chat template, byte %zu", bad_offset), TARS_MALFORMED;
    }
    tars_status status = template_lexer_init(&p->lexer, text, length, memory, err);
    if (status != TARS_OK) {
        return status;
    }
    if (!parser_advance(p) || !parse_body(p, NULL, out)) {
        return p->status;
    }
    return TARS_OK;
}
