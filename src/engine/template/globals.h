/* Global functions and the objects they make. */
#ifndef ENGINE_TEMPLATE_GLOBALS_H
#define ENGINE_TEMPLATE_GLOBALS_H

#include "engine/template/machine.h"

typedef struct template_cycler {
    template_items items;
    size_t position;
} template_cycler;

typedef struct template_joiner {
    template_text separator;
    bool used;
} template_joiner;

/* The global of that name, or missing. */
template_value template_global(template_text name);
/* False: a cycler has no such attribute. */
bool template_cycler_attribute(const template_cycler *cycler, template_text name,
                               template_value *out);
bool template_call_joiner(template_machine *m, template_joiner *joiner,
                          const template_arguments *arguments, template_value *out);

#endif
