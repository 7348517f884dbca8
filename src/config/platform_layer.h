/* What the platform at hand brings: folders and service. Ownership: as in check.h. */
#ifndef CONFIG_PLATFORM_LAYER_H
#define CONFIG_PLATFORM_LAYER_H

#include "config/check.h"

/* Lays the platform's own values on the tree. */
void platform_layer_defaults(check_context *c, const schema_node *schema, config_value *tree);
/* Lays TARS_DATA_DIR, TARS_LOG_DIR, TARS_TEMP_DIR and TARS_CONFIG_DIR on the tree. */
void platform_layer_variables(check_context *c, const schema_node *schema, config_value *tree,
                              const char *const *environment);

#endif
