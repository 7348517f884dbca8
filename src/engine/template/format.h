/* Python's two ways of formatting: 'text %s' % values and 'text {}'.format(values). */
#ifndef ENGINE_TEMPLATE_FORMAT_H
#define ENGINE_TEMPLATE_FORMAT_H

#include "engine/template/machine.h"

enum { FORMAT_MAX_PRECISION = 1000, FORMAT_MAX_WIDTH = 1000000 };

bool template_format_percent(template_machine *m, const template_value *format,
                             const template_value *values, template_value *out);
bool template_format_braces(template_machine *m, const template_value *format,
                            const template_arguments *arguments, template_value *out);

/* ---- shared by both ---- */

/* The digits of a value that is not negative. type: f F e E g G, or r: as g with a point in every
 * number; precision from 0. `alternate` keeps the point and, for g, trailing zeros. */
bool template_format_float(template_machine *m, double value, char type, int precision,
                           bool alternate, template_text *out);
/* The digits of an integer without its sign, in base 2, 8, 10 or 16. */
bool template_format_integer(template_machine *m, int64_t value, unsigned base, bool upper,
                             template_text *out);

/* How a text is put into a field. */
typedef struct template_field {
    template_text fill; /* one character */
    char align;         /* '<' '>' '^', or '=': between sign and digits */
    size_t width;
} template_field;

/* Writes sign and body padded to the field. */
bool template_write_field(template_machine *m, template_writer *writer, const template_field *field,
                          template_text sign, template_text body);

#endif
