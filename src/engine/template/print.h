/* Values as text: Python's str() and repr(), and JSON as json.dumps writes it. */
#ifndef ENGINE_TEMPLATE_PRINT_H
#define ENGINE_TEMPLATE_PRINT_H

#include "engine/template/machine.h"

/* str(value); undefined gives nothing. */
bool template_print(template_machine *m, template_writer *writer, const template_value *value);
bool template_repr(template_machine *m, template_writer *writer, const template_value *value);
/* str(value) as a string value; strings stay as they are, with their mark. */
bool template_to_string(template_machine *m, const template_value *value, template_value *out);
/* As template_to_string without the mark `safe`. */
bool template_to_plain(template_machine *m, const template_value *value, template_value *out);

typedef struct template_json_options {
    bool has_indent;
    template_text indent; /* of one level */
    template_text item_separator;
    template_text key_separator;
    bool ensure_ascii;
    bool sort_keys;
} template_json_options;

bool template_json(template_machine *m, template_writer *writer, const template_value *value,
                   const template_json_options *options);

#endif
