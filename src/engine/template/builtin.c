#include "engine/template/builtin.h"

#include "engine/template/operate.h"

/* ---- look-up ------------------------------------------------------------------------------- */

const template_builtin_row *template_find_row(const template_builtin_row *rows, size_t count,
                                              template_text name) {
    for (size_t i = 0; i < count; i++) {
        if (template_text_is(name, rows[i].name)) {
            return &rows[i];
        }
    }
    return NULL;
}

static const template_builtin_row *find_in(const template_builtin_table *table,
                                           template_text name) {
    return template_find_row(table->rows, table->count, name);
}

const template_builtin_row *template_find_filter(template_text name) {
    const template_builtin_table *const tables[] = {
        &template_text_filters, &template_sequence_filters, &template_value_filters};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        const template_builtin_row *row = find_in(tables[i], name);
        if (row) {
            return row;
        }
    }
    return NULL;
}

static bool is_one_of(template_text name, const char *const *names) {
    for (; *names; names++) {
        if (template_text_is(name, *names)) {
            return true;
        }
    }
    return false;
}

const template_builtin_row *template_find_method(const template_value *self, template_text name,
                                                 bool *unsafe) {
    static const char *const list_changes[] = {"append", "clear",  "pop",    "reverse", "insert",
                                               "sort",   "extend", "remove", NULL};
    static const char *const dict_changes[] = {"clear",      "pop",    "popitem",
                                               "setdefault", "update", NULL};
    *unsafe = (self->type == TEMPLATE_LIST && is_one_of(name, list_changes)) ||
              (self->type == TEMPLATE_DICT && is_one_of(name, dict_changes));
    if (*unsafe) {
        return NULL;
    }
    switch ((template_type)self->type) {
    case TEMPLATE_STRING:
        return find_in(&template_text_methods, name);
    case TEMPLATE_LIST:
        return find_in(&template_list_methods, name);
    case TEMPLATE_TUPLE:
    case TEMPLATE_RANGE:
        return find_in(&template_tuple_methods, name);
    case TEMPLATE_DICT:
        return find_in(&template_dict_methods, name);
    case TEMPLATE_BOOL:
    case TEMPLATE_INT:
    case TEMPLATE_FLOAT:
        return find_in(&template_number_methods, name);
    case TEMPLATE_LOOP:
        return find_in(&template_loop_methods, name);
    case TEMPLATE_CYCLER:
        return find_in(&template_cycler_methods, name);
    default:
        return NULL;
    }
}

/* ---- binding ------------------------------------------------------------------------------- */

/* Index of `name` among the blank-separated names, or -1; *count: how many there are. */
static int parameter_index(const char *names, template_text name, unsigned *count) {
    int found = -1;
    *count = 0;
    for (const char *p = names; *p;) {
        size_t length = 0;
        while (p[length] && p[length] != ' ') {
            length++;
        }
        if (length == name.length && memcmp(p, name.bytes, length) == 0) {
            found = (int)*count;
        }
        (*count)++;
        p += length + (p[length] == ' ' ? 1 : 0);
    }
    return found;
}

static bool bind(template_machine *m, const template_builtin_row *row,
                 const template_arguments *arguments, template_value *bound) {
    unsigned count;
    parameter_index(row->parameters, (template_text){"", 0}, &count);
    for (size_t i = 0; i < TEMPLATE_MAX_BOUND; i++) {
        bound[i] = template_missing();
    }
    if (arguments->count > count) {
        return template_fail(m, TARS_MALFORMED, "%s takes at most %u arguments, %zu were given",
                             row->name, count, arguments->count);
    }
    for (size_t i = 0; i < arguments->count; i++) {
        bound[i] = arguments->positional[i];
    }
    for (size_t i = 0; i < arguments->keyword_count; i++) {
        template_text name = arguments->keywords[i].name;
        int index = parameter_index(row->parameters, name, &count);
        if (index < 0 || !template_is_missing(&bound[index])) {
            return template_fail(m, TARS_MALFORMED,
                                 "%s has no parameter '%.*s', or it is given twice", row->name,
                                 (int)(name.length < 60 ? name.length : 60), name.bytes);
        }
        bound[index] = arguments->keywords[i].value;
    }
    for (unsigned i = 0; i < row->n_required; i++) {
        if (template_is_missing(&bound[i])) {
            return template_fail(m, TARS_MALFORMED, "%s needs %u arguments", row->name,
                                 row->n_required);
        }
    }
    return true;
}

bool template_call_row(template_machine *m, const template_builtin_row *row,
                       const template_value *self, const template_arguments *arguments,
                       template_value *out) {
    template_call call = {.row = row, .self = self, .arguments = arguments};
    if (row->parameters[0] != '*' && !bind(m, row, arguments, call.bound)) {
        return false;
    }
    if (!template_enter(m)) {
        return false;
    }
    bool done = row->call(m, &call, out);
    template_leave(m);
    return done;
}

static bool fail_unknown(template_machine *m, const char *what, template_text name) {
    return template_fail(m, TARS_MALFORMED, "there is no %s named '%.*s'", what,
                         (int)(name.length < 100 ? name.length : 100), name.bytes);
}

bool template_call_filter(template_machine *m, template_text name, const template_value *self,
                          const template_arguments *arguments, template_value *out) {
    const template_builtin_row *row = template_find_filter(name);
    return row ? template_call_row(m, row, self, arguments, out) : fail_unknown(m, "filter", name);
}

bool template_call_test(template_machine *m, template_text name, const template_value *self,
                        const template_arguments *arguments, bool *out) {
    const template_builtin_row *row = template_find_test(name);
    template_value result;
    if (!row) {
        return fail_unknown(m, "test", name);
    }
    if (!template_call_row(m, row, self, arguments, &result)) {
        return false;
    }
    *out = result.as.boolean;
    return true;
}

bool template_refuse(template_machine *m, template_call *call, template_value *out) {
    (void)out;
    return template_fail(m, TARS_UNSUPPORTED, "'%s' is not supported in chat templates",
                         call->row->name);
}

/* ---- reading parameters -------------------------------------------------------------------- */

bool template_take_int(template_machine *m, const template_value *value, int64_t missing,
                       int64_t *out) {
    if (template_is_missing(value)) {
        *out = missing;
        return true;
    }
    if (!template_is_integer(value)) {
        return template_is_undefined(value)
                   ? template_fail_undefined(m, value)
                   : template_fail(m, TARS_MALFORMED, "expected an integer, found a %s",
                                   template_type_name(value));
    }
    *out = template_integer(value);
    return true;
}

bool template_take_bool(const template_value *value, bool missing) {
    return template_is_missing(value) ? missing : template_truth(value);
}

bool template_take_text(template_machine *m, const template_value *value, const char *missing,
                        template_text *out) {
    if (template_is_missing(value) && missing) {
        *out = template_text_of(missing);
        return true;
    }
    if (value->type != TEMPLATE_STRING) {
        return template_is_undefined(value)
                   ? template_fail_undefined(m, value)
                   : template_fail(m, TARS_MALFORMED, "expected a text, found a %s",
                                   template_type_name(value));
    }
    *out = value->as.text;
    return true;
}
