/* Statements. */
#include "engine/template/builtin.h"
#include "engine/template/evaluate.h"
#include "engine/template/globals.h"
#include "engine/template/loop.h"
#include "engine/template/operate.h"
#include "engine/template/print.h"

/* ---- frames -------------------------------------------------------------------------------- */

template_frame *template_make_frame(template_machine *m, const template_scope *scope,
                                    template_frame *parent) {
    template_frame *frame = TEMPLATE_NEW(m, template_frame, 1);
    template_value *slots = frame ? TEMPLATE_NEW(m, template_value, scope->n_slots) : NULL;
    if (!slots) {
        return NULL;
    }
    *frame = (template_frame){.parent = parent, .scope = scope, .slots = slots};
    return frame;
}

static bool load_from_context(template_machine *m, template_text name, template_value *out) {
    template_value key = template_string(name.bytes, name.length);
    template_entry *entry = NULL;
    if (m->context && m->context->type == TEMPLATE_DICT &&
        !template_dict_find(m, m->context->as.dict, &key, &entry)) {
        return false;
    }
    if (entry) {
        *out = entry->value;
        return true;
    }
    *out = template_global(name);
    return true;
}

static template_value load_from_outer(const template_frame *frame, const template_symbol *symbol) {
    for (uint32_t hops = symbol->outer_hops; hops > 0; hops--) {
        frame = frame->parent;
    }
    return frame->slots[symbol->outer_slot];
}

bool template_reload_frame(template_machine *m, template_frame *frame) {
    if (!template_charge(m, 1 + frame->scope->n_slots)) {
        return false;
    }
    for (const template_symbol *s = frame->scope->first; s; s = s->next) {
        template_value *slot = &frame->slots[s->slot];
        if (s->load == LOAD_CONTEXT) {
            if (!load_from_context(m, s->name, slot)) {
                return false;
            }
        } else if (s->load == LOAD_OUTER) {
            *slot = load_from_outer(frame, s);
        } else {
            *slot = template_missing();
        }
    }
    return true;
}

static template_frame *enter_frame(template_machine *m, const template_scope *scope,
                                   template_frame *parent) {
    template_frame *frame = template_make_frame(m, scope, parent);
    return frame && template_reload_frame(m, frame) ? frame : NULL;
}

/* ---- statements ---------------------------------------------------------------------------- */

static template_flow flow_of(bool done) {
    return done ? FLOW_NEXT : FLOW_FAILED;
}

static template_flow run_text(template_machine *m, const template_node *node,
                              template_frame *frame) {
    (void)frame;
    return flow_of(template_write_text(m, m->out, node->as.text));
}

static template_flow run_print(template_machine *m, const template_node *node,
                               template_frame *frame) {
    for (const template_node *part = node->as.of.left; part; part = part->next) {
        template_value value;
        if (!template_evaluate(m, part, frame, &value) || !template_print(m, m->out, &value)) {
            return FLOW_FAILED;
        }
    }
    return FLOW_NEXT;
}

static template_flow run_if(template_machine *m, const template_node *node, template_frame *frame) {
    for (const template_node *branch = node->as.of.left; branch; branch = branch->next) {
        template_value condition = template_bool(true);
        m->line = branch->line;
        if (branch->as.branch.test &&
            !template_evaluate(m, branch->as.branch.test, frame, &condition)) {
            return FLOW_FAILED;
        }
        if (template_truth(&condition)) {
            return template_run(m, branch->as.branch.body, frame);
        }
    }
    return FLOW_NEXT;
}

/* *completed: some iteration reached the end of the body. */
static template_flow run_iterations(template_machine *m, template_loop *loop, template_frame *frame,
                                    bool *completed) {
    const template_loop_code *code = loop->code;
    const template_symbol *name = code->loop;
    *completed = false;
    for (;;) {
        bool more;
        if (!template_loop_advance(m, loop, &more)) {
            return FLOW_FAILED;
        }
        if (!more) {
            return FLOW_NEXT;
        }
        if (!template_reload_frame(m, frame)) {
            return FLOW_FAILED;
        }
        frame->slots[name->slot] = template_object(TEMPLATE_LOOP, loop);
        if (!template_assign(m, code->target, frame, &loop->current)) {
            return FLOW_FAILED;
        }
        template_flow flow = template_run(m, code->body, frame);
        if (flow == FLOW_FAILED || flow == FLOW_BREAK) {
            return flow;
        }
        *completed = *completed || flow == FLOW_NEXT;
    }
}

static template_flow run_for(template_machine *m, const template_node *node,
                             template_frame *frame) {
    const template_loop_code *code = node->as.loop;
    template_value iterable;
    template_loop *loop = TEMPLATE_NEW(m, template_loop, 1);
    template_frame *body = loop ? template_make_frame(m, code->body_scope, frame) : NULL;
    if (!body || !template_evaluate(m, code->iterable, frame, &iterable)) {
        return FLOW_FAILED;
    }
    *loop = (template_loop){.code = code,
                            .current = template_missing(),
                            .before = template_missing(),
                            .after = template_missing(),
                            .changed = template_missing(),
                            .index0 = -1,
                            .length = -1};
    if (!template_iterate(m, &iterable, &loop->iterator)) {
        return FLOW_FAILED;
    }
    if (code->test) {
        loop->test_frame = template_make_frame(m, code->test_scope, frame);
        if (!loop->test_frame) {
            return FLOW_FAILED;
        }
    }
    /* Jinja runs the else part when no iteration reached its end: also after break, continue */
    bool completed;
    template_flow flow = run_iterations(m, loop, body, &completed);
    if (flow == FLOW_FAILED) {
        return flow;
    }
    if (completed || !code->has_otherwise) {
        return FLOW_NEXT;
    }
    template_frame *otherwise = enter_frame(m, code->otherwise_scope, frame);
    return otherwise ? template_run(m, code->otherwise, otherwise) : FLOW_FAILED;
}

static template_flow run_set(template_machine *m, const template_node *node,
                             template_frame *frame) {
    template_value value;
    return flow_of(template_evaluate(m, node->as.block.value, frame, &value) &&
                   template_assign(m, node->as.block.target, frame, &value));
}

/* Applies the filters of a block to its text: the innermost one has no base. */
static bool apply_filters(template_machine *m, const template_node *filter, template_frame *frame,
                          template_value *value) {
    template_arguments arguments;
    template_value input = *value;
    if (!template_enter(m)) {
        return false;
    }
    bool done = !filter->as.call.base || apply_filters(m, filter->as.call.base, frame, &input);
    if (done && !filter->as.call.row) {
        done = template_call_filter(m, filter->as.call.name, &input, NULL, value);
    } else if (done) {
        done = template_evaluate_arguments(m, filter->as.call.arguments, frame, &arguments) &&
               template_call_row(m, filter->as.call.row, &input, &arguments, value);
    }
    template_leave(m);
    return done;
}

/* The text of a block's body after its filters. */
static template_flow run_captured_block(template_machine *m, const template_node *node,
                                        template_frame *frame, template_value *out) {
    template_frame *inner = enter_frame(m, node->as.block.scope, frame);
    if (!inner) {
        return FLOW_FAILED;
    }
    template_flow flow = template_run_captured(m, node->as.block.body, inner, out);
    if (flow == FLOW_NEXT && node->as.block.value) {
        return flow_of(apply_filters(m, node->as.block.value, inner, out));
    }
    return flow;
}

static template_flow run_set_block(template_machine *m, const template_node *node,
                                   template_frame *frame) {
    template_value value;
    template_flow flow = run_captured_block(m, node, frame, &value);
    return flow == FLOW_NEXT ? flow_of(template_assign(m, node->as.block.target, frame, &value))
                             : flow;
}

static template_flow run_filter_block(template_machine *m, const template_node *node,
                                      template_frame *frame) {
    template_value value;
    template_flow flow = run_captured_block(m, node, frame, &value);
    if (flow == FLOW_NEXT && value.type != TEMPLATE_STRING) {
        template_fail(m, TARS_MALFORMED, "the filter of a block makes a %s of its text",
                      template_type_name(&value));
        return FLOW_FAILED;
    }
    return flow == FLOW_NEXT ? flow_of(template_print(m, m->out, &value)) : flow;
}

static bool make_macro(template_machine *m, const template_macro_code *code, template_frame *frame,
                       template_value *out) {
    template_macro *macro = TEMPLATE_NEW(m, template_macro, 1);
    if (macro) {
        *macro = (template_macro){.code = code, .frame = frame};
        *out = template_object(TEMPLATE_MACRO, macro);
    }
    return macro != NULL;
}

static template_flow run_macro(template_machine *m, const template_node *node,
                               template_frame *frame) {
    template_value macro;
    return flow_of(make_macro(m, node->as.macro.code, frame, &macro) &&
                   template_assign(m, node->as.macro.call, frame, &macro));
}

static template_flow run_call_block(template_machine *m, const template_node *node,
                                    template_frame *frame) {
    template_keyword caller = {.name = template_text_of("caller")};
    template_value value;
    return flow_of(make_macro(m, node->as.macro.code, frame, &caller.value) &&
                   template_call_node(m, node->as.macro.call, frame, &caller, &value) &&
                   template_print(m, m->out, &value));
}

/* A body whose names are its own; its text goes where all text goes. */
static template_flow run_generation(template_machine *m, const template_node *node,
                                    template_frame *frame) {
    template_frame *inner = enter_frame(m, node->as.macro.code->scope, frame);
    return inner ? template_run(m, node->as.macro.code->body, inner) : FLOW_FAILED;
}

static template_flow run_with(template_machine *m, const template_node *node,
                              template_frame *frame) {
    template_frame *inner = enter_frame(m, node->as.block.scope, frame);
    const template_node *value = node->as.block.value;
    for (const template_node *target = node->as.block.target; inner && target;
         target = target->next, value = value->next) {
        template_value found;
        if (!template_evaluate(m, value, frame, &found) ||
            !template_assign(m, target, inner, &found)) {
            return FLOW_FAILED;
        }
    }
    return inner ? template_run(m, node->as.block.body, inner) : FLOW_FAILED;
}

static template_flow run_break(template_machine *m, const template_node *node,
                               template_frame *frame) {
    (void)m;
    (void)frame;
    return node->kind == NODE_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
}

typedef template_flow (*runner)(template_machine *m, const template_node *node,
                                template_frame *frame);

static const runner runners[NODE_KIND_COUNT] = {
    [NODE_TEXT] = run_text,
    [NODE_PRINT] = run_print,
    [NODE_IF] = run_if,
    [NODE_FOR] = run_for,
    [NODE_SET] = run_set,
    [NODE_SET_BLOCK] = run_set_block,
    [NODE_MACRO] = run_macro,
    [NODE_CALL_BLOCK] = run_call_block,
    [NODE_FILTER_BLOCK] = run_filter_block,
    [NODE_WITH] = run_with,
    [NODE_GENERATION] = run_generation,
    [NODE_BREAK] = run_break,
    [NODE_CONTINUE] = run_break,
};

template_flow template_run(template_machine *m, const template_node *body, template_frame *frame) {
    if (!template_enter(m)) {
        return FLOW_FAILED;
    }
    template_flow flow = FLOW_NEXT;
    for (const template_node *node = body; node && flow == FLOW_NEXT; node = node->next) {
        m->line = node->line;
        flow = template_charge(m, 1) ? runners[node->kind](m, node, frame) : FLOW_FAILED;
    }
    template_leave(m);
    return flow;
}

template_flow template_run_captured(template_machine *m, const template_node *body,
                                    template_frame *frame, template_value *out) {
    template_writer writer;
    template_writer *outer = m->out;
    template_writer_capture(&writer);
    m->out = &writer;
    template_flow flow = template_run(m, body, frame);
    m->out = outer;
    *out = template_writer_value(&writer);
    return flow;
}
