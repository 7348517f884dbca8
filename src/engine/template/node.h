/* The syntax tree of a template. Ownership: every node lives in the arena that the template was
 * compiled into and never changes after template_resolve_names. */
#ifndef ENGINE_TEMPLATE_NODE_H
#define ENGINE_TEMPLATE_NODE_H

#include "engine/template/value.h"

typedef enum template_node_kind {
    /* expressions */
    NODE_CONSTANT,
    NODE_NAME,
    NODE_TUPLE,
    NODE_LIST,
    NODE_DICT,
    NODE_NEGATE,
    NODE_PLUS,
    NODE_NOT,
    NODE_BINARY,
    NODE_AND,
    NODE_OR,
    NODE_COMPARE,
    NODE_CONCAT,
    NODE_CONDITION,
    NODE_ATTRIBUTE,
    NODE_ITEM,
    NODE_SLICE,
    NODE_CALL,
    NODE_FILTER,
    NODE_TEST,
    /* parts */
    NODE_OPERAND, /* one operator and its right side in a comparison */
    NODE_PAIR,    /* key and value in a dict */
    NODE_KEYWORD, /* name=value in a call */
    NODE_BRANCH,  /* of an if */
    NODE_NAMESPACE_TARGET /* namespace.attribute on the left of set */,
    /* statements */
    NODE_TEXT,
    NODE_PRINT,
    NODE_IF,
    NODE_FOR,
    NODE_SET,
    NODE_SET_BLOCK,
    NODE_MACRO,
    NODE_CALL_BLOCK,
    NODE_FILTER_BLOCK,
    NODE_WITH,
    NODE_GENERATION,
    NODE_BREAK,
    NODE_CONTINUE,
    NODE_KIND_COUNT
} template_node_kind;

typedef enum template_operator {
    OPERATOR_ADD,
    OPERATOR_SUBTRACT,
    OPERATOR_MULTIPLY,
    OPERATOR_DIVIDE,
    OPERATOR_FLOOR_DIVIDE,
    OPERATOR_MODULO,
    OPERATOR_POWER,
    OPERATOR_EQUAL,
    OPERATOR_NOT_EQUAL,
    OPERATOR_LESS,
    OPERATOR_LESS_EQUAL,
    OPERATOR_GREATER,
    OPERATOR_GREATER_EQUAL,
    OPERATOR_IN,
    OPERATOR_NOT_IN
} template_operator;

/* Where the value of a symbol comes from when its scope is entered. */
typedef enum template_load {
    LOAD_PARAMETER, /* set by whoever enters the scope */
    LOAD_CONTEXT,   /* looked up in the context, then among the globals */
    LOAD_OUTER,     /* copied from the symbol of an enclosing scope */
    LOAD_UNDEFINED
} template_load;

typedef struct template_symbol {
    template_text name;
    template_load load;
    uint32_t outer_hops; /* LOAD_OUTER: scopes to go out, and the slot there */
    uint32_t outer_slot;
    uint32_t slot;
    bool used; /* some expression reads it */
    struct template_symbol *next;
} template_symbol;

/* The names of one block that has its own: template, loop, macro, set block, … */
typedef struct template_scope {
    struct template_scope *parent;
    template_symbol *first; /* in order of slot */
    template_symbol *last;
    uint32_t n_slots;
} template_scope;

typedef struct template_node template_node;

typedef struct template_list_of_nodes {
    template_node *first;
    template_node *last;
    uint32_t count;
} template_list_of_nodes;

typedef struct template_call_arguments {
    template_node *positional; /* linked by next */
    template_node *keywords;   /* NODE_KEYWORD */
    template_node *star;       /* *expression or NULL */
    template_node *star_star;  /* **expression or NULL */
    uint32_t n_positional;
    uint32_t n_keywords;
} template_call_arguments;

/* Parameters and body of a macro, or of the block of a call. */
typedef struct template_macro_code {
    template_text name;
    template_node *parameters; /* NODE_NAME */
    template_node *defaults;   /* of the last n_defaults parameters */
    template_node *body;
    template_scope *scope;
    template_symbol *varargs; /* the special names; NULL: a parameter has that name */
    template_symbol *kwargs;
    template_symbol *caller;
    uint32_t n_parameters;
    uint32_t n_defaults;
    bool has_caller_parameter; /* one of the parameters is named caller */
} template_macro_code;

typedef struct template_loop_code {
    template_node *target;
    template_node *iterable;
    template_node *test; /* NULL: none */
    template_node *body;
    template_node *otherwise;
    template_scope *body_scope;
    template_scope *test_scope;
    template_scope *otherwise_scope;
    template_symbol *loop; /* the variable `loop` */
    bool has_otherwise;
    bool recursive;
} template_loop_code;

struct template_builtin_row;

struct template_node {
    uint8_t kind;   /* a template_node_kind */
    uint8_t detail; /* a template_operator; NODE_TEST: negated; NODE_PRINT and others: 0 */
    uint16_t depth; /* levels of expression below this one */
    uint32_t line;
    template_node *next; /* sibling */
    union {
        template_value constant;
        template_text text;
        struct {
            template_text name;
            uint32_t hops; /* scopes to go out */
            uint32_t slot;
        } name;
        struct {
            template_node *left; /* also: the one operand, the condition, the first item */
            template_node *right;
            template_node *third;
        } of;
        struct {
            template_node *base;
            template_text name;
        } attribute;
        struct {
            template_node *base;
            template_node *start; /* NULL: left out */
            template_node *stop;
            template_node *step;
        } slice;
        struct {
            template_node *base; /* NULL: the text of a filter block */
            template_call_arguments *arguments;
            template_text name;
            const struct template_builtin_row *row; /* filter or test; NULL: unknown name */
        } call;
        struct {
            template_text name;
            template_node *value;
        } keyword;
        struct {
            template_node *test; /* NULL: else */
            template_node *body;
        } branch;
        template_loop_code *loop;
        struct {
            template_macro_code *code;
            template_node *call; /* NODE_CALL_BLOCK: the call; NODE_MACRO: the target name */
        } macro;
        struct {
            template_node *target; /* SET: target; WITH: targets, FILTER_BLOCK: none */
            template_node *value;  /* SET: value; WITH: values; blocks: filter or NULL */
            template_node *body;
            template_scope *scope;
        } block;
    } as;
};

#endif
