/* Filters, tests, methods and global functions: each is a row of a table. */
#ifndef ENGINE_TEMPLATE_BUILTIN_H
#define ENGINE_TEMPLATE_BUILTIN_H

#include "engine/template/machine.h"

/* What a row may use: the value it applies to (a global function has none: undefined), its bound
 * parameters (a missing one is template_is_missing), and the arguments as they were given. */
typedef struct template_call {
    const struct template_builtin_row *row;
    const template_value *self;
    template_value bound[TEMPLATE_MAX_BOUND];
    const template_arguments *arguments;
} template_call;

typedef bool (*template_builtin)(template_machine *m, template_call *call, template_value *out);

/* A row for a name that exists in Jinja but not here: fails with a message that says so. */
bool template_refuse(template_machine *m, template_call *call, template_value *out);

typedef struct template_builtin_row {
    const char *name;
    template_builtin call;
    const char *parameters; /* names with blanks between them; "*": takes any arguments */
    unsigned n_required;
} template_builtin_row;

/* NULL when there is none of that name. */
const template_builtin_row *template_find_filter(template_text name);
const template_builtin_row *template_find_test(template_text name);
const template_builtin_row *template_find_function(template_text name);
/* *unsafe: the method exists but would change the value, which the sandbox refuses. */
const template_builtin_row *template_find_method(const template_value *self, template_text name,
                                                 bool *unsafe);
/* The row of that name in a table. */
const template_builtin_row *template_find_row(const template_builtin_row *rows, size_t count,
                                              template_text name);

bool template_call_row(template_machine *m, const template_builtin_row *row,
                       const template_value *self, const template_arguments *arguments,
                       template_value *out);
/* By name, for map, select and the tests filter and test; an unknown name is an error. */
bool template_call_filter(template_machine *m, template_text name, const template_value *self,
                          const template_arguments *arguments, template_value *out);
bool template_call_test(template_machine *m, template_text name, const template_value *self,
                        const template_arguments *arguments, bool *out);

/* ---- reading parameters; each fails with a TypeError when the value is of another type ---- */
bool template_take_int(template_machine *m, const template_value *value, int64_t missing,
                       int64_t *out);
/* Any value by its truth. */
bool template_take_bool(const template_value *value, bool missing);
bool template_take_text(template_machine *m, const template_value *value, const char *missing,
                        template_text *out);

/* Tables that live in files of their own. */
typedef struct template_builtin_table {
    const template_builtin_row *rows;
    size_t count;
} template_builtin_table;

extern const template_builtin_table template_text_filters;
extern const template_builtin_table template_value_filters;
extern const template_builtin_table template_sequence_filters;
extern const template_builtin_table template_text_methods;
extern const template_builtin_table template_list_methods;
extern const template_builtin_table template_tuple_methods;
extern const template_builtin_table template_dict_methods;
extern const template_builtin_table template_number_methods;
extern const template_builtin_table template_loop_methods;
extern const template_builtin_table template_cycler_methods;

#endif
