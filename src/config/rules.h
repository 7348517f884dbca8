/* Rules between keys, which no single row can say. Ownership: as in check.h. */
#ifndef CONFIG_RULES_H
#define CONFIG_RULES_H

#include "config/check.h"

typedef struct rules_options {
    bool insecure; /* see config_options */
} rules_options;

/* Checks the merged tree, with its defaults, against every rule. */
void rules_check(const config_value *root, const rules_options *options,
                 config_diagnostics *problems);

#endif
