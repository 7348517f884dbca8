/* Rules between keys, which no single row can say. Ownership: as in check.h. */
#ifndef CONFIG_RULES_H
#define CONFIG_RULES_H

#include "config/check.h"

typedef struct rules {
    const config_value *root;
    config_diagnostics *problems;
    pool *memory;
    bool insecure; /* see config_options */
} rules;

/* Checks the merged tree, with its defaults, against every rule. */
void rules_check(const rules *r);
/* The part of it that looks at the two files of the organisation. */
void rules_check_organization(const rules *r);
/* The part of it that looks at names of calls. */
void rules_check_calls(const rules *r);

/* The value at a path of plain names, or NULL. */
const config_value *rules_at(const rules *r, const char *path);
void rules_tell(const rules *r, const char *code, const config_value *value, const char *path,
                const char *format, ...) BASE_PRINTF(5, 6);
/* Calls `visit` for each entry of the map or list at a path, with the entry's own path. */
typedef void (*rules_visit)(const rules *r, const config_value *entry, const char *path);
void rules_each(const rules *r, const char *path, rules_visit visit);
/* The same for the map or list `value`, whose path is given. */
void rules_each_in(const rules *r, const config_value *value, const char *path, rules_visit visit);

#endif
