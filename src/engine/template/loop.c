#include "engine/template/loop.h"

#include "engine/template/builtin.h"
#include "engine/template/evaluate.h"
#include "engine/template/operate.h"

/* The next item of the iterable that passes the condition. */
static bool pull(template_machine *m, template_loop *loop, template_value *out, bool *more) {
    *more = !loop->finished;
    bool passes = false;
    while (*more && !passes) {
        if (!template_next(m, &loop->iterator, out, more)) {
            return false;
        }
        passes = *more;
        if (*more && loop->test_frame) {
            template_value result;
            if (!template_reload_frame(m, loop->test_frame) ||
                !template_assign(m, loop->code->target, loop->test_frame, out) ||
                !template_evaluate(m, loop->code->test, loop->test_frame, &result)) {
                return false;
            }
            passes = template_truth(&result);
        }
    }
    loop->finished = !*more;
    return true;
}

static bool peek(template_machine *m, template_loop *loop) {
    return loop->has_after || pull(m, loop, &loop->after, &loop->has_after);
}

bool template_loop_advance(template_machine *m, template_loop *loop, bool *more) {
    template_value item;
    *more = loop->has_after;
    if (loop->has_after) {
        item = loop->after;
        loop->has_after = false;
    } else if (!pull(m, loop, &item, more)) {
        return false;
    }
    if (*more) {
        loop->index0++;
        loop->before = loop->current;
        loop->current = item;
    }
    return true;
}

/* How many items the loop has in all; reads the rest of them when that is not known. */
static bool count_items(template_machine *m, template_loop *loop) {
    if (loop->length >= 0) {
        return true;
    }
    if (!loop->test_frame && template_has_length(&loop->iterator.source)) {
        size_t length;
        if (!template_length(m, &loop->iterator.source, &length)) {
            return false;
        }
        loop->length = (int64_t)length;
        return true;
    }
    template_builder rest = {0};
    bool more = true;
    while (more) {
        template_value item;
        if (!pull(m, loop, &item, &more) || (more && !template_build(m, &rest, &item))) {
            return false;
        }
    }
    loop->length = loop->index0 + 1 + (loop->has_after ? 1 : 0) + (int64_t)rest.count;
    loop->iterator = (template_iterator){.source = template_built(&rest)};
    loop->test_frame = NULL; /* the rest has passed the condition */
    loop->finished = false;
    return true;
}

static bool number_attribute(template_machine *m, template_loop *loop, template_text name,
                             template_value *out, bool *found) {
    int64_t index0 = loop->index0;
    bool is_reverse = template_text_is(name, "revindex");
    bool is_reverse0 = template_text_is(name, "revindex0");
    bool is_length = template_text_is(name, "length");
    *found = true;
    if (is_reverse || is_reverse0 || is_length) {
        if (!count_items(m, loop)) {
            return false;
        }
        *out =
            template_int(is_length ? loop->length : loop->length - index0 - (is_reverse0 ? 1 : 0));
        return true;
    }
    if (template_text_is(name, "index")) {
        *out = template_int(index0 + 1);
    } else if (template_text_is(name, "index0")) {
        *out = template_int(index0);
    } else if (template_text_is(name, "depth")) {
        *out = template_int(1); /* loops that call themselves are refused */
    } else if (template_text_is(name, "depth0")) {
        *out = template_int(0);
    } else {
        *found = false;
    }
    return true;
}

bool template_loop_attribute(template_machine *m, template_loop *loop, template_text name,
                             template_value *out, bool *found) {
    *found = true;
    if (template_text_is(name, "first")) {
        *out = template_bool(loop->index0 == 0);
        return true;
    }
    if (template_text_is(name, "last")) {
        if (!peek(m, loop)) {
            return false;
        }
        *out = template_bool(!loop->has_after);
        return true;
    }
    if (template_text_is(name, "previtem")) {
        *out = loop->index0 > 0 ? loop->before
                                : template_undefined(UNDEFINED_HINT,
                                                     template_text_of("there is no previous item"));
        return true;
    }
    if (template_text_is(name, "nextitem")) {
        if (!peek(m, loop)) {
            return false;
        }
        *out = loop->has_after
                   ? loop->after
                   : template_undefined(UNDEFINED_HINT, template_text_of("there is no next item"));
        return true;
    }
    return number_attribute(m, loop, name, out, found);
}

/* ---- methods ------------------------------------------------------------------------------- */

static bool call_cycle(template_machine *m, template_call *call, template_value *out) {
    const template_loop *loop = call->self->as.object;
    size_t count = call->arguments->count;
    if (count == 0) {
        return template_fail(m, TARS_MALFORMED, "loop.cycle needs arguments");
    }
    *out = call->arguments->positional[(size_t)loop->index0 % count];
    return true;
}

static bool call_changed(template_machine *m, template_call *call, template_value *out) {
    template_loop *loop = call->self->as.object;
    size_t count = call->arguments->count;
    template_value *items = TEMPLATE_NEW(m, template_value, count);
    if (!items) {
        return false;
    }
    if (count > 0) {
        memcpy(items, call->arguments->positional, count * sizeof *items);
    }
    template_value given = template_sequence(TEMPLATE_TUPLE, items, count);
    bool same = false;
    if (!template_is_missing(&loop->changed) && !template_equal(m, &loop->changed, &given, &same)) {
        return false;
    }
    loop->changed = given;
    *out = template_bool(!same);
    return true;
}

static const template_builtin_row loop_methods[] = {
    {"cycle", call_cycle, "*", 0},
    {"changed", call_changed, "*", 0},
};

const template_builtin_table template_loop_methods = {loop_methods,
                                                      sizeof loop_methods / sizeof loop_methods[0]};
