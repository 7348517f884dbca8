/* ${NAME} and ${NAME:-default} in texts of files. Ownership: the result lives in the pool. */
#ifndef CONFIG_INTERPOLATE_H
#define CONFIG_INTERPOLATE_H

#include "config/check.h"

/* Expands once; $$ is a dollar sign, a lone one stays. NULL with a diagnostic (C0110) when a
 * variable is missing or the form is broken. *changed tells whether anything was replaced. */
const char *interpolate(check_context *c, const yaml_node *node, bool *changed);

#endif
