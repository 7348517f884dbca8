#include "base/number.h"

#include "base/big.h"

#include <assert.h>
#include <string.h>

__extension__ typedef unsigned __int128 uint128;

enum {
    HEAD_DIGITS = 19,    /* decimal digits that always fit 64 bits */
    MAX_DIGITS = 770,    /* a point halfway between doubles has at most 767 significant digits */
    MAX_POWER_OF_5 = 27, /* 5^27 < 2^63 */
    DOUBLE_MAX_MAGNITUDE = 309, /* a value with its point after more digits than this is infinite */
    DOUBLE_MIN_MAGNITUDE = -324 /* 0.d… × 10^-324 and below is under half the least denormal */
};

/* ---- scanning ---------------------------------------------------------------------------- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static size_t skip_digits(const char *text, size_t length, size_t i) {
    while (i < length && is_digit(text[i])) {
        i++;
    }
    return i;
}

size_t number_scan(const char *text, size_t length, bool *is_integer) {
    size_t i = length > 0 && text[0] == '-' ? 1 : 0;
    size_t end = skip_digits(text, length, i);
    if (is_integer) {
        *is_integer = true;
    }
    if (end == i) {
        return 0;
    }
    if (text[i] == '0') {
        end = i + 1; /* no digit may follow a leading zero */
    }
    if (end + 1 < length && text[end] == '.' && is_digit(text[end + 1])) {
        end = skip_digits(text, length, end + 1);
        if (is_integer) {
            *is_integer = false;
        }
    }
    if (end < length && (text[end] == 'e' || text[end] == 'E')) {
        i = end + 1;
        if (i < length && (text[i] == '+' || text[i] == '-')) {
            i++;
        }
        if (i < length && is_digit(text[i])) {
            end = skip_digits(text, length, i);
            if (is_integer) {
                *is_integer = false;
            }
        }
    }
    return end;
}

/* A scanned number: value = digits × 10^exponent. The digits run from the first to the last that
 * is not zero. */
typedef struct decimal {
    bool negative;
    const char *first; /* first significant digit in the text; points are skipped on the way */
    uint64_t n_digits; /* significant ones, 0 for zero */
    int64_t exponent;
    uint64_t head; /* value of the first min(n_digits, HEAD_DIGITS) digits */
} decimal;

static int64_t read_exponent(const char *text, size_t length, size_t i) {
    const int64_t limit = INT64_C(1) << 60; /* far beyond any text's length */
    bool negative = i < length && text[i] == '-';
    if (i < length && (text[i] == '-' || text[i] == '+')) {
        i++;
    }
    int64_t value = 0;
    for (; i < length && is_digit(text[i]); i++) {
        value = value < limit / 10 ? value * 10 + (text[i] - '0') : limit;
    }
    return negative ? -value : value;
}

static decimal read_decimal(const char *text, size_t length) {
    decimal d = {.negative = length > 0 && text[0] == '-'};
    size_t i = d.negative ? 1 : 0;
    bool after_point = false;
    uint64_t zeros = 0; /* digits 0 since the last other digit */
    for (; i < length && (is_digit(text[i]) || text[i] == '.'); i++) {
        if (text[i] == '.') {
            after_point = true;
            continue;
        }
        d.exponent -= after_point ? 1 : 0;
        if (text[i] == '0') {
            zeros += d.n_digits > 0 ? 1 : 0;
            continue;
        }
        if (d.n_digits == 0) {
            d.first = text + i;
        }
        for (uint64_t n = d.n_digits; n < d.n_digits + zeros && n < HEAD_DIGITS; n++) {
            d.head *= 10;
        }
        d.n_digits += zeros;
        zeros = 0;
        if (d.n_digits < HEAD_DIGITS) {
            d.head = d.head * 10 + (uint64_t)(text[i] - '0');
        }
        d.n_digits++;
    }
    d.exponent += (int64_t)zeros;
    if (i < length) {
        d.exponent += read_exponent(text, length, i + 1);
    }
    return d;
}

bool number_to_int64(const char *text, size_t length, int64_t *out) {
    bool negative = length > 0 && text[0] == '-';
    uint64_t value = 0;
    for (size_t i = negative ? 1 : 0; i < length; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (value > (uint64_t)INT64_MAX + (negative ? 1u : 0u)) {
        return false;
    }
    *out = (int64_t)(negative ? 0u - value : value);
    return true;
}

/* ---- text to double ---------------------------------------------------------------------- */

static double double_of_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Bits of the double nearest to (mantissa + something below 1 unit if `more`) × 2^exponent.
 * mantissa has its highest bit set. May be the bits of infinity. */
static uint64_t round_to_double(uint64_t mantissa, bool more, int64_t exponent) {
    int64_t top = exponent + 63; /* the value lies in [2^top, 2^(top + 1)) */
    if (top > 1023) {
        return UINT64_C(0x7FF) << 52;
    }
    if (top < -1075) {
        return 0;
    }
    int precision = top >= -1022 ? 53 : (int)(53 + 1022 + top); /* 0 … 53 bits are kept */
    int dropped = 64 - precision;                               /* 11 … 64 */
    uint64_t kept = dropped == 64 ? 0 : mantissa >> dropped;
    uint64_t rest = dropped == 64 ? mantissa : mantissa & ((UINT64_C(1) << dropped) - 1);
    uint64_t half = UINT64_C(1) << (dropped - 1);
    if (rest > half || (rest == half && (more || (kept & 1u) != 0))) {
        kept++; /* a carry moves into the exponent's bits, which is right */
    }
    return top >= -1022 ? ((uint64_t)(top + 1022) << 52) + kept : kept;
}

/* As round_to_double for any value but 0. */
static uint64_t round_wide(uint128 value, bool more, int64_t exponent) {
    uint64_t high = (uint64_t)(value >> 64);
    uint64_t low = (uint64_t)value;
    if (high == 0) {
        assert(!more); /* only quotients leave a rest, and they have more than 64 bits */
        int shift = __builtin_clzll(low);
        return round_to_double(low << shift, false, exponent - shift);
    }
    int shift = __builtin_clzll(high);
    uint128 normal = value << shift;
    return round_to_double((uint64_t)(normal >> 64), more || (uint64_t)normal != 0,
                           exponent - shift + 64);
}

static uint64_t power_of_5(unsigned exponent) {
    uint64_t power = 1;
    for (; exponent > 0; exponent--) {
        power *= 5;
    }
    return power;
}

/* At most 19 digits, |exponent| ≤ 27: everything fits 128 bits exactly. */
static uint64_t convert_short(const decimal *d) {
    if (d->exponent >= 0) {
        return round_wide((uint128)d->head * power_of_5((unsigned)d->exponent), false, d->exponent);
    }
    int shift = __builtin_clzll(d->head);
    uint64_t divisor = power_of_5((unsigned)-d->exponent);
    uint128 numerator = (uint128)(d->head << shift) << 64;
    uint128 quotient = numerator / divisor; /* at least 2^64 */
    return round_wide(quotient, quotient * divisor != numerator, d->exponent - shift - 64);
}

/* The digits as an integer; *n_used of them, *more when others that are not zero were left out. */
static void read_digits(const decimal *d, big *value, uint64_t *n_used) {
    *n_used = d->n_digits < MAX_DIGITS ? d->n_digits : MAX_DIGITS;
    big_set(value, 0);
    uint64_t n = 0;
    for (const char *p = d->first; n < *n_used; p++) {
        if (*p != '.') {
            big_multiply_add(value, 10, (uint32_t)(*p - '0'));
            n++;
        }
    }
}

/* The first 64 bits of numerator / denominator, bit by bit. */
static uint64_t divide_64_bits(big *numerator, big *denominator, int64_t *exponent, bool *more) {
    int shift = (int)big_bit_length(denominator) - (int)big_bit_length(numerator);
    big_shift_left(shift > 0 ? numerator : denominator, (unsigned)(shift > 0 ? shift : -shift));
    if (big_compare(numerator, denominator) < 0) {
        big_shift_left(numerator, 1);
        shift++;
    }
    uint64_t quotient = 0; /* numerator / denominator is in [1, 2) now */
    for (int i = 0; i < 64; i++) {
        quotient <<= 1;
        if (big_compare(numerator, denominator) >= 0) {
            big_subtract(numerator, denominator);
            quotient |= 1;
        }
        big_shift_left(numerator, 1);
    }
    *more = numerator->n_limbs > 0;
    *exponent = -63 - (int64_t)shift;
    return quotient;
}

static uint64_t convert_long(const decimal *d) {
    big numerator;
    uint64_t n_used;
    read_digits(d, &numerator, &n_used);
    int64_t exponent = d->exponent + (int64_t)(d->n_digits - n_used);
    big denominator;
    big_set(&denominator, 1);
    if (exponent >= 0) {
        big_multiply_power_of_5(&numerator, (unsigned)exponent);
    } else {
        big_multiply_power_of_5(&denominator, (unsigned)-exponent);
    }
    int64_t binary_exponent;
    bool more;
    uint64_t mantissa = divide_64_bits(&numerator, &denominator, &binary_exponent, &more);
    return round_to_double(mantissa, more || n_used < d->n_digits, binary_exponent + exponent);
}

bool number_to_double(const char *text, size_t length, double *out) {
    decimal d = read_decimal(text, length);
    int64_t magnitude = d.exponent + (int64_t)d.n_digits; /* value = 0.d… × 10^magnitude */
    const uint64_t infinity = UINT64_C(0x7FF) << 52;
    uint64_t bits;
    if (d.n_digits == 0 || magnitude < DOUBLE_MIN_MAGNITUDE + 1) {
        bits = 0;
    } else if (magnitude > DOUBLE_MAX_MAGNITUDE) {
        bits = infinity;
    } else if (d.n_digits <= HEAD_DIGITS && d.exponent >= -MAX_POWER_OF_5 &&
               d.exponent <= MAX_POWER_OF_5) {
        bits = convert_short(&d);
    } else {
        bits = convert_long(&d);
    }
    *out = double_of_bits(bits | (d.negative ? UINT64_C(1) << 63 : 0));
    return bits != infinity;
}

/* ---- to text ----------------------------------------------------------------------------- */

/* Decimal digits (not their characters) and where the point is: 0.d1d2… × 10^point. */
typedef struct digit_text {
    uint8_t digits[24];
    int n_digits;
    int point;
} digit_text;

/* A positive binary number mantissa × 2^exponent and whether its lower neighbour is nearer than
 * the upper one, which is so at powers of two. */
typedef struct binary {
    uint64_t mantissa;
    int exponent;
    bool lower_is_nearer;
} binary;

/* value = r / s; low and high are half the distances to the neighbours, in units of 1 / s. */
typedef struct fraction {
    big r, s, low, high;
    bool bounds_belong; /* an even mantissa: a text exactly at a bound reads back to it */
} fraction;

static void set_fraction(fraction *f, const binary *b) {
    unsigned extra = b->lower_is_nearer ? 2 : 1;
    unsigned up = b->exponent > 0 ? (unsigned)b->exponent : 0;
    unsigned down = b->exponent < 0 ? (unsigned)-b->exponent : 0;
    big_set(&f->r, b->mantissa);
    big_shift_left(&f->r, up + extra);
    big_set(&f->s, 1);
    big_shift_left(&f->s, down + extra);
    big_set(&f->low, 1);
    big_shift_left(&f->low, up);
    big_set(&f->high, 1);
    big_shift_left(&f->high, up + extra - 1);
    f->bounds_belong = (b->mantissa & 1u) == 0;
}

static void scale_by_10(fraction *f) {
    big_multiply_add(&f->r, 10, 0);
    big_multiply_add(&f->low, 10, 0);
    big_multiply_add(&f->high, 10, 0);
}

static bool reaches_high(const fraction *f) {
    int order = big_compare_sum(&f->r, &f->high, &f->s);
    return order > 0 || (order == 0 && f->bounds_belong);
}

/* Divides by the power of ten that brings the value into [0.1, 1). Returns that power. */
static int scale_fraction(fraction *f, const binary *b) {
    int top = b->exponent + 63 - __builtin_clzll(b->mantissa);
    /* floor(top · log10 2) + 1, at most the power sought and at least one less */
    int point = (int)(((int64_t)top * INT64_C(1292913986)) >> 32) + 1;
    if (point >= 0) {
        big_multiply_power_of_5(&f->s, (unsigned)point);
        big_shift_left(&f->s, (unsigned)point);
    } else {
        big *scaled[3] = {&f->r, &f->low, &f->high};
        for (int i = 0; i < 3; i++) {
            big_multiply_power_of_5(scaled[i], (unsigned)-point);
            big_shift_left(scaled[i], (unsigned)-point);
        }
    }
    if (reaches_high(f)) {
        big_multiply_add(&f->s, 10, 0);
        point++;
    }
    return point;
}

/* Steele and White's free-format conversion, exact: emits digits until what is left is within the
 * interval that reads back to the value. */
static void shortest_digits(const binary *b, digit_text *out) {
    fraction f;
    set_fraction(&f, b);
    out->point = scale_fraction(&f, b);
    out->n_digits = 0;
    for (;;) {
        scale_by_10(&f);
        uint8_t digit = 0;
        while (big_compare(&f.r, &f.s) >= 0) {
            big_subtract(&f.r, &f.s);
            digit++;
        }
        int order = big_compare(&f.r, &f.low);
        bool low = order < 0 || (order == 0 && f.bounds_belong);
        bool high = reaches_high(&f);
        assert(digit <= 9 && out->n_digits < 20);
        if (low || high) {
            big_shift_left(&f.r, 1);
            int half = big_compare(&f.r, &f.s);
            bool up = low && high ? half > 0 || (half == 0 && (digit & 1u) != 0) : high;
            out->digits[out->n_digits++] = (uint8_t)(digit + (up ? 1 : 0));
            return;
        }
        out->digits[out->n_digits++] = digit;
    }
}

/* Integers below 2^53 are farther apart than their rounding intervals are wide: their own digits
 * without trailing zeros are the shortest ones. */
static void integer_digits(uint64_t value, digit_text *out) {
    char text[NUMBER_MAX_BYTES];
    size_t length = number_from_uint64(value, text);
    out->point = (int)length;
    while (length > 1 && text[length - 1] == '0') {
        length--;
    }
    out->n_digits = (int)length;
    for (size_t i = 0; i < length; i++) {
        out->digits[i] = (uint8_t)(text[i] - '0');
    }
}

static size_t put_exponent(char *out, int exponent) {
    size_t n = 0;
    out[n++] = 'e';
    out[n++] = exponent < 0 ? '-' : '+';
    return n + number_from_uint64((uint64_t)(exponent < 0 ? -exponent : exponent), out + n);
}

/* ECMA-262 § 6.1.6.1.20, with n = point and k = n_digits. */
static size_t layout(const digit_text *d, char *out) {
    bool plain = d->point > -6 && d->point <= 21;
    int point = plain ? d->point : 1;
    size_t n = 0;
    if (point <= 0) {
        out[n++] = '0';
        out[n++] = '.';
        for (int i = point; i < 0; i++) {
            out[n++] = '0';
        }
    }
    for (int i = 0; i < d->n_digits; i++) {
        if (i == point && i > 0) {
            out[n++] = '.';
        }
        out[n++] = (char)('0' + d->digits[i]);
    }
    for (int i = d->n_digits; i < point; i++) {
        out[n++] = '0';
    }
    if (!plain) {
        n += put_exponent(out + n, d->point - 1);
    }
    out[n] = '\0';
    return n;
}

static size_t copy_text(char *out, const char *text) {
    size_t length = strlen(text);
    memcpy(out, text, length + 1);
    return length;
}

size_t number_from_double(double value, char *out) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bool negative = (bits >> 63) != 0;
    uint64_t fraction_bits = bits & ((UINT64_C(1) << 52) - 1);
    int biased = (int)((bits >> 52) & 0x7FFu);
    if (biased == 0x7FF) {
        return copy_text(out, fraction_bits != 0 ? "nan" : negative ? "-inf" : "inf");
    }
    size_t sign = negative ? 1 : 0;
    out[0] = '-';
    if (biased == 0 && fraction_bits == 0) {
        return sign + copy_text(out + sign, "0");
    }
    binary b = {.mantissa = biased == 0 ? fraction_bits : fraction_bits | (UINT64_C(1) << 52),
                .exponent = biased == 0 ? -1074 : biased - 1075,
                .lower_is_nearer = fraction_bits == 0 && biased > 1};
    digit_text digits;
    double magnitude = negative ? -value : value;
    if (magnitude < 9007199254740992.0 && magnitude == (double)(uint64_t)magnitude) {
        integer_digits((uint64_t)magnitude, &digits);
    } else {
        shortest_digits(&b, &digits);
    }
    return sign + layout(&digits, out + sign);
}

size_t number_from_float(float value, char *out) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t fraction_bits = bits & 0x7FFFFFu;
    int biased = (int)((bits >> 23) & 0xFFu);
    if (biased == 0xFF || (bits << 1) == 0) {
        return number_from_double((double)value, out);
    }
    binary b = {.mantissa = biased == 0 ? fraction_bits : fraction_bits | 0x800000u,
                .exponent = biased == 0 ? -149 : biased - 150,
                .lower_is_nearer = fraction_bits == 0 && biased > 1};
    digit_text digits;
    shortest_digits(&b, &digits);
    size_t sign = bits >> 31;
    out[0] = '-';
    size_t length = sign + layout(&digits, out + sign);
    /* Readers go through double. Two roundings can differ from one for a text very near a bound:
     * then the double's own digits, which survive both. */
    double reread;
    if (!number_to_double(out, length, &reread) || (float)reread != value) {
        return number_from_double((double)value, out);
    }
    return length;
}

size_t number_from_uint64(uint64_t value, char *out) {
    char reversed[20];
    size_t n = 0;
    do {
        reversed[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < n; i++) {
        out[i] = reversed[n - 1 - i];
    }
    out[n] = '\0';
    return n;
}

size_t number_from_int64(int64_t value, char *out) {
    if (value >= 0) {
        return number_from_uint64((uint64_t)value, out);
    }
    out[0] = '-';
    return 1 + number_from_uint64(0u - (uint64_t)value, out + 1);
}
