/* Attributes, items and slices of values: what a dot and brackets do. */
#ifndef ENGINE_TEMPLATE_ACCESS_H
#define ENGINE_TEMPLATE_ACCESS_H

#include "engine/template/machine.h"

/* base.name: a method or attribute first, then a key; undefined when there is neither. */
bool template_get_attribute(template_machine *m, const template_value *base, template_text name,
                            template_value *out);
/* base[key]: a key or index first, then an attribute. */
bool template_get_item(template_machine *m, const template_value *base, const template_value *key,
                       template_value *out);
/* base[start:stop:step]; a bound that is left out is none. */
bool template_get_slice(template_machine *m, const template_value *base,
                        const template_value *start, const template_value *stop,
                        const template_value *step, template_value *out);
/* The item at the end of a path as filters take it: "a.b.0", an integer, or missing for the value
 * itself. A default (NULL: none) stands for each undefined step. */
bool template_get_path(template_machine *m, const template_value *base, const template_value *path,
                       const template_value *otherwise, template_value *out);

#endif
