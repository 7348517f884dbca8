/* Numbers as Python prints and computes them, without libm. Ownership: nothing is allocated. */
#ifndef ENGINE_TEMPLATE_NUMBER_H
#define ENGINE_TEMPLATE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NUMBER_REPR_BYTES = 40,  /* longest text of template_float_repr, with its NUL */
    NUMBER_MAX_DIGITS = 1100 /* significant decimal digits of a double, exactly */
};

/* repr(value): the shortest text that reads back, e.g. 21.5, 1e-05, 1e+16, inf, nan. */
size_t template_float_repr(double value, char *out);

/* The exact decimal digits of a finite value: 0.d1 d2 d3… × 10^point. Zero has no digits. */
typedef struct template_digits {
    bool negative;
    int point;
    size_t count;
    char digits[NUMBER_MAX_DIGITS]; /* characters '0' … '9', the first one not '0' */
} template_digits;

void template_exact_digits(double value, template_digits *out);
/* Keeps `keep` digits (may be 0 or less), rounding half to even. */
void template_round_digits(template_digits *d, int keep);

bool template_is_finite(double value);
bool template_is_negative(double value); /* the sign bit, also of -0.0 */
double template_floor(double value);
/* C's fmod for finite x and y, y not 0: exact. */
double template_fmod(double x, double y);
/* -1, 0, 1, or 2 when one is NaN. Exact for all pairs. */
int template_compare_int_float(int64_t a, double b);
/* Nearest value with `precision` digits after the point, as Python's round(). */
double template_round(double value, int precision);

#endif
