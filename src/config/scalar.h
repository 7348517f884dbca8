/* One text as a value of one type. Ownership: texts that are changed live in the caller's pool. */
#ifndef CONFIG_SCALAR_H
#define CONFIG_SCALAR_H

#include "config/config.h"
#include "config/schema.h"

/* Reads `text` as the type of the row. NULL when it is good, else the code of the diagnostic, with
 * what was expected and found in `why`. A text in quotes (not plain) is no number and no bool. */
const char *scalar_read(const schema_node *schema, const char *text, bool plain, pool *memory,
                        config_value *out, text_buffer *why);
/* "a size such as 64MiB from 16MB to 1GB" */
void scalar_expected(const schema_node *schema, text_buffer *out);
/* Whether the word is among the choices; else `why` lists them and names the nearest. */
bool scalar_choice(const char *const *choices, const char *word, text_buffer *why);
/* The type that YAML itself sees: bool, int, float, null or text. */
void scalar_guess(const char *text, bool plain, config_value *out);

#endif
