/* Work on texts: searching, joining, letter case, stripping. Results share bytes with their source
 * wherever they can. */
#ifndef ENGINE_TEMPLATE_STRING_H
#define ENGINE_TEMPLATE_STRING_H

#include "engine/template/machine.h"

#define TEMPLATE_NOT_FOUND SIZE_MAX

/* Byte offset of the first (last) place of `needle`, or TEMPLATE_NOT_FOUND. */
bool template_find_text(template_machine *m, template_text text, template_text needle,
                        size_t *place);
bool template_find_last_text(template_machine *m, template_text text, template_text needle,
                             size_t *place);
/* a + b; next to a text marked safe the other one is escaped. */
bool template_join_texts(template_machine *m, const template_value *a, const template_value *b,
                         template_value *out);
bool template_repeat_text(template_machine *m, const template_value *text, int64_t times,
                          template_value *out);
/* HTML escapes of & < > ' "; the result is marked safe. A safe text stays as it is. */
bool template_escape(template_machine *m, const template_value *text, template_value *out);

typedef enum template_case {
    CASE_UPPER,
    CASE_LOWER,
    CASE_TITLE,        /* str.title() */
    CASE_TITLE_FILTER, /* Jinja's filter title */
    CASE_CAPITALIZE,
    CASE_SWAP
} template_case;

bool template_convert_case(template_machine *m, const template_value *text, template_case to,
                           template_value *out);

enum { STRIP_LEFT = 1, STRIP_RIGHT = 2, STRIP_BOTH = 3 };
/* Without the characters of `chars` at its ends, or without white space when `chars` is NULL. */
bool template_strip(template_machine *m, const template_value *text, const template_text *chars,
                    unsigned sides, template_value *out);
/* Replaces at most `limit` places (negative: all). */
bool template_replace(template_machine *m, template_text text, template_text old,
                      template_text with, int64_t limit, template_value *out);
/* Byte offset of the character with that index, or the text's length when it has fewer. */
size_t template_offset(template_text text, size_t characters);

#endif
