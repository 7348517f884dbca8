/* Gives every name in a template its place before anything runs, by the rules of Jinja's compiler:
 * a block with names of its own (template, loop, macro, set block, …) is a scope; a name that is
 * set anywhere in a scope belongs to it and starts with the outer value, with the context's when
 * it is set only in a branch of an if, or undefined; other names are looked up outside. */
#include "engine/template/parser.h"

#include <string.h>

enum { MAX_COMPARISONS = 50 * 1000 * 1000 };

typedef struct scope_walk {
    arena *memory;
    tars_error *err;
    tars_status status;
    template_scope *scope;
    unsigned n_branches; /* ifs around the statement, within the scope */
    unsigned n_loops;    /* loops around the statement, in the whole template */
    bool is_soft;        /* within an if: an unknown filter is an error only when it runs */
    uint64_t left_comparisons;
} scope_walk;

static bool fail(scope_walk *w, tars_status status, uint32_t line, const char *message,
                 template_text name) {
    if (w->status == TARS_OK) {
        w->status = status;
        error_set(w->err, status, "%s: '%.*s'", message,
                  (int)(name.length < 100 ? name.length : 100), name.bytes);
        error_where(w->err, "chat template, line %u", line);
    }
    return false;
}

static template_symbol *find_in(scope_walk *w, const template_scope *scope, template_text name) {
    for (template_symbol *s = scope->first; s; s = s->next) {
        w->left_comparisons -= w->left_comparisons > 0 ? 1 : 0;
        if (s->name.length == name.length && memcmp(s->name.bytes, name.bytes, name.length) == 0) {
            return s;
        }
    }
    return NULL;
}

/* The symbol in the scope or the nearest one around it. *hops: how far out. */
static template_symbol *find(scope_walk *w, const template_scope *scope, template_text name,
                             uint32_t *hops) {
    *hops = 0;
    for (; scope; scope = scope->parent) {
        template_symbol *symbol = find_in(w, scope, name);
        if (symbol) {
            return symbol;
        }
        (*hops)++;
    }
    return NULL;
}

static template_symbol *define(scope_walk *w, template_text name, template_load load) {
    template_symbol *symbol = ARENA_NEW(w->memory, template_symbol);
    if (!symbol) {
        fail(w, TARS_OUT_OF_MEMORY, 0, "the arena is too small for the template's names", name);
        return NULL;
    }
    symbol->name = name;
    symbol->load = load;
    symbol->slot = w->scope->n_slots++;
    if (w->scope->last) {
        w->scope->last->next = symbol;
    } else {
        w->scope->first = symbol;
    }
    w->scope->last = symbol;
    return symbol;
}

static bool within_budget(scope_walk *w, uint32_t line, template_text name) {
    return w->left_comparisons > 0 || fail(w, TARS_LIMIT, line, "too many names", name);
}

static bool load_name(scope_walk *w, const template_node *node) {
    uint32_t hops;
    template_text name = node->as.name.name;
    if (!find(w, w->scope, name, &hops) && !define(w, name, LOAD_CONTEXT)) {
        return false;
    }
    return within_budget(w, node->line, name);
}

static bool store_name(scope_walk *w, template_text name, uint32_t line) {
    if (w->n_loops > 0 && name.length == 4 && memcmp(name.bytes, "loop", 4) == 0) {
        return fail(w, TARS_MALFORMED, line, "this cannot be assigned to within a loop", name);
    }
    if (find_in(w, w->scope, name)) {
        return within_budget(w, line, name);
    }
    uint32_t hops = 0;
    template_symbol *outer = w->scope->parent ? find(w, w->scope->parent, name, &hops) : NULL;
    template_symbol *symbol = define(w, name,
                                     outer               ? LOAD_OUTER
                                     : w->n_branches > 0 ? LOAD_CONTEXT
                                                         : LOAD_UNDEFINED);
    if (symbol && outer) {
        symbol->outer_hops = hops + 1;
        symbol->outer_slot = outer->slot;
    }
    return symbol && within_budget(w, line, name);
}

static template_symbol *declare_parameter(scope_walk *w, template_text name) {
    template_symbol *symbol = find_in(w, w->scope, name);
    if (!symbol) {
        symbol = define(w, name, LOAD_PARAMETER);
    }
    return symbol;
}

/* ---- parts of expressions ------------------------------------------------------------------ */

typedef bool (*node_visitor)(scope_walk *w, template_node *node);

static bool visit_list(scope_walk *w, template_node *first, node_visitor visit) {
    for (template_node *node = first; node; node = node->next) {
        if (!visit(w, node)) {
            return false;
        }
    }
    return true;
}

static bool visit_one(scope_walk *w, template_node *node, node_visitor visit) {
    return !node || visit(w, node);
}

/* Calls `visit` for the direct parts of an expression. */
static bool visit_parts(scope_walk *w, template_node *node, node_visitor visit) {
    switch ((template_node_kind)node->kind) {
    case NODE_CONSTANT:
    case NODE_NAME:
        return true;
    case NODE_ATTRIBUTE:
    case NODE_NAMESPACE_TARGET:
        return visit(w, node->as.attribute.base);
    case NODE_KEYWORD:
        return visit(w, node->as.keyword.value);
    case NODE_SLICE:
        return visit(w, node->as.slice.base) && visit_one(w, node->as.slice.start, visit) &&
               visit_one(w, node->as.slice.stop, visit) && visit_one(w, node->as.slice.step, visit);
    case NODE_CALL:
    case NODE_FILTER:
    case NODE_TEST: {
        const template_call_arguments *a = node->as.call.arguments;
        return visit_one(w, node->as.call.base, visit) && visit_list(w, a->positional, visit) &&
               visit_list(w, a->keywords, visit) && visit_one(w, a->star, visit) &&
               visit_one(w, a->star_star, visit);
    }
    default:
        return visit_list(w, node->as.of.left, visit) && visit_list(w, node->as.of.right, visit) &&
               visit_list(w, node->as.of.third, visit);
    }
}

/* ---- first pass: which names a scope has --------------------------------------------------- */

static bool collect_expression(scope_walk *w, template_node *node) {
    if (node->kind == NODE_NAME) {
        return load_name(w, node);
    }
    return visit_parts(w, node, collect_expression);
}

static bool collect_target(scope_walk *w, template_node *node) {
    if (node->kind == NODE_NAME) {
        return store_name(w, node->as.name.name, node->line);
    }
    if (node->kind == NODE_NAMESPACE_TARGET) {
        return load_name(w, node->as.attribute.base);
    }
    return visit_list(w, node->as.of.left, collect_target);
}

static bool collect_parameter(scope_walk *w, template_node *node) {
    if (node->kind == NODE_NAME) {
        return declare_parameter(w, node->as.name.name) != NULL;
    }
    return visit_list(w, node->as.of.left, collect_parameter);
}

static bool collect_statement(scope_walk *w, template_node *node);

static bool collect_branch(scope_walk *w, template_node *branch) {
    if (!visit_one(w, branch->as.branch.test, collect_expression)) {
        return false;
    }
    w->n_branches++;
    bool collected = visit_list(w, branch->as.branch.body, collect_statement);
    w->n_branches--;
    return collected;
}

static bool collect_statement(scope_walk *w, template_node *node) {
    switch ((template_node_kind)node->kind) {
    case NODE_PRINT:
        return visit_list(w, node->as.of.left, collect_expression);
    case NODE_IF:
        return visit_list(w, node->as.of.left, collect_branch);
    case NODE_FOR:
        return collect_expression(w, node->as.loop->iterable);
    case NODE_SET:
        return collect_expression(w, node->as.block.value) &&
               collect_target(w, node->as.block.target);
    case NODE_SET_BLOCK:
        return collect_target(w, node->as.block.target);
    case NODE_MACRO:
        return store_name(w, node->as.macro.code->name, node->line);
    case NODE_CALL_BLOCK:
        return collect_expression(w, node->as.macro.call);
    case NODE_FILTER_BLOCK:
        return collect_expression(w, node->as.block.value);
    case NODE_WITH:
        return visit_list(w, node->as.block.value, collect_expression);
    default:
        return true;
    }
}

/* ---- second pass: the place of each name --------------------------------------------------- */

static bool bind_name(scope_walk *w, template_node *node) {
    uint32_t hops;
    template_symbol *symbol = find(w, w->scope, node->as.name.name, &hops);
    if (!symbol) { /* names in the filter of a set block are not collected before */
        symbol = define(w, node->as.name.name, LOAD_CONTEXT);
        hops = 0;
    }
    if (!symbol) {
        return false;
    }
    symbol->used = true;
    node->as.name.hops = hops;
    node->as.name.slot = symbol->slot;
    return within_budget(w, node->line, node->as.name.name);
}

static bool bind_expression(scope_walk *w, template_node *node) {
    if (node->kind == NODE_NAME) {
        return bind_name(w, node);
    }
    if (!w->is_soft && node->kind == NODE_FILTER && !node->as.call.row) {
        return fail(w, TARS_MALFORMED, node->line, "there is no filter of that name",
                    node->as.call.name);
    }
    if (!w->is_soft && node->kind == NODE_TEST && !node->as.call.row) {
        return fail(w, TARS_MALFORMED, node->line, "there is no test of that name",
                    node->as.call.name);
    }
    bool was_soft = w->is_soft;
    w->is_soft = was_soft || node->kind == NODE_CONDITION;
    bool bound = visit_parts(w, node, bind_expression);
    w->is_soft = was_soft;
    return bound;
}

/* A target is bound like an expression; it is no use of the name. */
static bool bind_target(scope_walk *w, template_node *node) {
    if (node->kind == NODE_NAME) {
        uint32_t hops;
        template_symbol *symbol = find(w, w->scope, node->as.name.name, &hops);
        node->as.name.hops = hops;
        node->as.name.slot = symbol ? symbol->slot : 0;
        return symbol != NULL;
    }
    if (node->kind == NODE_NAMESPACE_TARGET) {
        return bind_name(w, node->as.attribute.base);
    }
    return visit_list(w, node->as.of.left, bind_target);
}

static bool bind_statement(scope_walk *w, template_node *node);

/* Makes a scope within the current one and makes it the current one. *outer is what to give to
 * leave_scope. */
static template_scope *enter_scope(scope_walk *w, scope_walk *outer) {
    template_scope *scope = ARENA_NEW(w->memory, template_scope);
    if (!scope) {
        fail(w, TARS_OUT_OF_MEMORY, 0, "the arena is too small for the template's names",
             (template_text){"", 0});
        return NULL;
    }
    *outer = *w;
    scope->parent = w->scope;
    w->scope = scope;
    w->n_branches = 0;
    w->is_soft = false;
    return scope;
}

static bool leave_scope(scope_walk *w, const scope_walk *outer) {
    w->scope = outer->scope;
    w->n_branches = outer->n_branches;
    w->is_soft = outer->is_soft;
    return w->status == TARS_OK;
}

static bool bind_body(scope_walk *w, template_node *body) {
    return visit_list(w, body, collect_statement) && visit_list(w, body, bind_statement);
}

static bool bind_loop_test(scope_walk *w, template_loop_code *loop) {
    scope_walk outer;
    loop->test_scope = enter_scope(w, &outer);
    if (!loop->test_scope || !collect_parameter(w, loop->target) ||
        !collect_expression(w, loop->test) || !bind_target(w, loop->target) ||
        !bind_expression(w, loop->test)) {
        return false;
    }
    return leave_scope(w, &outer);
}

static bool bind_loop_body(scope_walk *w, template_loop_code *loop) {
    scope_walk outer;
    loop->body_scope = enter_scope(w, &outer);
    /* the target comes first in both scopes, so that its slots are the same in both */
    if (!loop->body_scope || !collect_parameter(w, loop->target)) {
        return false;
    }
    loop->loop = declare_parameter(w, (template_text){"loop", 4});
    if (!loop->loop || !bind_target(w, loop->target) || !bind_body(w, loop->body)) {
        return false;
    }
    return leave_scope(w, &outer);
}

static bool bind_loop_otherwise(scope_walk *w, template_loop_code *loop) {
    scope_walk outer;
    loop->otherwise_scope = enter_scope(w, &outer);
    return loop->otherwise_scope && bind_body(w, loop->otherwise) && leave_scope(w, &outer);
}

static bool is_loop_name(const template_node *target) {
    if (target->kind == NODE_NAME) {
        return target->as.name.name.length == 4 &&
               memcmp(target->as.name.name.bytes, "loop", 4) == 0;
    }
    for (const template_node *item = target->as.of.left; item; item = item->next) {
        if (is_loop_name(item)) {
            return true;
        }
    }
    return false;
}

static bool bind_for(scope_walk *w, template_node *node) {
    template_loop_code *loop = node->as.loop;
    if (is_loop_name(loop->target)) {
        return fail(w, TARS_MALFORMED, node->line, "this cannot be the variable of a loop",
                    (template_text){"loop", 4});
    }
    if (!bind_expression(w, loop->iterable)) {
        return false;
    }
    w->n_loops++;
    bool bound = (!loop->test || bind_loop_test(w, loop)) && bind_loop_body(w, loop) &&
                 (!loop->has_otherwise || bind_loop_otherwise(w, loop));
    w->n_loops--;
    return bound;
}

/* One of the names that a macro has besides its parameters. */
static bool declare_special(scope_walk *w, const char *name, template_symbol **out) {
    template_text text = {name, strlen(name)};
    if (find_in(w, w->scope, text)) {
        return true; /* a parameter has that name */
    }
    *out = declare_parameter(w, text);
    return *out != NULL;
}

static bool bind_macro_body(scope_walk *w, template_macro_code *code) {
    scope_walk outer;
    code->scope = enter_scope(w, &outer);
    if (!code->scope || !visit_list(w, code->parameters, collect_parameter) ||
        !declare_special(w, "caller", &code->caller) ||
        !declare_special(w, "kwargs", &code->kwargs) ||
        !declare_special(w, "varargs", &code->varargs) ||
        !visit_list(w, code->defaults, collect_expression) ||
        !visit_list(w, code->body, collect_statement) ||
        !visit_list(w, code->parameters, bind_target) ||
        !visit_list(w, code->defaults, bind_expression) ||
        !visit_list(w, code->body, bind_statement)) {
        return false;
    }
    return leave_scope(w, &outer);
}

/* Set block, filter block and with: a scope with an optional filter of its result. */
static bool bind_block(scope_walk *w, template_node *node) {
    scope_walk outer;
    template_node *filter = node->kind == NODE_WITH ? NULL : node->as.block.value;
    node->as.block.scope = enter_scope(w, &outer);
    if (!node->as.block.scope || !visit_one(w, filter, collect_expression)) {
        return false;
    }
    if (node->kind == NODE_WITH && (!visit_list(w, node->as.block.target, collect_parameter) ||
                                    !visit_list(w, node->as.block.target, bind_target))) {
        return false;
    }
    return visit_one(w, filter, bind_expression) && bind_body(w, node->as.block.body) &&
           leave_scope(w, &outer);
}

static bool bind_branch(scope_walk *w, template_node *branch) {
    return visit_one(w, branch->as.branch.test, bind_expression) &&
           visit_list(w, branch->as.branch.body, bind_statement);
}

static bool bind_if(scope_walk *w, template_node *node) {
    bool was_soft = w->is_soft;
    w->is_soft = true;
    bool bound = visit_list(w, node->as.of.left, bind_branch);
    w->is_soft = was_soft;
    return bound;
}

static bool bind_statement(scope_walk *w, template_node *node) {
    switch ((template_node_kind)node->kind) {
    case NODE_PRINT:
        return visit_list(w, node->as.of.left, bind_expression);
    case NODE_IF:
        return bind_if(w, node);
    case NODE_FOR:
        return bind_for(w, node);
    case NODE_SET:
        return bind_expression(w, node->as.block.value) && bind_target(w, node->as.block.target);
    case NODE_SET_BLOCK:
        return bind_target(w, node->as.block.target) && bind_block(w, node);
    case NODE_MACRO:
        return bind_target(w, node->as.macro.call) && bind_macro_body(w, node->as.macro.code);
    case NODE_CALL_BLOCK:
        return bind_expression(w, node->as.macro.call) && bind_macro_body(w, node->as.macro.code);
    case NODE_GENERATION:
        return bind_macro_body(w, node->as.macro.code);
    case NODE_FILTER_BLOCK:
        return bind_block(w, node);
    case NODE_WITH:
        return visit_list(w, node->as.block.value, bind_expression) && bind_block(w, node);
    default:
        return true;
    }
}

tars_status template_resolve_names(template_node *body, arena *memory, template_scope **root,
                                   tars_error *err) {
    scope_walk walk = {.memory = memory, .err = err, .left_comparisons = MAX_COMPARISONS};
    scope_walk outer;
    *root = enter_scope(&walk, &outer);
    if (*root) {
        bind_body(&walk, body);
    }
    return walk.status;
}
