#include "engine/template/number.h"

#include "base/number.h"

#include <string.h>

static uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

bool template_is_finite(double value) {
    return ((bits_of(value) >> 52) & 0x7FFu) != 0x7FFu;
}

bool template_is_negative(double value) {
    return bits_of(value) >> 63 != 0;
}

/* ---- repr ---------------------------------------------------------------------------------- */

static size_t put_string(char *out, size_t n, const char *text, size_t length) {
    memcpy(out + n, text, length);
    return n + length;
}

static size_t put_zeros(char *out, size_t n, int count) {
    for (int i = 0; i < count; i++) {
        out[n++] = '0';
    }
    return n;
}

/* "e-05": at least two digits */
static size_t put_exponent(char *out, size_t n, int exponent) {
    out[n++] = 'e';
    out[n++] = exponent < 0 ? '-' : '+';
    int magnitude = exponent < 0 ? -exponent : exponent;
    if (magnitude >= 100) {
        out[n++] = (char)('0' + magnitude / 100);
    }
    out[n++] = (char)('0' + magnitude / 10 % 10);
    out[n++] = (char)('0' + magnitude % 10);
    return n;
}

/* The significant digits of number_from_double's text, and the place of the point before them:
 * 0.digits × 10^point. */
static size_t split_digits(const char *text, size_t length, char *digits, int *point) {
    size_t count = 0;
    int before_point = 0;
    bool after_point = false;
    size_t i = 0;
    for (; i < length && text[i] != 'e'; i++) {
        if (text[i] == '.') {
            after_point = true;
            continue;
        }
        if (text[i] == '0' && count == 0) {
            before_point -= after_point ? 1 : 0;
            continue;
        }
        digits[count++] = text[i];
        before_point += after_point ? 0 : 1;
    }
    int exponent = 0;
    bool negative = i + 1 < length && text[i + 1] == '-';
    for (i += 1; i < length; i++) {
        if (text[i] >= '0' && text[i] <= '9') {
            exponent = exponent * 10 + (text[i] - '0');
        }
    }
    while (count > 0 && digits[count - 1] == '0') {
        count--;
    }
    *point = before_point + (negative ? -exponent : exponent);
    return count;
}

size_t template_float_repr(double value, char *out) {
    char text[NUMBER_MAX_BYTES];
    char digits[NUMBER_MAX_BYTES];
    size_t n = 0;
    if (template_is_negative(value) && value == value) {
        out[n++] = '-';
        value = -value;
    }
    size_t length = number_from_double(value, text);
    if (!template_is_finite(value)) {
        n = put_string(out, n, text, length);
        out[n] = '\0';
        return n;
    }
    int point;
    size_t count = split_digits(text, length, digits, &point);
    if (count == 0) {
        n = put_string(out, n, "0.0", 3);
    } else if (point > -4 && point <= 16) {
        if (point <= 0) {
            n = put_string(out, n, "0.", 2);
            n = put_zeros(out, n, -point);
            n = put_string(out, n, digits, count);
        } else if ((size_t)point >= count) {
            n = put_string(out, n, digits, count);
            n = put_zeros(out, n, point - (int)count);
            n = put_string(out, n, ".0", 2);
        } else {
            n = put_string(out, n, digits, (size_t)point);
            out[n++] = '.';
            n = put_string(out, n, digits + point, count - (size_t)point);
        }
    } else {
        out[n++] = digits[0];
        if (count > 1) {
            out[n++] = '.';
            n = put_string(out, n, digits + 1, count - 1);
        }
        n = put_exponent(out, n, point - 1);
    }
    out[n] = '\0';
    return n;
}

/* ---- exact digits -------------------------------------------------------------------------- */

enum {
    INTEGER_LIMBS = 36,  /* of base 10^9: 309 digits */
    FRACTION_WORDS = 35, /* of 32 bits: 1074 bits after the point */
    LIMB_BASE = 1000000000
};

static void append_digit(template_digits *d, char digit) {
    if (d->count == 0 && digit == '0') {
        return;
    }
    if (d->count < NUMBER_MAX_DIGITS) {
        d->digits[d->count++] = digit;
    }
}

/* Appends a limb as 9 digits and counts those before the point. */
static void append_limb(template_digits *d, uint32_t limb, bool before_point) {
    for (uint32_t power = LIMB_BASE / 10; power > 0; power /= 10) {
        append_digit(d, (char)('0' + limb / power % 10));
        if (before_point && d->count > 0) {
            d->point++;
        } else if (!before_point && d->count == 0) {
            d->point--;
        }
    }
}

static void append_integer(template_digits *d, uint64_t mantissa, int shift) {
    uint32_t limbs[INTEGER_LIMBS] = {0};
    size_t count = 0;
    for (; mantissa > 0; mantissa /= LIMB_BASE) {
        limbs[count++] = (uint32_t)(mantissa % LIMB_BASE);
    }
    while (shift > 0) {
        int step = shift < 29 ? shift : 29;
        uint64_t carry = 0;
        for (size_t i = 0; i < count; i++) {
            uint64_t value = ((uint64_t)limbs[i] << step) + carry;
            limbs[i] = (uint32_t)(value % LIMB_BASE);
            carry = value / LIMB_BASE;
        }
        if (carry > 0) {
            limbs[count++] = (uint32_t)carry;
        }
        shift -= step;
    }
    while (count > 0) {
        append_limb(d, limbs[--count], true);
    }
}

/* mantissa × 2^-shift with mantissa < 2^shift. */
static void append_fraction(template_digits *d, uint64_t mantissa, int shift) {
    uint32_t words[FRACTION_WORDS + 2] = {0}; /* lowest first; the point lies above the last */
    size_t count = ((size_t)shift + 31) / 32;
    unsigned offset = (unsigned)(count * 32 - (size_t)shift);
    words[0] = (uint32_t)(mantissa << offset);
    words[1] = (uint32_t)((mantissa << offset) >> 32);
    words[2] = offset > 0 ? (uint32_t)(mantissa >> (64 - offset)) : 0;
    bool more = true;
    while (more) {
        uint64_t carry = 0;
        more = false;
        for (size_t i = 0; i < count; i++) {
            uint64_t value = (uint64_t)words[i] * LIMB_BASE + carry;
            words[i] = (uint32_t)value;
            carry = value >> 32;
            more = more || words[i] != 0;
        }
        append_limb(d, (uint32_t)carry, false);
    }
}

void template_exact_digits(double value, template_digits *out) {
    uint64_t bits = bits_of(value);
    int exponent = (int)((bits >> 52) & 0x7FFu);
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    out->negative = bits >> 63 != 0;
    out->point = 0;
    out->count = 0;
    if (exponent > 0) {
        mantissa |= UINT64_C(1) << 52;
    } else {
        exponent = 1;
    }
    exponent -= 1075; /* value = mantissa × 2^exponent */
    if (mantissa == 0) {
        return;
    }
    if (exponent >= 0) {
        append_integer(out, mantissa, exponent);
    } else if (exponent <= -64) {
        append_fraction(out, mantissa, -exponent);
    } else {
        uint64_t whole = mantissa >> -exponent;
        append_integer(out, whole, 0);
        uint64_t rest = mantissa & ((UINT64_C(1) << -exponent) - 1);
        if (rest > 0) {
            append_fraction(out, rest, -exponent);
        }
    }
    while (out->count > 0 && out->digits[out->count - 1] == '0') {
        out->count--;
    }
}

void template_round_digits(template_digits *d, int keep) {
    if (keep >= 0 && (size_t)keep >= d->count) {
        return;
    }
    if (keep < 0 || d->count == 0) {
        d->count = 0;
        return;
    }
    size_t kept = (size_t)keep;
    char next = d->digits[kept];
    bool exactly_half = next == '5' && kept + 1 == d->count;
    bool last_is_odd = kept > 0 && ((d->digits[kept - 1] - '0') & 1) != 0;
    bool up = exactly_half ? last_is_odd : next >= '5';
    d->count = kept;
    while (up && d->count > 0 && d->digits[d->count - 1] == '9') {
        d->count--;
    }
    if (up && d->count > 0) {
        d->digits[d->count - 1]++;
    } else if (up) {
        d->digits[d->count++] = '1';
        d->point++;
    }
    while (d->count > 0 && d->digits[d->count - 1] == '0') {
        d->count--;
    }
}

/* ---- arithmetic ---------------------------------------------------------------------------- */

double template_floor(double value) {
    if (!(value > -4503599627370496.0 && value < 4503599627370496.0)) {
        return value; /* whole already, or not finite */
    }
    double whole = (double)(int64_t)value;
    if (whole > value) {
        whole -= 1.0;
    }
    return whole == 0.0 && template_is_negative(value) ? -0.0 : whole;
}

double template_fmod(double x, double y) {
    bool negative = template_is_negative(x);
    double a = negative ? -x : x;
    double b = template_is_negative(y) ? -y : y;
    while (a >= b) { /* each round takes b's largest fitting multiple by a power of two away */
        uint64_t scaled = bits_of(b);
        uint64_t exponent_a = bits_of(a) >> 52;
        uint64_t exponent_b = scaled >> 52;
        if (exponent_b > 0 && exponent_a > exponent_b) {
            scaled += (exponent_a - exponent_b) << 52;
        }
        double part;
        memcpy(&part, &scaled, sizeof part);
        if (part > a) {
            scaled -= UINT64_C(1) << 52;
            memcpy(&part, &scaled, sizeof part);
        }
        a -= part;
    }
    return negative ? -a : a;
}

int template_compare_int_float(int64_t a, double b) {
    if (b != b) {
        return 2;
    }
    if (b >= 9223372036854775808.0) {
        return -1;
    }
    if (b < -9223372036854775808.0) {
        return 1;
    }
    int64_t whole = (int64_t)b; /* towards zero */
    if (a != whole) {
        return a < whole ? -1 : 1;
    }
    double rest = b - (double)whole;
    return rest > 0.0 ? -1 : rest < 0.0 ? 1 : 0;
}

double template_round(double value, int precision) {
    if (!template_is_finite(value) || precision > 400) {
        return value;
    }
    template_digits d;
    template_exact_digits(value, &d);
    int64_t keep = (int64_t)d.point + precision;
    template_round_digits(&d, keep < -1                  ? -1
                              : keep > NUMBER_MAX_DIGITS ? NUMBER_MAX_DIGITS
                                                         : (int)keep);
    double rounded = 0.0;
    if (d.count > 0) {
        char text[NUMBER_MAX_DIGITS + 8];
        memcpy(text, d.digits, d.count);
        size_t n = put_exponent(text, d.count, d.point - (int)d.count);
        number_to_double(text, n, &rounded);
    }
    return d.negative ? -rounded : rounded;
}
