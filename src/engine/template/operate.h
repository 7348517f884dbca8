/* What operators do: truth, equality, order, membership, arithmetic; Python's rules. */
#ifndef ENGINE_TEMPLATE_OPERATE_H
#define ENGINE_TEMPLATE_OPERATE_H

#include "engine/template/machine.h"

bool template_truth(const template_value *value);
bool template_equal(template_machine *m, const template_value *a, const template_value *b,
                    bool *out);
/* One of the operators EQUAL … NOT_IN. */
bool template_compare(template_machine *m, template_operator operation, const template_value *a,
                      const template_value *b, bool *out);
/* a < b, for sorting. */
bool template_less(template_machine *m, const template_value *a, const template_value *b,
                   bool *out);
bool template_contains(template_machine *m, const template_value *item,
                       const template_value *container, bool *out);
/* One of the operators ADD … POWER. */
bool template_arithmetic(template_machine *m, template_operator operation, const template_value *a,
                         const template_value *b, template_value *out);
bool template_negate(template_machine *m, const template_value *a, template_value *out);

/* The entry of a key that may be any value that can be hashed, or NULL in *out. */
bool template_dict_find(template_machine *m, const template_dict *dict, const template_value *key,
                        template_entry **out);
/* Adds or replaces an entry. */
bool template_dict_store(template_machine *m, template_dict *dict, const template_value *key,
                         const template_value *value);
template_dict *template_dict_make(template_machine *m, size_t capacity);

#endif
