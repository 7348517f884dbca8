#include "engine/template/access.h"
#include "engine/template/builtin.h"
#include "engine/template/evaluate.h"
#include "engine/template/globals.h"
#include "engine/template/operate.h"
#include "engine/template/sequence.h"

/* ---- arguments ----------------------------------------------------------------------------- */

/* How many arguments *expression and **expression add, and their values. */
typedef struct spread {
    template_value items; /* a list */
    template_value names; /* a dict */
} spread;

static bool evaluate_spread(template_machine *m, const template_call_arguments *code,
                            template_frame *frame, spread *out) {
    out->items = template_sequence(TEMPLATE_LIST, NULL, 0);
    out->names = template_none();
    template_value value;
    if (code->star) {
        if (!template_evaluate(m, code->star, frame, &value) ||
            !template_to_list(m, &value, &out->items)) {
            return false;
        }
    }
    if (code->star_star) {
        if (!template_evaluate(m, code->star_star, frame, &out->names)) {
            return false;
        }
        if (out->names.type != TEMPLATE_DICT) {
            return template_fail(m, TARS_MALFORMED, "** needs a dict, found a %s",
                                 template_type_name(&out->names));
        }
    }
    return true;
}

static bool add_named(template_machine *m, const template_value *names, template_arguments *out) {
    for (size_t i = 0; names->type == TEMPLATE_DICT && i < names->as.dict->count; i++) {
        const template_entry *entry = &names->as.dict->entries[i];
        if (entry->key.type != TEMPLATE_STRING) {
            return template_fail(m, TARS_MALFORMED, "keyword arguments must have text names");
        }
        for (size_t k = 0; k < out->keyword_count; k++) {
            if (template_text_equal(out->keywords[k].name, entry->key.as.text)) {
                return template_fail(m, TARS_MALFORMED, "a keyword argument is given twice");
            }
        }
        if (!template_charge(m, out->keyword_count)) {
            return false;
        }
        out->keywords[out->keyword_count++] = (template_keyword){entry->key.as.text, entry->value};
    }
    return true;
}

bool template_evaluate_arguments(template_machine *m, const template_call_arguments *code,
                                 template_frame *frame, template_arguments *out) {
    spread more;
    *out = (template_arguments){0};
    if (code->n_positional == 0 && code->n_keywords == 0 && !code->star && !code->star_star) {
        return true;
    }
    size_t n_positional = code->n_positional;
    template_value *values = TEMPLATE_NEW(m, template_value, n_positional);
    template_keyword *keywords = TEMPLATE_NEW(m, template_keyword, code->n_keywords);
    if (!values || !keywords) {
        return false;
    }
    for (const template_node *n = code->positional; n; n = n->next) {
        if (!template_evaluate(m, n, frame, &values[out->count++])) {
            return false;
        }
    }
    out->positional = values;
    out->keywords = keywords;
    for (const template_node *n = code->keywords; n; n = n->next) {
        template_keyword *keyword = &keywords[out->keyword_count++];
        keyword->name = n->as.keyword.name;
        if (!template_evaluate(m, n->as.keyword.value, frame, &keyword->value)) {
            return false;
        }
    }
    if (!code->star && !code->star_star) {
        return true;
    }
    if (!evaluate_spread(m, code, frame, &more)) {
        return false;
    }
    size_t n_items = more.items.as.items.count;
    size_t n_names = more.names.type == TEMPLATE_DICT ? more.names.as.dict->count : 0;
    out->positional = TEMPLATE_NEW(m, template_value, n_positional + n_items);
    out->keywords = TEMPLATE_NEW(m, template_keyword, code->n_keywords + n_names);
    if (!out->positional || !out->keywords || !template_charge(m, n_items)) {
        return false;
    }
    memcpy(out->positional, values, n_positional * sizeof *values);
    if (n_items > 0) {
        memcpy(out->positional + n_positional, more.items.as.items.first, n_items * sizeof *values);
    }
    memcpy(out->keywords, keywords, code->n_keywords * sizeof *keywords);
    out->count = n_positional + n_items;
    return add_named(m, &more.names, out);
}

/* ---- macros -------------------------------------------------------------------------------- */

/* Takes the keyword of that name out of the arguments, or leaves *out as it is. */
static bool take_keyword(template_arguments *arguments, template_text name, template_value *out) {
    for (size_t i = 0; i < arguments->keyword_count; i++) {
        if (template_text_equal(arguments->keywords[i].name, name)) {
            *out = arguments->keywords[i].value;
            arguments->keyword_count--;
            for (size_t k = i; k < arguments->keyword_count; k++) {
                arguments->keywords[k] = arguments->keywords[k + 1];
            }
            return true;
        }
    }
    return false;
}

static bool fail_keyword(template_machine *m, const template_macro_code *code, template_text name) {
    return template_fail(m, TARS_MALFORMED, "the macro '%.*s' has no parameter '%.*s'",
                         (int)code->name.length, code->name.bytes, (int)name.length, name.bytes);
}

/* What is left over after the parameters: varargs and kwargs, if the macro uses them. */
static bool bind_rest(template_machine *m, const template_macro_code *code,
                      template_arguments *arguments, template_frame *frame) {
    if (code->kwargs && code->kwargs->used) {
        template_dict *dict = template_dict_make(m, arguments->keyword_count);
        for (size_t i = 0; dict && i < arguments->keyword_count; i++) {
            template_text name = arguments->keywords[i].name;
            template_value key = template_string(name.bytes, name.length);
            if (!template_dict_store(m, dict, &key, &arguments->keywords[i].value)) {
                return false;
            }
        }
        if (!dict) {
            return false;
        }
        frame->slots[code->kwargs->slot] = (template_value){.type = TEMPLATE_DICT, .as.dict = dict};
    } else if (arguments->keyword_count > 0) {
        return fail_keyword(m, code, arguments->keywords[0].name);
    }
    size_t used = arguments->count < code->n_parameters ? arguments->count : code->n_parameters;
    if (code->varargs && code->varargs->used) {
        frame->slots[code->varargs->slot] = template_sequence(
            TEMPLATE_TUPLE, arguments->positional + used, arguments->count - used);
    } else if (arguments->count > used) {
        return template_fail(
            m, TARS_MALFORMED, "the macro '%.*s' takes at most %u arguments, %zu were given",
            (int)code->name.length, code->name.bytes, code->n_parameters, arguments->count);
    }
    return true;
}

/* Fills the parameters that got no argument: with the default or undefined. */
static bool bind_defaults(template_machine *m, const template_macro_code *code,
                          template_frame *frame) {
    uint32_t index = 0;
    const template_node *value = code->defaults;
    for (const template_node *p = code->parameters; p; p = p->next, index++) {
        bool has_default = index >= code->n_parameters - code->n_defaults;
        template_value *slot = &frame->slots[p->as.name.slot];
        if (template_is_missing(slot)) {
            *slot = template_undefined(UNDEFINED_NAME, p->as.name.name);
            if (has_default && !template_evaluate(m, value, frame, slot)) {
                return false;
            }
        }
        value = has_default ? value->next : value;
    }
    return true;
}

static bool bind_macro(template_machine *m, const template_macro_code *code,
                       template_arguments *arguments, template_frame *frame) {
    size_t index = 0;
    for (const template_node *p = code->parameters; p; p = p->next, index++) {
        template_value *slot = &frame->slots[p->as.name.slot];
        if (index < arguments->count) {
            *slot = arguments->positional[index];
        } else {
            take_keyword(arguments, p->as.name.name, slot);
        }
    }
    if (code->caller && code->caller->used) {
        template_value *slot = &frame->slots[code->caller->slot];
        if (!take_keyword(arguments, template_text_of("caller"), slot) ||
            slot->type == TEMPLATE_NONE) {
            *slot = template_undefined(UNDEFINED_HINT, template_text_of("No caller defined"));
        }
    }
    return bind_rest(m, code, arguments, frame) && bind_defaults(m, code, frame);
}

static bool call_macro(template_machine *m, const template_macro *macro,
                       const template_arguments *arguments, template_value *out) {
    template_frame *frame = template_make_frame(m, macro->code->scope, macro->frame);
    template_arguments left = *arguments;
    if (!frame || !template_reload_frame(m, frame)) {
        return false;
    }
    left.keywords = TEMPLATE_NEW(m, template_keyword, arguments->keyword_count);
    if (!left.keywords) {
        return false;
    }
    if (arguments->keyword_count > 0) {
        memcpy(left.keywords, arguments->keywords,
               arguments->keyword_count * sizeof *left.keywords);
    }
    uint32_t line = m->line;
    if (!bind_macro(m, macro->code, &left, frame)) {
        return false;
    }
    template_flow flow = template_run_captured(m, macro->code->body, frame, out);
    m->line = flow == FLOW_FAILED ? m->line : line;
    return flow != FLOW_FAILED;
}

/* ---- calls --------------------------------------------------------------------------------- */

bool template_call_value(template_machine *m, const template_value *callee,
                         const template_arguments *arguments, template_value *out) {
    switch ((template_type)callee->type) {
    case TEMPLATE_MACRO:
        return call_macro(m, callee->as.object, arguments, out);
    case TEMPLATE_METHOD: {
        const template_method *method = callee->as.object;
        return template_call_row(m, method->row, &method->self, arguments, out);
    }
    case TEMPLATE_FUNCTION:
        return template_call_row(m, callee->as.object, callee, arguments, out);
    case TEMPLATE_JOINER:
        return template_call_joiner(m, callee->as.object, arguments, out);
    case TEMPLATE_LOOP:
        return template_fail(m, TARS_UNSUPPORTED, "loops that call themselves are not supported");
    case TEMPLATE_UNDEFINED:
        return template_fail_undefined(m, callee);
    default:
        return template_fail(m, TARS_MALFORMED, "the template calls a %s, which is no function",
                             template_type_name(callee));
    }
}

/* Calls NODE_CALL; `extra` (may be NULL) is one more keyword argument. */
bool template_call_node(template_machine *m, const template_node *node, template_frame *frame,
                        const template_keyword *extra, template_value *out) {
    template_value callee;
    template_arguments arguments;
    if (!template_evaluate(m, node->as.call.base, frame, &callee) ||
        !template_evaluate_arguments(m, node->as.call.arguments, frame, &arguments)) {
        return false;
    }
    if (extra) {
        size_t count = arguments.keyword_count;
        template_keyword *keywords = TEMPLATE_NEW(m, template_keyword, count + 1);
        if (!keywords) {
            return false;
        }
        if (count > 0) {
            memcpy(keywords, arguments.keywords, count * sizeof *keywords);
        }
        keywords[count] = *extra;
        arguments.keywords = keywords;
        arguments.keyword_count = count + 1;
    }
    return template_call_value(m, &callee, &arguments, out);
}
