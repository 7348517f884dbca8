/* Values that stand at a path instead of in a file: environment variables and --set. Ownership: as
 * in check.h. */
#ifndef CONFIG_ASSIGN_H
#define CONFIG_ASSIGN_H

#include "config/check.h"

/* Lays every TARS__… variable and the short forms of the block on the tree. */
void assign_variables(check_context *c, const schema_node *schema, config_value *tree,
                      const char *const *environment);
/* Lays one value, as a variable says it, on the tree. */
void assign_path(check_context *c, const schema_node *schema, config_value *tree, const char *path,
                 const char *text);
/* Lays "path=value" on the tree. */
void assign_setting(check_context *c, const schema_node *schema, config_value *tree,
                    const char *setting);
/* What variables and settings, the last first, say about deployment.environment; or NULL. */
const char *assign_environment_name(const char *const *environment, const char *const *settings,
                                    size_t n_settings);

/* The parts of a path such as deployment.models."smollm2-1.7b".path, in the caller's memory. */
enum { PATH_MAX_PARTS = 32, PATH_MAX_BYTES = 512 };
typedef struct path_parts {
    char bytes[PATH_MAX_BYTES];
    const char *parts[PATH_MAX_PARTS];
    size_t count;
} path_parts;
/* False for a path that is empty, too long or broken. */
bool path_split(const char *path, size_t length, path_parts *out);

#endif
