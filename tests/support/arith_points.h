/* The engine's functions as a table, and the points where they are tested: the same for the test
 * and for tools/arith_accuracy.c, which writes the test's expected values. Points are made by
 * integer and exactly rounded operations, so they are the same on every target. Ownership: plain
 * values. */
#ifndef TESTS_ARITH_POINTS_H
#define TESTS_ARITH_POINTS_H

#include "engine/arith.h"

#include <stddef.h>

/* Exactly one of the four is there. */
typedef struct arith_case {
    const char *name;
    float (*single)(float);
    float (*single_2)(float, float);
    double (*real)(double);
    double (*real_2)(double, double);
    double low, high;     /* half of the points are spread evenly over this range of x */
    double low_2, high_2; /* and over this one of the second argument */
    int exponents;        /* a quarter has magnitudes 2^±exponents */
} arith_case;

typedef struct arith_point {
    double x, y; /* floats when the function is single */
} arith_point;

static const arith_case arith_cases[] = {
    {.name = "exp", .single = arith_exp, .low = -90, .high = 90, .exponents = 7},
    {.name = "sigmoid", .single = arith_sigmoid, .low = -90, .high = 90, .exponents = 7},
    {.name = "silu", .single = arith_silu, .low = -90, .high = 90, .exponents = 7},
    {.name = "tanh", .single = arith_tanh, .low = -10, .high = 10, .exponents = 20},
    {.name = "erf", .single = arith_erf, .low = -4.1, .high = 4.1, .exponents = 20},
    {.name = "gelu_erf", .single = arith_gelu_erf, .low = -6, .high = 6, .exponents = 20},
    {.name = "gelu_tanh", .single = arith_gelu_tanh, .low = -10, .high = 10, .exponents = 20},
    {.name = "log", .single = arith_log, .low = 0, .high = 2, .exponents = 120},
    {.name = "sin", .single = arith_sin, .low = -100, .high = 100, .exponents = 120},
    {.name = "cos", .single = arith_cos, .low = -100, .high = 100, .exponents = 120},
    {.name = "pow",
     .single_2 = arith_pow,
     .low = 0.1,
     .high = 9,
     .low_2 = -50,
     .high_2 = 50,
     .exponents = 6},
    {.name = "exp64", .real = arith_exp64, .low = -750, .high = 715, .exponents = 10},
    {.name = "log64", .real = arith_log64, .low = 0.5, .high = 2, .exponents = 1000},
    {.name = "pow64",
     .real_2 = arith_pow64,
     .low = 0.1,
     .high = 9,
     .low_2 = -330,
     .high_2 = 330,
     .exponents = 9},
    {.name = "sin64", .real = arith_sin64, .low = -1e5, .high = 1e5, .exponents = 1000},
    {.name = "cos64", .real = arith_cos64, .low = -1e5, .high = 1e5, .exponents = 1000},
    {.name = "tan64", .real = arith_tan64, .low = -10, .high = 10, .exponents = 1000},
    {.name = "atan2_64",
     .real_2 = arith_atan2_64,
     .low = -2,
     .high = 2,
     .low_2 = -2,
     .high_2 = 2,
     .exponents = 30},
    {.name = "sinh64", .real = arith_sinh64, .low = -3, .high = 3, .exponents = 10},
    {.name = "cosh64", .real = arith_cosh64, .low = -3, .high = 3, .exponents = 10},
    {.name = "tanh64", .real = arith_tanh64, .low = -3, .high = 3, .exponents = 10},
    {.name = "acosh64", .real = arith_acosh64, .low = 1, .high = 4, .exponents = 1000},
    {.name = "atanh64", .real = arith_atanh64, .low = -1, .high = 1, .exponents = 30},
};

enum { ARITH_CASES = sizeof arith_cases / sizeof arith_cases[0], ARITH_HASH_POINTS = 1 << 20 };

static inline uint64_t arith_mix(uint64_t x) { /* splitmix64's finaliser: a bijection */
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static inline double arith_spread(uint64_t random, double low, double high) {
    double step = (high - low) * 0x1p-53;
    double offset = (double)(random >> 11) * step;
    return low + offset;
}

static inline double arith_coordinate(const arith_case *c, uint64_t random, size_t kind, double low,
                                      double high) {
    if (kind == 1 || kind == 2) {
        return arith_spread(random, low, high);
    }
    if (kind == 3) {
        uint64_t exponent =
            1023 + random % (2 * (uint64_t)c->exponents + 1) - (uint64_t)c->exponents;
        uint64_t mixed = arith_mix(random);
        return arith_from_bits64((mixed & 0x800FFFFFFFFFFFFFu) | exponent << 52);
    }
    if (c->single || c->single_2) {
        return (double)arith_from_bits((uint32_t)random);
    }
    return arith_from_bits64(random);
}

/* Volatile, because gcc 12 loses the rounding where it converts two neighbours at once. */
static inline double arith_to_single(double x) {
    volatile float single = (float)x;
    return (double)single;
}

/* The index-th point; a quarter of the points are any bits at all. */
static inline arith_point arith_point_at(const arith_case *c, size_t index) {
    uint64_t random = arith_mix(index);
    size_t kind = index % 4;
    arith_point p = {arith_coordinate(c, random, kind, c->low, c->high), 0.0};
    if (c->single_2 || c->real_2) {
        p.y = arith_coordinate(c, arith_mix(random), kind, c->low_2, c->high_2);
    }
    if (c->single || c->single_2) {
        p.x = arith_to_single(p.x);
        p.y = arith_to_single(p.y);
    }
    return p;
}

static inline double arith_evaluate(const arith_case *c, arith_point p) {
    if (c->single) {
        return (double)c->single((float)p.x);
    }
    if (c->single_2) {
        return (double)c->single_2((float)p.x, (float)p.y);
    }
    return c->real ? c->real(p.x) : c->real_2(p.x, p.y);
}

/* A hash over the function's results at the first points; NaN counts as one value. */
static inline uint64_t arith_hash(const arith_case *c, size_t n_points) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n_points; i++) {
        double y = arith_evaluate(c, arith_point_at(c, i));
        uint64_t bits = y != y ? 0x7FF8000000000000u : arith_bits64(y);
        hash = (hash ^ bits) * 0x100000001B3u;
        hash ^= hash >> 29;
    }
    return hash;
}

#endif
