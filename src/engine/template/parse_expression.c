#include "engine/template/builtin.h"
#include "engine/template/parser.h"

#include <string.h>

/* Precedence of the binary operators, lowest first. */
enum {
    LEVEL_NONE,
    LEVEL_OR,
    LEVEL_AND,
    LEVEL_NOT,
    LEVEL_COMPARE,
    LEVEL_ADD,
    LEVEL_CONCAT,
    LEVEL_MULTIPLY,
    LEVEL_POWER,
    LEVEL_UNARY
};

typedef struct operator_row {
    uint8_t level;
    uint8_t operation; /* a template_operator */
} operator_row;

static const operator_row operator_rows[TOKEN_KIND_COUNT] = {
    [TOKEN_ADD] = {LEVEL_ADD, OPERATOR_ADD},
    [TOKEN_SUBTRACT] = {LEVEL_ADD, OPERATOR_SUBTRACT},
    [TOKEN_TILDE] = {LEVEL_CONCAT, 0},
    [TOKEN_MULTIPLY] = {LEVEL_MULTIPLY, OPERATOR_MULTIPLY},
    [TOKEN_DIVIDE] = {LEVEL_MULTIPLY, OPERATOR_DIVIDE},
    [TOKEN_FLOOR_DIVIDE] = {LEVEL_MULTIPLY, OPERATOR_FLOOR_DIVIDE},
    [TOKEN_MODULO] = {LEVEL_MULTIPLY, OPERATOR_MODULO},
    [TOKEN_POWER] = {LEVEL_POWER, OPERATOR_POWER},
    [TOKEN_EQUAL] = {LEVEL_COMPARE, OPERATOR_EQUAL},
    [TOKEN_NOT_EQUAL] = {LEVEL_COMPARE, OPERATOR_NOT_EQUAL},
    [TOKEN_LESS] = {LEVEL_COMPARE, OPERATOR_LESS},
    [TOKEN_LESS_EQUAL] = {LEVEL_COMPARE, OPERATOR_LESS_EQUAL},
    [TOKEN_GREATER] = {LEVEL_COMPARE, OPERATOR_GREATER},
    [TOKEN_GREATER_EQUAL] = {LEVEL_COMPARE, OPERATOR_GREATER_EQUAL},
};

static template_node *parse_binary(template_parser *p, unsigned lowest);
static template_node *parse_unary(template_parser *p, bool with_filters);

/* ---- helpers ------------------------------------------------------------------------------- */

static template_node *make_two(template_parser *p, template_node_kind kind, uint32_t line,
                               template_node *left, template_node *right) {
    template_node *node = parser_node(p, kind, line);
    if (!node) {
        return NULL;
    }
    node->as.of.left = left;
    node->as.of.right = right;
    return parser_set_depth(p, node, left) && parser_set_depth(p, node, right) ? node : NULL;
}

static template_node *make_constant(template_parser *p, uint32_t line, template_value value) {
    template_node *node = parser_node(p, NODE_CONSTANT, line);
    if (node) {
        node->as.constant = value;
    }
    return node;
}

/* Level of the current token as a binary operator; reads ahead for "not in". */
static operator_row current_operator(template_parser *p) {
    const template_token *token = &p->current;
    if (token->kind != TOKEN_NAME) {
        return operator_rows[token->kind];
    }
    if (parser_is_name(token, "or")) {
        return (operator_row){LEVEL_OR, 0};
    }
    if (parser_is_name(token, "and")) {
        return (operator_row){LEVEL_AND, 0};
    }
    if (parser_is_name(token, "in")) {
        return (operator_row){LEVEL_COMPARE, OPERATOR_IN};
    }
    if (parser_is_name(token, "not")) {
        const template_token *ahead = parser_look(p);
        if (ahead && parser_is_name(ahead, "in")) {
            return (operator_row){LEVEL_COMPARE, OPERATOR_NOT_IN};
        }
    }
    return (operator_row){LEVEL_NONE, 0};
}

/* ---- arguments ----------------------------------------------------------------------------- */

static bool add_keyword(template_parser *p, template_call_arguments *arguments,
                        template_list_of_nodes *keywords) {
    template_token name = p->current;
    for (const template_node *k = keywords->first; k; k = k->next) {
        if (k->as.keyword.name.length == name.text.length &&
            memcmp(k->as.keyword.name.bytes, name.text.bytes, name.text.length) == 0) {
            return parser_fail(p, &name, "the keyword argument %.*s is given twice",
                               (int)name.text.length, name.text.bytes);
        }
    }
    if (arguments->star_star || keywords->count == TEMPLATE_MAX_PARAMETERS) {
        return parser_fail(p, &name, "too many keyword arguments, or one after **");
    }
    template_node *node = parser_node(p, NODE_KEYWORD, name.line);
    if (!node || !parser_advance(p) || !parser_advance(p)) {
        return false;
    }
    node->as.keyword.name = name.text;
    node->as.keyword.value = parser_expression(p, true);
    parser_append(keywords, node);
    return node->as.keyword.value && parser_set_depth(p, node, node->as.keyword.value);
}

static bool add_argument(template_parser *p, template_call_arguments *arguments,
                         template_list_of_nodes *positional, template_list_of_nodes *keywords) {
    if (!arguments) { /* never: every call has its own */
        return false;
    }
    template_token token = p->current;
    template_node **star = token.kind == TOKEN_MULTIPLY ? &arguments->star
                           : token.kind == TOKEN_POWER  ? &arguments->star_star
                                                        : NULL;
    if (star) {
        if (*star || arguments->star_star) {
            return parser_fail(p, &token, "unexpected %s in the arguments of a call",
                               template_token_name(token.kind));
        }
        *star = parser_advance(p) ? parser_expression(p, true) : NULL;
        return *star != NULL;
    }
    if (token.kind == TOKEN_NAME) {
        const template_token *ahead = parser_look(p);
        if (!ahead) {
            return false;
        }
        if (ahead->kind == TOKEN_ASSIGN) {
            return add_keyword(p, arguments, keywords);
        }
    }
    if (arguments->star || arguments->star_star || keywords->first) {
        return parser_fail(p, &token, "a positional argument after a keyword argument");
    }
    template_node *node = parser_expression(p, true);
    if (node) {
        parser_append(positional, node);
    }
    return node != NULL;
}

static bool parse_argument_list(template_parser *p, template_call_arguments *arguments) {
    template_list_of_nodes positional = {0};
    template_list_of_nodes keywords = {0};
    if (!parser_expect(p, TOKEN_LEFT_PAREN, NULL)) {
        return false;
    }
    bool needs_comma = false;
    while (p->current.kind != TOKEN_RIGHT_PAREN) {
        if (needs_comma) {
            if (!parser_expect(p, TOKEN_COMMA, NULL)) {
                return false;
            }
            if (p->current.kind == TOKEN_RIGHT_PAREN) {
                break;
            }
        }
        if (!add_argument(p, arguments, &positional, &keywords)) {
            return false;
        }
        needs_comma = true;
    }
    arguments->positional = positional.first;
    arguments->n_positional = positional.count;
    arguments->keywords = keywords.first;
    arguments->n_keywords = keywords.count;
    return parser_advance(p);
}

static bool set_call_depth(template_parser *p, template_node *node) {
    const template_call_arguments *a = node->as.call.arguments;
    const template_node *lists[] = {a->positional, a->keywords};
    if (!parser_set_depth(p, node, node->as.call.base) || !parser_set_depth(p, node, a->star) ||
        !parser_set_depth(p, node, a->star_star)) {
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        for (const template_node *n = lists[i]; n; n = n->next) {
            if (!parser_set_depth(p, node, n)) {
                return false;
            }
        }
    }
    return true;
}

static template_node *make_call(template_parser *p, template_node_kind kind, uint32_t line,
                                template_node *base) {
    template_node *node = parser_node(p, kind, line);
    template_call_arguments *arguments = parser_alloc(p, sizeof *arguments);
    if (!node || !arguments) {
        return NULL;
    }
    node->as.call.base = base;
    node->as.call.arguments = arguments;
    return node;
}

static template_node *parse_call(template_parser *p, template_node *base) {
    template_node *node = make_call(p, NODE_CALL, p->current.line, base);
    return node && parse_argument_list(p, node->as.call.arguments) && set_call_depth(p, node)
               ? node
               : NULL;
}

/* ---- filters and tests --------------------------------------------------------------------- */

/* A name with dots, as extensions may give to filters. */
static bool parse_dotted_name(template_parser *p, template_text *out) {
    template_token token;
    if (!parser_expect(p, TOKEN_NAME, &token)) {
        return false;
    }
    *out = token.text;
    while (p->current.kind == TOKEN_DOT) {
        if (!parser_advance(p) || !parser_expect(p, TOKEN_NAME, &token)) {
            return false;
        }
        out->length = (size_t)(token.text.bytes - out->bytes) + token.text.length;
    }
    return true;
}

template_node *parser_filters(template_parser *p, template_node *base, bool start_inline) {
    while (start_inline || p->current.kind == TOKEN_PIPE) {
        if (!start_inline && !parser_advance(p)) {
            return NULL;
        }
        start_inline = false;
        template_node *node = make_call(p, NODE_FILTER, p->current.line, base);
        if (!node || !parse_dotted_name(p, &node->as.call.name)) {
            return NULL;
        }
        node->as.call.row = template_find_filter(node->as.call.name);
        if (p->current.kind == TOKEN_LEFT_PAREN &&
            !parse_argument_list(p, node->as.call.arguments)) {
            return NULL;
        }
        if (!set_call_depth(p, node)) {
            return NULL;
        }
        base = node;
    }
    return base;
}

static template_node *parse_primary(template_parser *p, bool with_namespace);
static template_node *parse_postfix(template_parser *p, template_node *node);

/* True if the current token begins the argument of a test without parentheses. */
static bool begins_test_argument(const template_token *token) {
    switch (token->kind) {
    case TOKEN_STRING:
    case TOKEN_INTEGER:
    case TOKEN_FLOAT:
    case TOKEN_LEFT_BRACKET:
    case TOKEN_LEFT_BRACE:
        return true;
    case TOKEN_NAME:
        return !parser_is_name(token, "else") && !parser_is_name(token, "or") &&
               !parser_is_name(token, "and");
    default:
        return false;
    }
}

static template_node *parse_test(template_parser *p, template_node *base) {
    template_node *node = make_call(p, NODE_TEST, p->current.line, base);
    bool negated;
    if (!node || !parser_advance(p) || !parser_skip_name(p, "not", &negated) ||
        !parse_dotted_name(p, &node->as.call.name)) {
        return NULL;
    }
    node->detail = negated ? 1 : 0;
    node->as.call.row = template_find_test(node->as.call.name);
    template_call_arguments *arguments = node->as.call.arguments;
    if (p->current.kind == TOKEN_LEFT_PAREN) {
        if (!parse_argument_list(p, arguments)) {
            return NULL;
        }
    } else if (begins_test_argument(&p->current)) {
        if (parser_is_name(&p->current, "is")) {
            parser_fail(p, &p->current, "tests with is cannot follow one another");
            return NULL;
        }
        template_node *argument = parse_primary(p, false);
        argument = argument ? parse_postfix(p, argument) : NULL;
        if (!argument) {
            return NULL;
        }
        arguments->positional = argument;
        arguments->n_positional = 1;
    }
    return set_call_depth(p, node) ? node : NULL;
}

/* ---- postfix ------------------------------------------------------------------------------- */

static template_node *parse_dot(template_parser *p, template_node *base) {
    uint32_t line = p->current.line;
    if (!parser_advance(p)) {
        return NULL;
    }
    template_token token = p->current;
    if (token.kind == TOKEN_INTEGER) {
        template_node *index = make_constant(p, line, token.number);
        return index && parser_advance(p) ? make_two(p, NODE_ITEM, line, base, index) : NULL;
    }
    if (token.kind != TOKEN_NAME) {
        parser_fail(p, &token, "expected a name or number after the dot, found %s",
                    template_token_name(token.kind));
        return NULL;
    }
    template_node *node = parser_node(p, NODE_ATTRIBUTE, line);
    if (!node || !parser_advance(p)) {
        return NULL;
    }
    node->as.attribute.base = base;
    node->as.attribute.name = token.text;
    return parser_set_depth(p, node, base) ? node : NULL;
}

/* One bound of a slice; *out stays NULL when it is left out. */
static bool parse_bound(template_parser *p, template_node *slice, template_node **out) {
    template_token_kind kind = p->current.kind;
    if (kind == TOKEN_COLON || kind == TOKEN_RIGHT_BRACKET || kind == TOKEN_COMMA) {
        return true;
    }
    *out = parser_expression(p, true);
    return *out && parser_set_depth(p, slice, *out);
}

/* The rest of base[start:stop:step] after the first colon. */
static template_node *parse_slice(template_parser *p, template_node *base, template_node *start,
                                  uint32_t line) {
    template_node *node = parser_node(p, NODE_SLICE, line);
    if (!node || !parser_advance(p)) {
        return NULL;
    }
    node->as.slice.base = base;
    node->as.slice.start = start;
    bool has_step;
    if (!parser_set_depth(p, node, base) || !parser_set_depth(p, node, start) ||
        !parse_bound(p, node, &node->as.slice.stop) || !parser_skip(p, TOKEN_COLON, &has_step) ||
        (has_step && !parse_bound(p, node, &node->as.slice.step))) {
        return NULL;
    }
    return node;
}

/* More than one index between brackets: a tuple. */
static template_node *parse_more_indices(template_parser *p, template_node *first) {
    template_list_of_nodes items = {0};
    template_node *tuple = parser_node(p, NODE_TUPLE, p->current.line);
    if (!tuple || !parser_set_depth(p, tuple, first)) {
        return NULL;
    }
    parser_append(&items, first);
    while (p->current.kind != TOKEN_RIGHT_BRACKET) {
        if (!parser_expect(p, TOKEN_COMMA, NULL)) {
            return NULL;
        }
        template_node *item = parser_expression(p, true);
        if (!item || !parser_set_depth(p, tuple, item)) {
            return NULL;
        }
        parser_append(&items, item);
    }
    tuple->as.of.left = items.first;
    return tuple;
}

static template_node *parse_index(template_parser *p, template_node *base) {
    uint32_t line = p->current.line;
    if (!parser_advance(p)) {
        return NULL;
    }
    template_node *index = NULL;
    if (p->current.kind != TOKEN_COLON) {
        if (p->current.kind == TOKEN_RIGHT_BRACKET) {
            index = parser_node(p, NODE_TUPLE, line); /* base[] has the empty tuple as its index */
        } else {
            index = parser_expression(p, true);
        }
        if (!index) {
            return NULL;
        }
    }
    template_node *node;
    if (p->current.kind == TOKEN_COLON) {
        node = parse_slice(p, base, index, line);
    } else {
        if (p->current.kind == TOKEN_COMMA) {
            index = parse_more_indices(p, index);
        }
        node = index ? make_two(p, NODE_ITEM, line, base, index) : NULL;
    }
    return node && parser_expect(p, TOKEN_RIGHT_BRACKET, NULL) ? node : NULL;
}

static template_node *parse_postfix(template_parser *p, template_node *node) {
    while (node) {
        if (p->current.kind == TOKEN_DOT) {
            node = parse_dot(p, node);
        } else if (p->current.kind == TOKEN_LEFT_BRACKET) {
            node = parse_index(p, node);
        } else if (p->current.kind == TOKEN_LEFT_PAREN) {
            node = parse_call(p, node);
        } else {
            break;
        }
    }
    return node;
}

static template_node *parse_filter_chain(template_parser *p, template_node *node) {
    while (node) {
        if (p->current.kind == TOKEN_PIPE) {
            node = parser_filters(p, node, false);
        } else if (parser_is_name(&p->current, "is")) {
            node = parse_test(p, node);
        } else if (p->current.kind == TOKEN_LEFT_PAREN) {
            node = parse_call(p, node);
        } else {
            break;
        }
    }
    return node;
}

/* ---- primary ------------------------------------------------------------------------------- */

static template_node *parse_name(template_parser *p, bool with_namespace) {
    static const struct {
        const char *name;
        template_value value;
    } constants[] = {
        {"true", {.type = TEMPLATE_BOOL, .as.boolean = true}},
        {"True", {.type = TEMPLATE_BOOL, .as.boolean = true}},
        {"false", {.type = TEMPLATE_BOOL}},
        {"False", {.type = TEMPLATE_BOOL}},
        {"none", {.type = TEMPLATE_NONE}},
        {"None", {.type = TEMPLATE_NONE}},
    };
    template_token token = p->current;
    if (!parser_advance(p)) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
        if (parser_is_name(&token, constants[i].name)) {
            return make_constant(p, token.line, constants[i].value);
        }
    }
    template_node *node = parser_node(p, NODE_NAME, token.line);
    if (!node) {
        return NULL;
    }
    node->as.name.name = token.text;
    if (!with_namespace || p->current.kind != TOKEN_DOT) {
        return node;
    }
    template_node *target = parser_node(p, NODE_NAMESPACE_TARGET, token.line);
    template_token attribute;
    if (!target || !parser_advance(p) || !parser_expect(p, TOKEN_NAME, &attribute)) {
        return NULL;
    }
    target->as.attribute.base = node;
    target->as.attribute.name = attribute.text;
    return target;
}

/* Strings that follow one another are one string. */
static template_node *parse_strings(template_parser *p) {
    template_token first = p->current;
    template_text text = first.text;
    if (!parser_advance(p)) {
        return NULL;
    }
    while (p->current.kind == TOKEN_STRING) {
        template_text more = p->current.text;
        char *joined = parser_alloc(p, text.length + more.length);
        if (!joined) {
            return NULL;
        }
        if (text.length > 0) {
            memcpy(joined, text.bytes, text.length);
        }
        if (more.length > 0) {
            memcpy(joined + text.length, more.bytes, more.length);
        }
        text = (template_text){joined, text.length + more.length};
        if (!parser_advance(p)) {
            return NULL;
        }
    }
    return make_constant(p, first.line, template_string(text.bytes, text.length));
}

static template_node *parse_list(template_parser *p) {
    template_list_of_nodes items = {0};
    template_node *node = parser_node(p, NODE_LIST, p->current.line);
    if (!node || !parser_advance(p)) {
        return NULL;
    }
    while (p->current.kind != TOKEN_RIGHT_BRACKET) {
        if (items.first && !parser_expect(p, TOKEN_COMMA, NULL)) {
            return NULL;
        }
        if (p->current.kind == TOKEN_RIGHT_BRACKET) {
            break;
        }
        template_node *item = parser_expression(p, true);
        if (!item || !parser_set_depth(p, node, item)) {
            return NULL;
        }
        parser_append(&items, item);
    }
    node->as.of.left = items.first;
    return parser_advance(p) ? node : NULL;
}

static template_node *parse_dict(template_parser *p) {
    template_list_of_nodes pairs = {0};
    template_node *node = parser_node(p, NODE_DICT, p->current.line);
    if (!node || !parser_advance(p)) {
        return NULL;
    }
    while (p->current.kind != TOKEN_RIGHT_BRACE) {
        if (pairs.first && !parser_expect(p, TOKEN_COMMA, NULL)) {
            return NULL;
        }
        if (p->current.kind == TOKEN_RIGHT_BRACE) {
            break;
        }
        uint32_t line = p->current.line;
        template_node *key = parser_expression(p, true);
        if (!key || !parser_expect(p, TOKEN_COLON, NULL)) {
            return NULL;
        }
        template_node *value = parser_expression(p, true);
        template_node *pair = value ? make_two(p, NODE_PAIR, line, key, value) : NULL;
        if (!pair || !parser_set_depth(p, node, pair)) {
            return NULL;
        }
        parser_append(&pairs, pair);
    }
    node->as.of.left = pairs.first;
    return parser_advance(p) ? node : NULL;
}

static bool is_tuple_end(const template_token *token, tuple_end end) {
    return token->kind == TOKEN_PRINT_END || token->kind == TOKEN_BLOCK_END ||
           token->kind == TOKEN_RIGHT_PAREN ||
           (end == TUPLE_END_IN && parser_is_name(token, "in")) ||
           (end == TUPLE_END_RECURSIVE && parser_is_name(token, "recursive"));
}

typedef enum item_form {
    ITEM_EXPRESSION,
    ITEM_NO_CONDITION,
    ITEM_TARGET,
    ITEM_NAMESPACE
} item_form;

static template_node *parse_item(template_parser *p, item_form form) {
    return form == ITEM_TARGET || form == ITEM_NAMESPACE
               ? parse_primary(p, form == ITEM_NAMESPACE)
               : parser_expression(p, form == ITEM_EXPRESSION);
}

static template_node *parse_tuple(template_parser *p, item_form form, tuple_end end,
                                  bool may_be_empty) {
    template_list_of_nodes items = {0};
    bool is_tuple = false;
    uint32_t line = p->current.line;
    unsigned depth = 0;
    for (;;) {
        if (items.first && !parser_expect(p, TOKEN_COMMA, NULL)) {
            return NULL;
        }
        if (is_tuple_end(&p->current, end)) {
            break;
        }
        template_node *item = parse_item(p, form);
        if (!item) {
            return NULL;
        }
        depth = item->depth > depth ? item->depth : depth;
        parser_append(&items, item);
        if (p->current.kind != TOKEN_COMMA) {
            break;
        }
        is_tuple = true;
    }
    if (!is_tuple && items.first) {
        return items.first;
    }
    if (!is_tuple && !may_be_empty) {
        parser_fail(p, &p->current, "expected an expression, found %s",
                    template_token_name(p->current.kind));
        return NULL;
    }
    template_node *node = parser_node(p, NODE_TUPLE, line);
    if (node) {
        node->as.of.left = items.first;
        node->depth = (uint16_t)(depth + 1);
    }
    return node;
}

static template_node *parse_primary(template_parser *p, bool with_namespace) {
    template_token token = p->current;
    template_node *node;
    switch (token.kind) {
    case TOKEN_NAME:
        return parse_name(p, with_namespace);
    case TOKEN_STRING:
        return parse_strings(p);
    case TOKEN_INTEGER:
    case TOKEN_FLOAT:
        node = make_constant(p, token.line, token.number);
        return node && parser_advance(p) ? node : NULL;
    case TOKEN_LEFT_PAREN:
        if (!parser_enter(p) || !parser_advance(p)) {
            return NULL;
        }
        node = parse_tuple(p, ITEM_EXPRESSION, TUPLE_END_NORMAL, true);
        parser_leave(p);
        return node && parser_expect(p, TOKEN_RIGHT_PAREN, NULL) ? node : NULL;
    case TOKEN_LEFT_BRACKET:
        return parse_list(p);
    case TOKEN_LEFT_BRACE:
        return parse_dict(p);
    default:
        parser_fail(p, &token, "unexpected %s, expected an expression",
                    template_token_name(token.kind));
        return NULL;
    }
}

/* ---- operators ----------------------------------------------------------------------------- */

static template_node *parse_signed(template_parser *p, template_node_kind kind) {
    uint32_t line = p->current.line;
    if (!parser_enter(p) || !parser_advance(p)) {
        return NULL;
    }
    template_node *operand = parse_unary(p, false);
    parser_leave(p);
    return operand ? make_two(p, kind, line, operand, NULL) : NULL;
}

static template_node *parse_unary(template_parser *p, bool with_filters) {
    template_node *node = p->current.kind == TOKEN_SUBTRACT ? parse_signed(p, NODE_NEGATE)
                          : p->current.kind == TOKEN_ADD    ? parse_signed(p, NODE_PLUS)
                                                            : parse_primary(p, false);
    node = node ? parse_postfix(p, node) : NULL;
    return node && with_filters ? parse_filter_chain(p, node) : node;
}

/* a < b == c: a chain of operators on one level. */
static template_node *parse_comparison(template_parser *p, template_node *first) {
    template_list_of_nodes operands = {0};
    template_node *node = make_two(p, NODE_COMPARE, p->current.line, first, NULL);
    operator_row row = current_operator(p);
    while (node && row.level == LEVEL_COMPARE) {
        template_node *operand = parser_node(p, NODE_OPERAND, p->current.line);
        if (!operand || !parser_advance(p) ||
            (row.operation == OPERATOR_NOT_IN && !parser_advance(p))) {
            return NULL;
        }
        operand->detail = row.operation;
        operand->as.of.left = parse_binary(p, LEVEL_ADD);
        if (!operand->as.of.left || !parser_set_depth(p, node, operand->as.of.left)) {
            return NULL;
        }
        parser_append(&operands, operand);
        row = current_operator(p);
    }
    if (node) {
        node->as.of.right = operands.first;
    }
    return node;
}

static template_node *parse_concat(template_parser *p, template_node *first) {
    template_list_of_nodes parts = {0};
    template_node *node = make_two(p, NODE_CONCAT, p->current.line, first, NULL);
    if (!node) {
        return NULL;
    }
    parser_append(&parts, first);
    while (p->current.kind == TOKEN_TILDE) {
        template_node *part = parser_advance(p) ? parse_binary(p, LEVEL_MULTIPLY) : NULL;
        if (!part || !parser_set_depth(p, node, part)) {
            return NULL;
        }
        parser_append(&parts, part);
    }
    return node;
}

static template_node *parse_operation(template_parser *p, template_node *left, operator_row row) {
    if (row.level == LEVEL_COMPARE) {
        return parse_comparison(p, left);
    }
    if (row.level == LEVEL_CONCAT) {
        return parse_concat(p, left);
    }
    uint32_t line = p->current.line;
    template_node *right = parser_advance(p) ? parse_binary(p, row.level + 1u) : NULL;
    if (!right) {
        return NULL;
    }
    template_node_kind kind = row.level == LEVEL_OR    ? NODE_OR
                              : row.level == LEVEL_AND ? NODE_AND
                                                       : NODE_BINARY;
    template_node *node = make_two(p, kind, line, left, right);
    if (node) {
        node->detail = row.operation;
    }
    return node;
}

static template_node *parse_binary(template_parser *p, unsigned lowest) {
    if (!parser_enter(p)) {
        return NULL;
    }
    template_node *left;
    if (lowest <= LEVEL_NOT && parser_is_name(&p->current, "not")) {
        uint32_t line = p->current.line;
        template_node *operand = parser_advance(p) ? parse_binary(p, LEVEL_NOT) : NULL;
        left = operand ? make_two(p, NODE_NOT, line, operand, NULL) : NULL;
    } else {
        left = parse_unary(p, true);
    }
    while (left) {
        operator_row row = current_operator(p);
        if (row.level == LEVEL_NONE || row.level < lowest) {
            break;
        }
        left = parse_operation(p, left, row);
    }
    parser_leave(p);
    return p->status == TARS_OK ? left : NULL;
}

/* value if condition else otherwise */
static template_node *parse_condition(template_parser *p, template_node *value) {
    uint32_t line = p->current.line;
    template_node *condition = parser_advance(p) ? parse_binary(p, LEVEL_OR) : NULL;
    template_node *node = condition ? make_two(p, NODE_CONDITION, line, condition, value) : NULL;
    bool has_else;
    if (!node || !parser_skip_name(p, "else", &has_else)) {
        return NULL;
    }
    if (has_else) {
        node->as.of.third = parser_expression(p, true);
        if (!node->as.of.third || !parser_set_depth(p, node, node->as.of.third)) {
            return NULL;
        }
    }
    return node;
}

template_node *parser_expression(template_parser *p, bool with_condition) {
    if (!parser_enter(p)) {
        return NULL;
    }
    template_node *node = parse_binary(p, LEVEL_OR);
    while (node && with_condition && parser_is_name(&p->current, "if")) {
        node = parse_condition(p, node);
    }
    parser_leave(p);
    return node;
}

template_node *parser_tuple(template_parser *p, bool with_condition, tuple_end end) {
    return parse_tuple(p, with_condition ? ITEM_EXPRESSION : ITEM_NO_CONDITION, end, false);
}

/* Only names, attributes of namespaces and tuples of them can be assigned to. */
static bool can_assign(const template_node *node, unsigned depth) {
    if (node->kind == NODE_NAME || node->kind == NODE_NAMESPACE_TARGET) {
        return true;
    }
    if (node->kind != NODE_TUPLE || depth > 16) {
        return false;
    }
    for (const template_node *item = node->as.of.left; item; item = item->next) {
        if (!can_assign(item, depth + 1)) {
            return false;
        }
    }
    return true;
}

template_node *parser_target(template_parser *p, bool with_namespace, tuple_end end) {
    template_token token = p->current;
    template_node *node = parse_tuple(p, with_namespace ? ITEM_NAMESPACE : ITEM_TARGET, end, false);
    if (node && !can_assign(node, 0)) {
        parser_fail(p, &token, "this cannot be assigned to");
        return NULL;
    }
    return node;
}
