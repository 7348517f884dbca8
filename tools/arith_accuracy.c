/* Measures the engine's functions against MPFR, and writes the expected values of
 * tests/engine/test_arith.c. Not part of the build, because it needs libmpfr:
 *
 *   cc -O2 -mfma -ffp-contract=off -fno-math-errno -Iinclude -Isrc -Itests \
 *      tools/arith_accuracy.c src/engine/arith*.c -lmpfr -lgmp -o arith_accuracy
 *   ./arith_accuracy sweep 2000000 [NAME]         largest error of each function in ulp
 *   ./arith_accuracy points > tests/data/arith/points.txt
 *   ./arith_accuracy hashes                       the test's hash of each function
 */
#include "support/arith_points.h"

#include <mpfr.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRECISION = 300, TABLE_POINTS = 1000 };

static const double edges[] = {0.0,
                               0x1p-149,
                               0x1p-126,
                               0x1p-1074,
                               0x1p-1022,
                               0x1p-60,
                               0x1p-28,
                               0x1p-27,
                               0x1p-20,
                               0.125,
                               0.25,
                               0x1.62e42fp-2,
                               0x1.62e430p-2,
                               0x1.6666666666666p-2,
                               0.5,
                               0x1.921fbp-1,
                               0x1.921fb54442d18p-1,
                               0x1.fffffep-1,
                               0x1.fffffffffffffp-1,
                               1.0,
                               0x1.0000000000001p0,
                               0x1.000002p0,
                               0x1.921fb54442d18p+0,
                               1.5,
                               2.0,
                               3.0,
                               0x1.921fb54442d18p+1,
                               4.0,
                               5.0,
                               0x1.6ac5b262ca1ffp+849,
                               10.0,
                               20.0,
                               22.0,
                               40.0,
                               87.0,
                               0x1.5c0002p+6,
                               88.0,
                               0x1.62e42fefa39efp+9,
                               0x1.62e42fefa39f0p+9,
                               0x1.633ce8fb9f87dp+9,
                               0x1.633ce8fb9f87ep+9,
                               0x1.74910d52d3052p+9,
                               0x1.74910d52d3053p+9,
                               0x1p20,
                               0x1.fffffp19,
                               0x1p22,
                               0x1p28,
                               0x1p53,
                               0x1p64,
                               0x1p100,
                               0x1.fffffep127,
                               0x1p1000,
                               0x1.fffffffffffffp1023,
                               __builtin_inf()};
enum { EDGES = sizeof edges / sizeof edges[0] };

typedef int (*unary)(mpfr_t, const mpfr_t, mpfr_rnd_t);

static void sigmoid_of(mpfr_t out, const mpfr_t x) { /* 1 / (1 + e^-x) */
    mpfr_neg(out, x, MPFR_RNDN);
    mpfr_exp(out, out, MPFR_RNDN);
    mpfr_add_ui(out, out, 1, MPFR_RNDN);
    mpfr_ui_div(out, 1, out, MPFR_RNDN);
}

static void gelu_of(mpfr_t out, const mpfr_t x, bool is_tanh) {
    mpfr_t t;
    mpfr_init2(t, PRECISION);
    if (is_tanh) { /* x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)) */
        mpfr_sqr(t, x, MPFR_RNDN);
        mpfr_mul(t, t, x, MPFR_RNDN);
        mpfr_mul_ui(t, t, 44715, MPFR_RNDN);
        mpfr_div_ui(t, t, 1000000, MPFR_RNDN);
        mpfr_add(t, t, x, MPFR_RNDN);
        mpfr_const_pi(out, MPFR_RNDN);
        mpfr_ui_div(out, 8, out, MPFR_RNDN);
        mpfr_sqrt(out, out, MPFR_RNDN);
        mpfr_mul(t, t, out, MPFR_RNDN);
        sigmoid_of(out, t);
    } else { /* x erfc(-x / sqrt 2) / 2 */
        mpfr_sqrt_ui(t, 2, MPFR_RNDN);
        mpfr_div(t, x, t, MPFR_RNDN);
        mpfr_neg(t, t, MPFR_RNDN);
        mpfr_erfc(out, t, MPFR_RNDN);
        mpfr_div_ui(out, out, 2, MPFR_RNDN);
    }
    mpfr_mul(out, out, x, MPFR_RNDN);
    mpfr_clear(t);
}

/* The value to PRECISION bits; p is finite. */
static void reference(const char *name, arith_point p, mpfr_t out) {
    static const struct {
        const char *name;
        unary function;
    } unaries[] = {{"exp", mpfr_exp},     {"tanh", mpfr_tanh},  {"erf", mpfr_erf},
                   {"log", mpfr_log},     {"sin", mpfr_sin},    {"cos", mpfr_cos},
                   {"tan", mpfr_tan},     {"sinh", mpfr_sinh},  {"cosh", mpfr_cosh},
                   {"acosh", mpfr_acosh}, {"atanh", mpfr_atanh}};
    mpfr_t x;
    mpfr_t y;
    mpfr_inits2(PRECISION, x, y, (mpfr_ptr)0);
    mpfr_set_d(x, p.x, MPFR_RNDN);
    mpfr_set_d(y, p.y, MPFR_RNDN);
    size_t length = strcspn(name, "6_");
    if (strncmp(name, "pow", 3) == 0) {
        mpfr_pow(out, x, y, MPFR_RNDN);
    } else if (strncmp(name, "atan2", 5) == 0) {
        mpfr_atan2(out, x, y, MPFR_RNDN);
    } else if (strncmp(name, "gelu", 4) == 0) {
        gelu_of(out, x, strcmp(name, "gelu_tanh") == 0);
    } else if (strcmp(name, "sigmoid") == 0 || strcmp(name, "silu") == 0) {
        sigmoid_of(out, x);
        if (strcmp(name, "silu") == 0) {
            mpfr_mul(out, out, x, MPFR_RNDN);
        }
    } else {
        for (size_t i = 0; i < sizeof unaries / sizeof unaries[0]; i++) {
            if (strncmp(name, unaries[i].name, length) == 0 && !unaries[i].name[length]) {
                unaries[i].function(out, x, MPFR_RNDN);
            }
        }
    }
    mpfr_clears(x, y, (mpfr_ptr)0);
}

static bool is_single(const arith_case *c) {
    return c->single || c->single_2;
}

/* Distance of `found` from `exact` in units in the last place of the exact value's binade. */
static double error_ulp(const arith_case *c, double found, const mpfr_t exact) {
    int bits = is_single(c) ? 24 : 53;
    long least = is_single(c) ? -149 : -1074;
    long exponent = mpfr_zero_p(exact) ? least : mpfr_get_exp(exact) - bits;
    exponent = exponent < least ? least : exponent;
    mpfr_t difference;
    mpfr_init2(difference, PRECISION);
    mpfr_set_d(difference, found, MPFR_RNDN);
    mpfr_sub(difference, difference, exact, MPFR_RNDN);
    mpfr_mul_2si(difference, difference, -exponent, MPFR_RNDN);
    double ulp = mpfr_get_d(difference, MPFR_RNDN);
    mpfr_clear(difference);
    return ulp < 0 ? -ulp : ulp;
}

/* Where the definition, not the mathematics, decides (see arith.h) the error is not measured. */
static bool is_measured(const arith_case *c, arith_point p, double found) {
    if (found - found != 0.0 || p.x - p.x != 0.0 || p.y - p.y != 0.0) {
        return false;
    }
    if (strcmp(c->name, "exp") == 0 || strcmp(c->name, "sigmoid") == 0 ||
        strcmp(c->name, "silu") == 0) {
        return p.x >= -87.0 && p.x <= (c->name[0] == 'e' ? 88.0 : 87.0);
    }
    if (strncmp(c->name, "gelu", 4) == 0) {
        return p.x >= -2.0 && p.x <= 1e18; /* below it the value cancels or vanishes */
    }
    return true;
}

static void sweep(const arith_case *c, size_t count) {
    mpfr_t exact;
    mpfr_init2(exact, PRECISION);
    double worst = 0;
    arith_point at = {0, 0};
    for (size_t i = 0; i < count; i++) {
        arith_point p = arith_point_at(c, i);
        double found = arith_evaluate(c, p);
        if (!is_measured(c, p, found)) {
            continue;
        }
        reference(c->name, p, exact);
        double error = error_ulp(c, found, exact);
        if (error > worst) {
            worst = error;
            at = p;
        }
    }
    printf("%-10s %.4f ulp at %a %a\n", c->name, worst, at.x, at.y);
    fflush(stdout);
    mpfr_clear(exact);
}

/* Nearest double or float to the exact value, ties to even, denormals included. */
static double nearest(const arith_case *c, arith_point p) {
    mpfr_t exact;
    mpfr_init2(exact, PRECISION);
    reference(c->name, p, exact);
    double value =
        is_single(c) ? (double)mpfr_get_flt(exact, MPFR_RNDN) : mpfr_get_d(exact, MPFR_RNDN);
    mpfr_clear(exact);
    return value;
}

static void print_bits(const arith_case *c, double x) {
    if (x != x) {
        printf(" nan");
    } else if (is_single(c)) {
        printf(" %08x", arith_bits((float)x));
    } else {
        printf(" %016llx", (unsigned long long)arith_bits64(x));
    }
}

/* False where the definition decides, not the mathematics; the test has these cases itself. */
static bool has_expected_value(const arith_case *c, arith_point p) {
    if (strcmp(c->name, "exp") == 0) {
        return p.x >= -87.0 && p.x <= 88.0;
    }
    return p.x != -__builtin_inf() || (strcmp(c->name, "silu") != 0 && c->name[0] != 'g');
}

static void print_point(const arith_case *c, arith_point p) {
    if (is_single(c)) {
        p = (arith_point){arith_to_single(p.x), arith_to_single(p.y)};
    }
    if (p.x != p.x || p.y != p.y || !has_expected_value(c, p)) {
        return;
    }
    print_bits(c, p.x);
    if (c->single_2 || c->real_2) {
        print_bits(c, p.y);
    }
    print_bits(c, nearest(c, p));
    printf("\n");
}

static void write_points(const arith_case *c) {
    bool is_binary = c->single_2 || c->real_2;
    printf("%s\n", c->name);
    for (size_t i = 0; i < 2 * EDGES; i++) {
        double x = i % 2 ? -edges[i / 2] : edges[i / 2];
        arith_point p = {x, is_binary ? edges[i * 7 % EDGES] * (i % 3 == 1 ? -1.0 : 1.0) : 0.0};
        print_point(c, p);
    }
    for (size_t i = 0; i < TABLE_POINTS; i++) {
        print_point(c, arith_point_at(c, i));
    }
}

static int usage(void) {
    fprintf(stderr, "usage: arith_accuracy sweep COUNT [NAME] | points | hashes\n");
    return 2;
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    bool is_sweep = strcmp(command, "sweep") == 0 && argc > 2;
    bool is_points = strcmp(command, "points") == 0;
    if (!is_sweep && !is_points && strcmp(command, "hashes") != 0) {
        return usage();
    }
    mpfr_set_emin(-100000);
    mpfr_set_emax(100000);
    if (is_points) {
        printf(
            "# Written by tools/arith_accuracy.c: arguments and the value rounded once by MPFR,\n"
            "# bits in hexadecimal, by function in the order of tests/support/arith_points.h.\n");
    }
    for (size_t i = 0; i < ARITH_CASES; i++) {
        const arith_case *c = &arith_cases[i];
        if (is_points) {
            write_points(c);
        } else if (!is_sweep) {
            printf("0x%016llX, /* %s */\n", (unsigned long long)arith_hash(c, ARITH_HASH_POINTS),
                   c->name);
        } else if (argc == 3 || strcmp(argv[3], c->name) == 0) {
            sweep(c, strtoull(argv[2], NULL, 10));
        }
    }
    return 0;
}
