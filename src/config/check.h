/* From YAML to typed values: every key and value of one source against the table of keys.
 * Ownership: results live in the caller's pool, what is wrong goes into the caller's list. */
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config/config.h"
#include "config/schema.h"
#include "config/yaml.h"

typedef struct check_context {
    pool *memory;
    config_diagnostics *problems;
    const char *const *environment; /* for ${NAME}; NULL: texts stay as they are */
    const char *file;               /* a file, a variable or an option; lives as the pool does */
    config_layer layer;
    text_buffer path; /* of the value at hand */
    char path_bytes[512];
} check_context;

void check_begin(check_context *c, pool *memory, config_diagnostics *problems);
/* The typed form of a file's value, or NULL when it was refused (what is good in it is kept: only
 * the bad parts are missing). A null becomes CONFIG_NULL, which takes the layer below back to the
 * default. */
config_value *check_node(check_context *c, const schema_node *schema, const yaml_node *node);
/* The typed form of a text that has no YAML types: lists are comma-separated or JSON, maps JSON.
 * NULL when refused. */
config_value *check_text(check_context *c, const schema_node *schema, const char *text);
/* Adds a diagnostic at the current path. */
void check_refuse(check_context *c, const char *code, int line, int column, const char *format, ...)
    BASE_PRINTF(5, 6);
/* Enters a name, or an item of a list when it is NULL; returns what check_leave needs. */
size_t check_enter(check_context *c, const char *name, size_t index);
void check_leave(check_context *c, size_t mark);
/* "expected one of a, b", with the nearest of the children's names. */
void check_unknown(check_context *c, const schema_node *schema, const char *key, int line,
                   int column);
/* Whether a name of a map "*" is permitted (C0109). */
bool check_name(check_context *c, const schema_node *child, const char *name, int line, int column);
/* Value of a variable in the block, or NULL when it is unset or empty. */
const char *check_variable(const char *const *environment, const char *name, size_t length);

void value_append(config_value *parent, config_value *child);

#endif
