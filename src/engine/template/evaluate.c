#include "engine/template/evaluate.h"

#include "engine/template/access.h"
#include "engine/template/builtin.h"
#include "engine/template/operate.h"
#include "engine/template/print.h"
#include "engine/template/sequence.h"

static bool evaluate_name(template_machine *m, const template_node *node, template_frame *frame,
                          template_value *out) {
    (void)m;
    for (uint32_t hops = node->as.name.hops; hops > 0; hops--) {
        frame = frame->parent;
    }
    *out = frame->slots[node->as.name.slot];
    if (template_is_missing(out)) {
        *out = template_undefined(UNDEFINED_NAME, node->as.name.name);
    }
    return true;
}

/* The values of the nodes linked by next. */
static bool evaluate_items(template_machine *m, const template_node *first, template_frame *frame,
                           template_type type, template_value *out) {
    size_t count = 0;
    for (const template_node *node = first; node; node = node->next) {
        count++;
    }
    template_value *items = TEMPLATE_NEW(m, template_value, count);
    if (!items) {
        return false;
    }
    size_t i = 0;
    for (const template_node *node = first; node; node = node->next) {
        if (!template_evaluate(m, node, frame, &items[i++])) {
            return false;
        }
    }
    *out = template_sequence(type, items, count);
    return true;
}

static bool evaluate_list(template_machine *m, const template_node *node, template_frame *frame,
                          template_value *out) {
    return evaluate_items(m, node->as.of.left, frame, TEMPLATE_LIST, out);
}

static bool evaluate_tuple(template_machine *m, const template_node *node, template_frame *frame,
                           template_value *out) {
    return evaluate_items(m, node->as.of.left, frame, TEMPLATE_TUPLE, out);
}

static bool evaluate_dict(template_machine *m, const template_node *node, template_frame *frame,
                          template_value *out) {
    size_t count = 0;
    for (const template_node *pair = node->as.of.left; pair; pair = pair->next) {
        count++;
    }
    template_dict *dict = template_dict_make(m, count);
    for (const template_node *pair = node->as.of.left; dict && pair; pair = pair->next) {
        template_value key;
        template_value value;
        if (!template_evaluate(m, pair->as.of.left, frame, &key) ||
            !template_evaluate(m, pair->as.of.right, frame, &value) ||
            !template_dict_store(m, dict, &key, &value)) {
            return false;
        }
    }
    *out = (template_value){.type = TEMPLATE_DICT, .as.dict = dict};
    return dict != NULL;
}

static bool evaluate_negate(template_machine *m, const template_node *node, template_frame *frame,
                            template_value *out) {
    template_value operand;
    return template_evaluate(m, node->as.of.left, frame, &operand) &&
           template_negate(m, &operand, out);
}

static bool evaluate_plus(template_machine *m, const template_node *node, template_frame *frame,
                          template_value *out) {
    if (!template_evaluate(m, node->as.of.left, frame, out)) {
        return false;
    }
    if (out->type == TEMPLATE_BOOL) {
        *out = template_int(template_integer(out));
    }
    if (template_is_number(out)) {
        return true;
    }
    return template_is_undefined(out)
               ? template_fail_undefined(m, out)
               : template_fail(m, TARS_MALFORMED, "the template applies the sign + to a %s",
                               template_type_name(out));
}

static bool evaluate_not(template_machine *m, const template_node *node, template_frame *frame,
                         template_value *out) {
    if (!template_evaluate(m, node->as.of.left, frame, out)) {
        return false;
    }
    *out = template_bool(!template_truth(out));
    return true;
}

static bool evaluate_binary(template_machine *m, const template_node *node, template_frame *frame,
                            template_value *out) {
    template_value left;
    template_value right;
    return template_evaluate(m, node->as.of.left, frame, &left) &&
           template_evaluate(m, node->as.of.right, frame, &right) &&
           template_arithmetic(m, (template_operator)node->detail, &left, &right, out);
}

static bool evaluate_and(template_machine *m, const template_node *node, template_frame *frame,
                         template_value *out) {
    return template_evaluate(m, node->as.of.left, frame, out) &&
           (!template_truth(out) || template_evaluate(m, node->as.of.right, frame, out));
}

static bool evaluate_or(template_machine *m, const template_node *node, template_frame *frame,
                        template_value *out) {
    return template_evaluate(m, node->as.of.left, frame, out) &&
           (template_truth(out) || template_evaluate(m, node->as.of.right, frame, out));
}

/* a < b < c: each pair must hold; a later operand is not evaluated after the first that fails. */
static bool evaluate_compare(template_machine *m, const template_node *node, template_frame *frame,
                             template_value *out) {
    template_value left;
    bool holds = true;
    if (!template_evaluate(m, node->as.of.left, frame, &left)) {
        return false;
    }
    for (const template_node *operand = node->as.of.right; operand && holds;
         operand = operand->next) {
        template_value right;
        if (!template_evaluate(m, operand->as.of.left, frame, &right) ||
            !template_compare(m, (template_operator)operand->detail, &left, &right, &holds)) {
            return false;
        }
        left = right;
    }
    *out = template_bool(holds);
    return true;
}

static bool evaluate_concat(template_machine *m, const template_node *node, template_frame *frame,
                            template_value *out) {
    template_value parts;
    template_writer writer;
    if (!evaluate_items(m, node->as.of.left, frame, TEMPLATE_TUPLE, &parts)) {
        return false;
    }
    template_writer_capture(&writer);
    for (size_t i = 0; i < parts.as.items.count; i++) {
        if (!template_print(m, &writer, &parts.as.items.first[i])) {
            return false;
        }
    }
    *out = template_writer_value(&writer);
    return true;
}

static bool evaluate_condition(template_machine *m, const template_node *node,
                               template_frame *frame, template_value *out) {
    template_value condition;
    if (!template_evaluate(m, node->as.of.left, frame, &condition)) {
        return false;
    }
    if (template_truth(&condition)) {
        return template_evaluate(m, node->as.of.right, frame, out);
    }
    if (node->as.of.third) {
        return template_evaluate(m, node->as.of.third, frame, out);
    }
    *out = template_undefined(UNDEFINED_HINT,
                              template_text_of("the value of an if without else is missing"));
    return true;
}

static bool evaluate_attribute(template_machine *m, const template_node *node,
                               template_frame *frame, template_value *out) {
    template_value base;
    return template_evaluate(m, node->as.attribute.base, frame, &base) &&
           template_get_attribute(m, &base, node->as.attribute.name, out);
}

static bool evaluate_item(template_machine *m, const template_node *node, template_frame *frame,
                          template_value *out) {
    template_value base;
    template_value key;
    return template_evaluate(m, node->as.of.left, frame, &base) &&
           template_evaluate(m, node->as.of.right, frame, &key) &&
           template_get_item(m, &base, &key, out);
}

static bool evaluate_bound(template_machine *m, const template_node *node, template_frame *frame,
                           template_value *out) {
    *out = template_none();
    return !node || template_evaluate(m, node, frame, out);
}

static bool evaluate_slice(template_machine *m, const template_node *node, template_frame *frame,
                           template_value *out) {
    template_value base;
    template_value start;
    template_value stop;
    template_value step;
    return template_evaluate(m, node->as.slice.base, frame, &base) &&
           evaluate_bound(m, node->as.slice.start, frame, &start) &&
           evaluate_bound(m, node->as.slice.stop, frame, &stop) &&
           evaluate_bound(m, node->as.slice.step, frame, &step) &&
           template_get_slice(m, &base, &start, &stop, &step, out);
}

static bool evaluate_call(template_machine *m, const template_node *node, template_frame *frame,
                          template_value *out) {
    return template_call_node(m, node, frame, NULL, out);
}

static bool evaluate_filter(template_machine *m, const template_node *node, template_frame *frame,
                            template_value *out) {
    template_value base;
    template_arguments arguments;
    if (!template_evaluate(m, node->as.call.base, frame, &base)) {
        return false;
    }
    if (!node->as.call.row) {
        return template_call_filter(m, node->as.call.name, &base, NULL, out);
    }
    return template_evaluate_arguments(m, node->as.call.arguments, frame, &arguments) &&
           template_call_row(m, node->as.call.row, &base, &arguments, out);
}

static bool evaluate_test(template_machine *m, const template_node *node, template_frame *frame,
                          template_value *out) {
    template_value base;
    template_arguments arguments;
    bool result;
    if (!template_evaluate(m, node->as.call.base, frame, &base)) {
        return false;
    }
    if (!node->as.call.row) {
        return template_call_test(m, node->as.call.name, &base, NULL, &result);
    }
    if (!template_evaluate_arguments(m, node->as.call.arguments, frame, &arguments) ||
        !template_call_row(m, node->as.call.row, &base, &arguments, out)) {
        return false;
    }
    if (node->detail) {
        *out = template_bool(!out->as.boolean);
    }
    return true;
}

typedef bool (*evaluator)(template_machine *m, const template_node *node, template_frame *frame,
                          template_value *out);

static const evaluator evaluators[NODE_KIND_COUNT] = {
    [NODE_NAME] = evaluate_name,
    [NODE_TUPLE] = evaluate_tuple,
    [NODE_LIST] = evaluate_list,
    [NODE_DICT] = evaluate_dict,
    [NODE_NEGATE] = evaluate_negate,
    [NODE_PLUS] = evaluate_plus,
    [NODE_NOT] = evaluate_not,
    [NODE_BINARY] = evaluate_binary,
    [NODE_AND] = evaluate_and,
    [NODE_OR] = evaluate_or,
    [NODE_COMPARE] = evaluate_compare,
    [NODE_CONCAT] = evaluate_concat,
    [NODE_CONDITION] = evaluate_condition,
    [NODE_ATTRIBUTE] = evaluate_attribute,
    [NODE_ITEM] = evaluate_item,
    [NODE_SLICE] = evaluate_slice,
    [NODE_CALL] = evaluate_call,
    [NODE_FILTER] = evaluate_filter,
    [NODE_TEST] = evaluate_test,
};

bool template_evaluate(template_machine *m, const template_node *node, template_frame *frame,
                       template_value *out) {
    if (node->kind == NODE_CONSTANT) {
        *out = node->as.constant;
        return template_charge(m, 1);
    }
    if (!template_enter(m)) {
        return false;
    }
    bool done = evaluators[node->kind](m, node, frame, out);
    template_leave(m);
    return done;
}

/* ---- assignment ---------------------------------------------------------------------------- */

static bool assign_namespace(template_machine *m, const template_node *target,
                             template_frame *frame, const template_value *value) {
    template_value base;
    if (!evaluate_name(m, target->as.attribute.base, frame, &base)) {
        return false;
    }
    if (base.type != TEMPLATE_NAMESPACE) {
        return template_fail(m, TARS_MALFORMED,
                             "the template sets the attribute '%.*s' of a %s; only namespaces "
                             "can be changed",
                             (int)target->as.attribute.name.length, target->as.attribute.name.bytes,
                             template_type_name(&base));
    }
    template_value key =
        template_string(target->as.attribute.name.bytes, target->as.attribute.name.length);
    return template_dict_store(m, base.as.dict, &key, value);
}

static bool unpack(template_machine *m, const template_node *target, template_frame *frame,
                   const template_value *value) {
    template_iterator iterator;
    if (!template_iterate(m, value, &iterator)) {
        return false;
    }
    bool more = true;
    template_value item;
    for (const template_node *part = target->as.of.left; part; part = part->next) {
        if (!template_next(m, &iterator, &item, &more)) {
            return false;
        }
        if (!more) {
            return template_fail(m, TARS_MALFORMED, "too few values to unpack");
        }
        if (!template_assign(m, part, frame, &item)) {
            return false;
        }
    }
    if (!template_next(m, &iterator, &item, &more)) {
        return false;
    }
    return !more || template_fail(m, TARS_MALFORMED, "too many values to unpack");
}

bool template_assign(template_machine *m, const template_node *target, template_frame *frame,
                     const template_value *value) {
    if (target->kind == NODE_NAME) {
        for (uint32_t hops = target->as.name.hops; hops > 0; hops--) {
            frame = frame->parent;
        }
        frame->slots[target->as.name.slot] = *value;
        return true;
    }
    if (target->kind == NODE_NAMESPACE_TARGET) {
        return assign_namespace(m, target, frame, value);
    }
    if (!template_enter(m)) {
        return false;
    }
    bool done = unpack(m, target, frame, value);
    template_leave(m);
    return done;
}
