/* Layers of typed values on each other. Ownership: everything lives in the caller's pool; a layer
 * that was laid on a tree belongs to it. */
#ifndef CONFIG_LAYERS_H
#define CONFIG_LAYERS_H

#include "config/check.h"

/* Lays the map `upper` on the map `lower`: maps key by key, lists and scalars whole, null takes
 * the key away. */
void layers_merge(config_value *lower, config_value *upper);
/* Puts the defaults of the table where nothing is set, also inside named entries and items of
 * lists. */
void layers_fill(check_context *c, const schema_node *schema, config_value *map);
/* Tells every missing required key (C0108). */
void layers_require(check_context *c, const schema_node *schema, const config_value *map);

#endif
