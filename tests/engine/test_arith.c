/* The engine's mathematics: against MPFR's values, against the CPU's own instructions, vectors
 * against scalars, and one hash a function that must be the same on every target. */
#include "engine/arith.h"
#include "support/arith_points.h"
#include "support/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__wasm__)
#include "engine/kernels/vector_math_wasm.h"
#endif
#if defined(__x86_64__)
#include "engine/kernels/vector_math_avx2.h"
#include "engine/kernels/vector_math_avx512.h"
#define TARGET_AVX2 __attribute__((target("avx2,fma,f16c")))
#define TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#endif

#define INF __builtin_inf()
#define NOT_A_NUMBER __builtin_nan("")
#define INFF __builtin_inff()
#define NOT_A_NUMBERF __builtin_nanf("")

static bool same_float(float a, float b) {
    return arith_bits(a) == arith_bits(b) || (a != a && b != b);
}

static bool same_double(double a, double b) {
    return arith_bits64(a) == arith_bits64(b) || (a != a && b != b);
}

/* ---- values of MPFR ---------------------------------------------------------------------- */

/* Bits to integers in the order of the values, so that neighbours differ by 1. */
static int64_t order_of(const arith_case *c, double x) {
    if (c->single || c->single_2) {
        int64_t bits = arith_bits((float)x);
        return bits & 0x80000000 ? 0x80000000 - bits : bits;
    }
    int64_t bits = (int64_t)(arith_bits64(x) & INT64_MAX);
    return arith_bits64(x) >> 63 ? -bits : bits;
}

/* Most functions: within one unit in the last place. The formulas of sigmoid, silu and gelu add
 * the errors of their steps, and stop at e^88. */
static bool is_close(const arith_case *c, arith_point p, double found, double expected) {
    if (same_double(found, expected)) {
        return true;
    }
    int64_t distance = order_of(c, found) - order_of(c, expected);
    if (distance >= -1 && distance <= 1) {
        return true;
    }
    bool is_composed = strcmp(c->name, "silu") == 0 || strncmp(c->name, "gelu", 4) == 0;
    double size = strcmp(c->name, "sigmoid") == 0 ? 0.5 : is_composed ? p.x : 0.0;
    double error = (found - expected) / (size != 0.0 ? size : 1.0);
    return size != 0.0 && error < 0x1p-22 && error > -0x1p-22;
}

static double parse_value(const arith_case *c, const char *text) {
    if (strncmp(text, "nan", 3) == 0) {
        return NOT_A_NUMBER;
    }
    uint64_t bits = strtoull(text, NULL, 16);
    return c->single || c->single_2 ? (double)arith_from_bits((uint32_t)bits)
                                    : arith_from_bits64(bits);
}

static void check_line(const arith_case *c, const char *line) {
    char words[3][20];
    int count = sscanf(line, "%19s %19s %19s", words[0], words[1], words[2]);
    arith_point p = {parse_value(c, words[0]), 0.0};
    if (count == 3) {
        p.y = parse_value(c, words[1]);
    }
    double expected = parse_value(c, words[count - 1]);
    double found = arith_evaluate(c, p);
    if (!is_close(c, p, found, expected)) {
        check_fail(__FILE__, __LINE__, "%s(%a, %a): found %a, expected %a", c->name, p.x, p.y,
                   found, expected);
    }
}

static void values_are_within_one_ulp_of_mpfr(void) {
    char *text = check_read_file("arith/points.txt", NULL);
    const arith_case *c = NULL;
    size_t cases = 0;
    size_t points = 0;
    for (char *line = text; *line;) {
        char *end = strchr(line, '\n');
        if (!end) {
            break;
        }
        *end = '\0';
        if (line[0] == '#') {
            line = end + 1;
            continue;
        }
        if (strchr(line, ' ')) {
            check_line(c, line);
            points++;
        } else {
            CHECK(cases < ARITH_CASES);
            c = &arith_cases[cases++];
            CHECK_STRING(line, c->name);
        }
        line = end + 1;
    }
    CHECK_INT(cases, ARITH_CASES);
    CHECK(points > 20000);
    free(text);
}

/* ---- special values ---------------------------------------------------------------------- */

#define CHECK_SAME(found, expected)                                                                \
    (same_double((double)(found), (double)(expected))                                              \
         ? (void)0                                                                                 \
         : check_fail(__FILE__, __LINE__, "%s: found %a, expected %a", #found, (double)(found),    \
                      (double)(expected)))

static void every_function_keeps_nan(void) {
    for (size_t i = 0; i < ARITH_CASES; i++) {
        const arith_case *c = &arith_cases[i];
        double found = arith_evaluate(c, (arith_point){NOT_A_NUMBER, 2.0});
        if (found == found) {
            check_fail(__FILE__, __LINE__, "%s(NaN) is %a", c->name, found);
        }
    }
    CHECK_SAME(arith_pow64(2.0, NOT_A_NUMBER), NOT_A_NUMBER);
    CHECK_SAME(arith_atan2_64(2.0, NOT_A_NUMBER), NOT_A_NUMBER);
}

static void exponentials_end_as_documented(void) {
    CHECK_SAME(arith_exp(0.0f), 1.0);
    CHECK_SAME(arith_exp(-0.0f), 1.0);
    CHECK(arith_exp(-87.0f) > 0.0f);
    CHECK_SAME(arith_exp(arith_from_bits(0xC2AE0001)), 0.0);
    CHECK_SAME(arith_exp(-INFF), 0.0);
    CHECK_INT(arith_bits(arith_exp(88.0f)), 0x7EF882B7);
    CHECK_SAME(arith_exp(89.0f), arith_exp(88.0f));
    CHECK_SAME(arith_exp(INFF), arith_exp(88.0f));
    CHECK_SAME(arith_sigmoid(INFF), 1.0);
    CHECK_SAME(arith_sigmoid(0.0f), 0.5);
    CHECK_SAME(arith_silu(INFF), INF);
    CHECK_SAME(arith_silu(-INFF), -INF);
    CHECK_SAME(arith_silu(-0.0f), -0.0);
    CHECK_SAME(arith_gelu_tanh(INFF), INF);
    CHECK_SAME(arith_gelu_tanh(-0.0f), -0.0);
    CHECK_SAME(arith_gelu_erf(INFF), INF);
    CHECK_SAME(arith_gelu_erf(-INFF), NOT_A_NUMBER);
    CHECK_SAME(arith_tanh(INFF), 1.0);
    CHECK_SAME(arith_tanh(-INFF), -1.0);
    CHECK_SAME(arith_tanh(-0.0f), -0.0);
    CHECK_SAME(arith_erf(INFF), 1.0);
    CHECK_SAME(arith_erf(-INFF), -1.0);
    CHECK_SAME(arith_erf(-0.0f), -0.0);
    CHECK_SAME(arith_exp64(-INF), 0.0);
    CHECK_SAME(arith_exp64(INF), INF);
    CHECK_SAME(arith_exp64(0.0), 1.0);
    CHECK_SAME(arith_sinh64(-INF), -INF);
    CHECK_SAME(arith_sinh64(-0.0), -0.0);
    CHECK_SAME(arith_cosh64(-INF), INF);
    CHECK_SAME(arith_tanh64(-INF), -1.0);
    CHECK_SAME(arith_tanh64(-0.0), -0.0);
}

static void logarithms_and_angles_end_as_documented(void) {
    CHECK_SAME(arith_log(0.0f), -INF);
    CHECK_SAME(arith_log(-0.0f), -INF);
    CHECK_SAME(arith_log(-1.0f), NOT_A_NUMBER);
    CHECK_SAME(arith_log(INFF), INF);
    CHECK_SAME(arith_log64(-0.0), -INF);
    CHECK_SAME(arith_log64(-0x1p-1074), NOT_A_NUMBER);
    CHECK_SAME(arith_log64(INF), INF);
    CHECK_SAME(arith_log64(1.0), 0.0);
    CHECK_SAME(arith_sin(INFF), NOT_A_NUMBER);
    CHECK_SAME(arith_cos(-INFF), NOT_A_NUMBER);
    CHECK_SAME(arith_sin64(-INF), NOT_A_NUMBER);
    CHECK_SAME(arith_cos64(INF), NOT_A_NUMBER);
    CHECK_SAME(arith_tan64(INF), NOT_A_NUMBER);
    CHECK_SAME(arith_sin64(-0.0), -0.0);
    CHECK_SAME(arith_tan64(-0.0), -0.0);
    CHECK_SAME(arith_acosh64(1.0), 0.0);
    CHECK_SAME(arith_acosh64(0x1.fffffffffffffp-1), NOT_A_NUMBER);
    CHECK_SAME(arith_acosh64(-INF), NOT_A_NUMBER);
    CHECK_SAME(arith_acosh64(INF), INF);
    CHECK_SAME(arith_atanh64(1.0), INF);
    CHECK_SAME(arith_atanh64(-1.0), -INF);
    CHECK_SAME(arith_atanh64(0x1.0000000000001p0), NOT_A_NUMBER);
    CHECK_SAME(arith_atanh64(-0.0), -0.0);
}

static void two_arguments_end_as_in_annex_f(void) {
    static const struct {
        double base, exponent, result;
    } powers[] = {
        {NOT_A_NUMBER, 0.0, 1.0},
        {1.0, NOT_A_NUMBER, 1.0},
        {0.0, -3.0, INF},
        {-0.0, -3.0, -INF},
        {-0.0, -2.0, INF},
        {-0.0, -2.5, INF},
        {-0.0, 3.0, -0.0},
        {-0.0, 2.0, 0.0},
        {0.0, INF, 0.0},
        {0.0, -INF, INF},
        {-1.0, INF, 1.0},
        {-1.0, -INF, 1.0},
        {0.5, -INF, INF},
        {2.0, -INF, 0.0},
        {-2.0, INF, INF},
        {-0.5, INF, 0.0},
        {-INF, -3.0, -0.0},
        {-INF, -2.5, 0.0},
        {-INF, 3.0, -INF},
        {-INF, 2.5, INF},
        {INF, -1.0, 0.0},
        {INF, 0.5, INF},
        {-2.0, 3.0, -8.0},
        {-2.0, 2.0, 4.0},
        {-2.0, 0.5, NOT_A_NUMBER},
        {3.0, 2.0, 9.0},
        {10.0, 22.0, 1e22},
        {2.0, -1074.0, 0x1p-1074},
        {-1.0, 0x1.fffffffffffffp52, -1.0},
        {-1.0, 0x1p53, 1.0},
        {0x1.0000000000001p0, 0x1p70, INF},
    };
    for (size_t i = 0; i < sizeof powers / sizeof powers[0]; i++) {
        CHECK_SAME(arith_pow64(powers[i].base, powers[i].exponent), powers[i].result);
    }
    CHECK_SAME(arith_pow(-0.0f, -3.0f), -INF);
    CHECK_SAME(arith_pow(3.0f, 2.0f), 9.0);
    const double pi = 0x1.921fb54442d18p+1;
    static const struct {
        double y, x, eighths; /* of 2 π */
    } angles[] = {
        {0.0, 0.0, 0.0}, {0.0, 1.0, 0.0},  {0.0, -0.0, 4.0}, {0.0, -1.0, 4.0},
        {0.0, INF, 0.0}, {0.0, -INF, 4.0}, {1.0, 0.0, 2.0},  {1.0, -0.0, 2.0},
        {1.0, INF, 0.0}, {1.0, -INF, 4.0}, {INF, INF, 1.0},  {INF, -INF, 3.0},
        {INF, 5.0, 2.0}, {1.0, 1.0, 1.0},  {1.0, -1.0, 3.0}, {1e300, 1.0, 2.0},
    };
    for (size_t i = 0; i < sizeof angles / sizeof angles[0]; i++) {
        double expected = angles[i].eighths * 0.25 * pi;
        CHECK_SAME(arith_atan2_64(angles[i].y, angles[i].x), expected);
        CHECK_SAME(arith_atan2_64(-angles[i].y, angles[i].x), -expected);
    }
}

/* ---- storage formats and rounding -------------------------------------------------------- */

static void f16_widens_exactly(void) {
    for (uint32_t h = 0; h < 0x10000; h++) {
        uint32_t exponent = h >> 10 & 31;
        uint32_t fraction = h & 0x3FF;
        float wide = arith_f16_to_f32((uint16_t)h);
        if (exponent == 31) {
            CHECK(fraction ? wide != wide : wide == (h & 0x8000 ? -INFF : INFF));
            continue;
        }
        double value = exponent ? 0x1p-25 * (double)(fraction + 1024) : 0x1p-24 * (double)fraction;
        for (uint32_t e = 0; e < exponent; e++) {
            value = value * 2.0;
        }
        CHECK_SAME(wide, h & 0x8000 ? -value : value);
    }
}

static void f16_narrows_to_nearest_even(void) {
    for (uint32_t h = 0; h < 0x7BFF; h++) { /* two finite neighbours and what is between them */
        float low = arith_f16_to_f32((uint16_t)h);
        float high = arith_f16_to_f32((uint16_t)(h + 1));
        float middle = 0.5f * (low + high); /* exact */
        float below = arith_from_bits(arith_bits(middle) - 1);
        float above = arith_from_bits(arith_bits(middle) + 1);
        CHECK_INT(arith_f32_to_f16(low), h);
        CHECK_INT(arith_f32_to_f16(below), h);
        CHECK_INT(arith_f32_to_f16(middle), h + (h & 1));
        CHECK_INT(arith_f32_to_f16(above), h + 1);
        CHECK_INT(arith_f32_to_f16(-middle), 0x8000 + h + (h & 1));
    }
    CHECK_INT(arith_f32_to_f16(65504.0f), 0x7BFF);
    CHECK_INT(arith_f32_to_f16(65519.0f), 0x7BFF);
    CHECK_INT(arith_f32_to_f16(1e30f), 0x7BFF);
    CHECK_INT(arith_f32_to_f16(-1e30f), 0xFBFF);
    CHECK_INT(arith_f32_to_f16(INFF), 0x7BFF);
    CHECK_INT(arith_f32_to_f16(-INFF), 0xFBFF);
    CHECK_INT(arith_f32_to_f16(NOT_A_NUMBERF) & 0x7E00, 0x7E00);
    CHECK_INT(arith_f32_to_f16(arith_from_bits(0x7F800001)) & 0x7E00, 0x7E00);
    CHECK_INT(arith_f32_to_f16(arith_from_bits(1)), 0);
    CHECK_INT(arith_f32_to_f16(-0.0f), 0x8000);
}

static void bf16_rounds_to_nearest_even(void) {
    for (uint32_t h = 0; h < 0x7F80; h++) {
        uint32_t middle = h << 16 | 0x8000;
        CHECK_INT(arith_bits(arith_bf16_to_f32((uint16_t)h)), (long long)h << 16);
        CHECK_INT(arith_f32_to_bf16(arith_from_bits(h << 16)), h);
        CHECK_INT(arith_f32_to_bf16(arith_from_bits(middle - 1)), h);
        CHECK_INT(arith_f32_to_bf16(arith_from_bits(middle)), h + (h & 1));
        CHECK_INT(arith_f32_to_bf16(arith_from_bits(middle + 1)), h + 1);
        CHECK_INT(arith_f32_to_bf16(arith_from_bits(0x80000000 | (middle + 1))), 0x8000 + h + 1);
    }
    CHECK_INT(arith_f32_to_bf16(INFF), 0x7F80);
    float low_payload = arith_from_bits(0xFF800001);
    CHECK(arith_bf16_to_f32(arith_f32_to_bf16(low_payload)) !=
          arith_bf16_to_f32(arith_f32_to_bf16(low_payload)));
}

static void rounding_takes_ties_to_even(void) {
    static const struct {
        float x;
        int32_t n;
    } table[] = {{0.0f, 0},
                 {-0.0f, 0},
                 {0.5f, 0},
                 {1.5f, 2},
                 {2.5f, 2},
                 {-0.5f, 0},
                 {-1.5f, -2},
                 {-2.5f, -2},
                 {0x1.fffffep-2f, 0},
                 {126.5f, 126},
                 {-126.5f, -126},
                 {127.49999f, 127},
                 {4194303.5f, 4194304},
                 {4194304.5f, 4194304},
                 {8388607.5f, 8388608},
                 {-8388606.5f, -8388606},
                 {16777216.0f, 16777216},
                 {0x1.fffffep30f, 2147483520},
                 {0x1p31f, INT32_MAX},
                 {-0x1p31f, INT32_MIN},
                 {1e30f, INT32_MAX},
                 {-1e30f, INT32_MIN},
                 {INFF, INT32_MAX},
                 {-INFF, INT32_MIN},
                 {NOT_A_NUMBERF, 0},
                 {0x1p-149f, 0}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        CHECK_INT(arith_round_half_even(table[i].x), table[i].n);
    }
    uint64_t state = 1;
    for (size_t i = 0; i < 1000000; i++) { /* against doubles, where the fraction is in sight */
        float x = arith_from_bits((uint32_t)check_random(&state) % 0x9D800000u + 0x30000000u);
        double exact = (double)x;
        if (exact >= 0x1p31 || exact < -0x1p31 || exact != exact) {
            continue;
        }
        int64_t floor = (int64_t)exact - ((double)(int64_t)exact > exact);
        double fraction = exact - (double)floor;
        int64_t expected = floor + (fraction > 0.5 || (fraction == 0.5 && (floor & 1)));
        if (arith_round_half_even(x) != expected) {
            check_fail(__FILE__, __LINE__, "%a rounds to %d", exact, arith_round_half_even(x));
        }
    }
}

/* ---- fma --------------------------------------------------------------------------------- */

static void software_fma_gives_known_answers(void) {
    /* the product's last bit decides a tie that double rounding would lose */
    CHECK_SAME(arith_soft_fma(0x1.000002p0f, 0x1p-24f, 1.0f), 0x1.000002p0);
    CHECK_SAME(arith_soft_fma(0x1.000002p0f, 0x1.fffffcp-25f, 0x1.000002p0f), 0x1.000002p0);
    CHECK_SAME(arith_soft_fma(0x1p-75f, 0x1p-75f, 0x1.8p-149f), 0x1p-148);
    CHECK_SAME(arith_soft_fma(0x1p-75f, 0x1p-75f, 0.0f), 0.0); /* 2^−150 is a tie */
    CHECK_SAME(arith_soft_fma(0x1.000002p-75f, 0x1p-75f, 0.0f), 0x1p-149);
    CHECK_SAME(arith_soft_fma(-0x1p-80f, 0x1p-80f, 0.0f), -0.0);
    CHECK_SAME(arith_soft_fma(0x1p100f, 0x1p100f, -INFF), -INF);
    CHECK_SAME(arith_soft_fma(INFF, 0.0f, 1.0f), NOT_A_NUMBER);
    CHECK_SAME(arith_soft_fma(1.0f, 1.0f, -1.0f), 0.0);
    CHECK_SAME(arith_soft_fma64(0x1.0000000000001p0, 0x1p-53, 1.0), 0x1.0000000000001p0);
    CHECK_SAME(arith_soft_fma64(0x1p-53, 1.0, 1.0), 1.0);
    CHECK_SAME(arith_soft_fma64(0x1p-537, 0x1p-538, 0.0), 0.0); /* 2^−1075 is a tie */
    CHECK_SAME(arith_soft_fma64(0x1p-537, 0x1p-538, 0x1p-1074), 0x1p-1073);
    CHECK_SAME(arith_soft_fma64(0x1p-537, -0x1.0000000000001p-538, 0x1p-1073), 0x1p-1074);
    CHECK_SAME(arith_soft_fma64(0x1p1000, 0x1p1000, -0x1p1023), INF);
    CHECK_SAME(arith_soft_fma64(0x1p512, 0x1p512, -0x1p1023), 0x1p1023);
    CHECK_SAME(arith_soft_fma64(-0x1p-600, 0x1p-600, 0.0), -0.0);
    CHECK_SAME(arith_soft_fma64(0x1p1000, 0x1p1000, -INF), -INF);
    CHECK_SAME(arith_soft_fma64(3.0, 5.0, -15.0), 0.0);
    CHECK_SAME(arith_soft_fma64(0x1.fffffffffffffp0, 0x1.fffffffffffffp0, -0x1.ffffffffffffep1),
               0x1p-104);
}

#if defined(__x86_64__)
__attribute__((target("fma"))) static float hard_fma(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}
__attribute__((target("fma"))) static double hard_fma64(double a, double b, double c) {
    return __builtin_fma(a, b, c);
}
static bool has_fma(void) {
    return __builtin_cpu_supports("fma");
}
#else
static float hard_fma(float a, float b, float c) {
    return arith_fma(a, b, c);
}
static double hard_fma64(double a, double b, double c) {
    return arith_fma64(a, b, c);
}
static bool has_fma(void) {
#if defined(ARITH_HAS_FMA)
    return true;
#else
    return false;
#endif
}
#endif

/* Any bits; every second time with c near the product, every fourth with short fractions, so that
 * cancellation and ties occur. */
static void random_triple(uint64_t *state, size_t i, uint64_t *v, unsigned exponent_bits,
                          unsigned fraction_bits) {
    for (size_t j = 0; j < 3; j++) {
        v[j] = check_random(state);
    }
    uint64_t mask = (UINT64_C(1) << exponent_bits) - 1;
    int64_t bias = (int64_t)(mask >> 1);
    if (i & 1) {
        int64_t a = (int64_t)(v[0] >> fraction_bits & mask);
        int64_t b = (int64_t)(v[1] >> fraction_bits & mask);
        int64_t distance = (int64_t)(check_random(state) % (4 * fraction_bits + 8));
        int64_t c = a + b - bias + distance - 2 * (int64_t)fraction_bits - 4;
        if (c >= 0 && c < (int64_t)mask) {
            v[2] = (v[2] & ~(mask << fraction_bits)) | (uint64_t)c << fraction_bits;
        }
        if (i & 2) {
            uint64_t keep = ~((UINT64_C(1) << (fraction_bits / 2 + i / 4 % 8)) - 1);
            v[0] &= keep;
            v[1] &= keep;
            v[2] &= i & 4 ? keep : ~UINT64_C(0);
        }
    }
}

static void software_fma_equals_the_instruction(void) {
    if (!has_fma()) {
        check_skip("no fma instruction on this CPU");
        return;
    }
    uint64_t state = 7;
    uint64_t v[3];
    for (size_t i = 0; i < 3000000; i++) {
        random_triple(&state, i, v, 8, 23);
        float a = arith_from_bits((uint32_t)v[0]);
        float b = arith_from_bits((uint32_t)v[1]);
        float c = arith_from_bits((uint32_t)v[2]);
        if (!same_float(arith_soft_fma(a, b, c), hard_fma(a, b, c))) {
            check_fail(__FILE__, __LINE__, "fma(%a, %a, %a) is %a", (double)a, (double)b, (double)c,
                       (double)arith_soft_fma(a, b, c));
        }
        random_triple(&state, i, v, 11, 52);
        double d = arith_from_bits64(v[0]);
        double e = arith_from_bits64(v[1]);
        double f = arith_from_bits64(v[2]);
        if (!same_double(arith_soft_fma64(d, e, f), hard_fma64(d, e, f))) {
            check_fail(__FILE__, __LINE__, "fma64(%a, %a, %a) is %a", d, e, f,
                       arith_soft_fma64(d, e, f));
        }
    }
}

/* ---- vectors ----------------------------------------------------------------------------- */

#if defined(__x86_64__)

static const uint32_t edges[] = {
    0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x80800000, 0x33800000,
    0x3F800000, 0xBF800000, 0x3F7FFFFF, 0xBF7FFFFF, 0x3F800001, 0x3F000000, 0xBF000000, 0x40800000,
    0x42AE0000, 0xC2AE0000, 0x42ADFFFF, 0xC2ADFFFF, 0x42AE0001, 0xC2AE0001, 0x42B00000, 0xC2B00000,
    0x42B00001, 0xC2B00001, 0x42AFFFFF, 0xC2AFFFFF, 0x477FE000, 0xC77FE000, 0x477FEFFF, 0x477FF000,
    0x38800000, 0x387FFFFF, 0x33000000, 0x33000001, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000,
    0x7FC00000, 0xFFC00000, 0x7F800001, 0xFF812345, 0x7FFFFFFF, 0xFFFFFFFF};
enum { EDGES = sizeof edges / sizeof edges[0] };

enum { CHUNK = 4096 };

typedef struct vector_case {
    const char *name;
    float (*scalar)(float);
    void (*avx2)(const float *x, float *y);   /* [CHUNK] */
    void (*avx512)(const float *x, float *y); /* [CHUNK] */
    size_t n_chunks;
} vector_case;

#define VECTOR_LOOPS(name)                                                                         \
    TARGET_AVX2 static void name##_avx2(const float *x, float *y) {                                \
        for (size_t i = 0; i < CHUNK; i += 8) {                                                    \
            _mm256_storeu_ps(y + i, vector_##name##_avx2(_mm256_loadu_ps(x + i)));                 \
        }                                                                                          \
    }                                                                                              \
    TARGET_AVX512 static void name##_avx512(const float *x, float *y) {                            \
        for (size_t i = 0; i < CHUNK; i += 16) {                                                   \
            _mm512_storeu_ps(y + i, vector_##name##_avx512(_mm512_loadu_ps(x + i)));               \
        }                                                                                          \
    }
VECTOR_LOOPS(exp)
VECTOR_LOOPS(sigmoid)
VECTOR_LOOPS(silu)
VECTOR_LOOPS(tanh)
VECTOR_LOOPS(erf)
VECTOR_LOOPS(gelu_erf)
VECTOR_LOOPS(gelu_tanh)

#define VECTOR_CASE(name, n_chunks) {#name, arith_##name, name##_avx2, name##_avx512, n_chunks}
static const vector_case vector_cases[] = {VECTOR_CASE(exp, 4096),     VECTOR_CASE(silu, 4096),
                                           VECTOR_CASE(sigmoid, 512),  VECTOR_CASE(tanh, 512),
                                           VECTOR_CASE(erf, 512),      VECTOR_CASE(gelu_erf, 512),
                                           VECTOR_CASE(gelu_tanh, 512)};

/* Edges first, then bits at an even distance over all 2^32, the lowest bits mixed. */
static void fill_chunk(const vector_case *v, size_t chunk, float *x) {
    uint64_t stride = (UINT64_C(1) << 32) / (v->n_chunks * CHUNK);
    for (size_t i = 0; i < CHUNK; i++) {
        uint64_t index = chunk * CHUNK + i;
        x[i] = arith_from_bits((uint32_t)(index * stride + arith_mix(index) % stride));
    }
    for (size_t i = 0; chunk == 0 && i < EDGES; i++) {
        x[i] = arith_from_bits(edges[i]);
    }
}

static void compare_vectors(bool is_avx512) {
    float x[CHUNK];
    float y[CHUNK];
    for (size_t k = 0; k < sizeof vector_cases / sizeof vector_cases[0]; k++) {
        const vector_case *v = &vector_cases[k];
        for (size_t chunk = 0; chunk < v->n_chunks; chunk++) {
            fill_chunk(v, chunk, x);
            (is_avx512 ? v->avx512 : v->avx2)(x, y);
            for (size_t i = 0; i < CHUNK; i++) {
                if (!same_float(y[i], v->scalar(x[i]))) {
                    check_fail(__FILE__, __LINE__, "%s(%a): vector %a, scalar %a", v->name,
                               (double)x[i], (double)y[i], (double)v->scalar(x[i]));
                }
            }
        }
    }
}

TARGET_AVX2 static void convert_avx2(const float *x, uint16_t *halves, float *wide) {
    for (size_t i = 0; i < CHUNK; i += 8) {
        __m128i h = vector_narrow_f16_avx2(_mm256_loadu_ps(x + i));
        _mm_storeu_si128((__m128i *)(void *)(halves + i), h);
        _mm256_storeu_ps(wide + i, vector_widen_f16_avx2(h));
    }
}

TARGET_AVX512 static void convert_avx512(const float *x, uint16_t *halves, float *wide) {
    for (size_t i = 0; i < CHUNK; i += 16) {
        __m256i h = vector_narrow_f16_avx512(_mm512_loadu_ps(x + i));
        _mm256_storeu_si256((__m256i *)(void *)(halves + i), h);
        _mm512_storeu_ps(wide + i, vector_widen_f16_avx512(h));
    }
}

static void compare_conversions(void (*convert)(const float *, uint16_t *, float *)) {
    vector_case all = {.n_chunks = 512};
    float x[CHUNK];
    uint16_t halves[CHUNK];
    float wide[CHUNK];
    for (size_t chunk = 0; chunk < all.n_chunks; chunk++) {
        fill_chunk(&all, chunk, x);
        convert(x, halves, wide);
        for (size_t i = 0; i < CHUNK; i++) {
            CHECK_INT(halves[i], arith_f32_to_f16(x[i]));
            CHECK_INT(arith_bits(wide[i]), arith_bits(arith_f16_to_f32(halves[i])));
        }
    }
}

static void avx2_equals_scalar(void) {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        check_skip("no AVX2 with FMA on this CPU");
        return;
    }
    compare_vectors(false);
    compare_conversions(convert_avx2); /* every CPU with AVX2 has F16C */
}

static void avx512_equals_scalar(void) {
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq")) {
        check_skip("no AVX-512 (F, BW, VL, DQ) on this CPU");
        return;
    }
    compare_vectors(true);
    compare_conversions(convert_avx512);
}

#else

static void avx2_equals_scalar(void) {
    check_skip("AVX2 belongs to x86");
}
static void avx512_equals_scalar(void) {
    check_skip("AVX-512 belongs to x86");
}

#endif

#if defined(__wasm__)

/* This file is compiled without relaxed SIMD: the sum by way of double precision is what is tested;
 * the instruction is compared in test_kernels. */
static void wasm_fma_is_exact(void) {
    uint64_t state = 9;
    for (size_t i = 0; i < 1000000; i++) {
        float a[4], b[4], c[4], found[4];
        for (size_t lane = 0; lane < 4; lane++) {
            uint64_t v[3];
            random_triple(&state, i + lane, v, 8, 23);
            a[lane] = arith_from_bits((uint32_t)v[0]);
            b[lane] = arith_from_bits((uint32_t)v[1]);
            c[lane] = arith_from_bits((uint32_t)v[2]);
        }
        store_4(found, fma_4(load_4(a), load_4(b), load_4(c)));
        for (size_t lane = 0; lane < 4; lane++) {
            if (!same_float(found[lane], arith_soft_fma(a[lane], b[lane], c[lane]))) {
                check_fail(__FILE__, __LINE__, "fma(%a, %a, %a) is %a", (double)a[lane],
                           (double)b[lane], (double)c[lane], (double)found[lane]);
            }
        }
    }
}

static void wasm_halves_equal_scalar(void) {
    for (uint32_t first = 0; first < 0x10000; first += 4) {
        uint16_t halves[4];
        float any[4], finite[4];
        for (uint32_t lane = 0; lane < 4; lane++) {
            halves[lane] = (uint16_t)(first + lane);
        }
        store_4(any, widen_any(load_upper(halves)));
        store_4(finite, widen_finite(load_upper(halves)));
        for (size_t lane = 0; lane < 4; lane++) {
            float expected = arith_f16_to_f32(halves[lane]);
            CHECK(same_float(any[lane], expected));
            CHECK((halves[lane] & 0x7C00) == 0x7C00 || same_float(finite[lane], expected));
        }
    }
    for (uint64_t bits = 0; bits < UINT64_C(1) << 32;
         bits += 4 * 331) { /* every 1,324th and next */
        float x[4];
        uint32_t found[4];
        for (uint32_t lane = 0; lane < 4; lane++) {
            x[lane] = arith_from_bits((uint32_t)bits + lane);
        }
        wasm_v128_store(found, vector_narrow_f16(load_4(x)));
        for (size_t lane = 0; lane < 4; lane++) {
            CHECK_INT(found[lane], arith_f32_to_f16(x[lane]));
        }
    }
}

typedef struct wasm_case {
    const char *name;
    float (*scalar)(float);
    v128_t (*vector)(v128_t);
} wasm_case;

static void wasm_functions_equal_scalar(void) {
    static const wasm_case cases[] = {{"exp", arith_exp, vector_exp},
                                      {"silu", arith_silu, vector_silu},
                                      {"erf", arith_erf, vector_erf},
                                      {"gelu_erf", arith_gelu_erf, vector_gelu_erf},
                                      {"gelu_tanh", arith_gelu_tanh, vector_gelu_tanh}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (uint64_t bits = 0; bits < UINT64_C(1) << 32; bits += 2039) {
            float x = arith_from_bits((uint32_t)bits);
            float found = wasm_f32x4_extract_lane(cases[i].vector(wasm_f32x4_splat(x)), 0);
            if (!same_float(found, cases[i].scalar(x))) {
                check_fail(__FILE__, __LINE__, "%s(%a) is %a, expected %a", cases[i].name,
                           (double)x, (double)found, (double)cases[i].scalar(x));
            }
        }
    }
}

#endif

/* ---- the same bits everywhere -------------------------------------------------------------- */

/* In the order of arith_cases (tools/arith_accuracy hashes). A new value here is a new arithmetic
 * version. */
static const uint64_t expected_hashes[ARITH_CASES] = {
    0x407156D52FB82854, /* exp */
    0x0015B5682D8D8C32, /* sigmoid */
    0xD72081E914D1306A, /* silu */
    0x9BCF2BFB09D088C4, /* tanh */
    0xE7DEDD4DAC926CA4, /* erf */
    0xA28CABE665F69B7F, /* gelu_erf */
    0xD40EEE7142D6145B, /* gelu_tanh */
    0x2F3C60AFECC6344F, /* log */
    0xA9A1A42205B1FAE7, /* sin */
    0x0D61083D0FFC28A0, /* cos */
    0x635FC6FAA72431B1, /* pow */
    0x0B297C23C97BE213, /* exp64 */
    0x66128EC9B488FC95, /* log64 */
    0xF8DDB6817B11A34F, /* pow64 */
    0x6E480EC2920193D8, /* sin64 */
    0x28BC2FED12AC2253, /* cos64 */
    0xDA19728C81B6BF42, /* tan64 */
    0x30C91D2F09D7F5B4, /* atan2_64 */
    0xD2194A853D5A5ABC, /* sinh64 */
    0x9BF0BA70731EC870, /* cosh64 */
    0xBD4CC878E6C8108E, /* tanh64 */
    0xCB252F06DDB58C59, /* acosh64 */
    0xE45986D2394BA10E, /* atanh64 */
};

static void results_have_the_same_bits_on_every_target(void) {
    for (size_t i = 0; i < ARITH_CASES; i++) {
        uint64_t found = arith_hash(&arith_cases[i], ARITH_HASH_POINTS);
        if (found != expected_hashes[i]) {
            check_fail(__FILE__, __LINE__, "%s: found 0x%016" PRIX64 ", expected 0x%016" PRIX64,
                       arith_cases[i].name, found, expected_hashes[i]);
        }
    }
}

static const check_test tests[] = {
    {"values are within one ulp of MPFR", values_are_within_one_ulp_of_mpfr},
    {"every function keeps NaN", every_function_keeps_nan},
    {"exponentials end as documented", exponentials_end_as_documented},
    {"logarithms and angles end as documented", logarithms_and_angles_end_as_documented},
    {"two arguments end as in annex F", two_arguments_end_as_in_annex_f},
    {"f16 widens exactly", f16_widens_exactly},
    {"f16 narrows to nearest even", f16_narrows_to_nearest_even},
    {"bf16 rounds to nearest even", bf16_rounds_to_nearest_even},
    {"rounding takes ties to even", rounding_takes_ties_to_even},
    {"software fma gives known answers", software_fma_gives_known_answers},
    {"software fma equals the instruction", software_fma_equals_the_instruction},
    {"AVX2 equals scalar", avx2_equals_scalar},
    {"AVX-512 equals scalar", avx512_equals_scalar},
#if defined(__wasm__)
    {"WebAssembly's fused multiply-add is exact", wasm_fma_is_exact},
    {"WebAssembly's halves equal scalar", wasm_halves_equal_scalar},
    {"WebAssembly's functions equal scalar", wasm_functions_equal_scalar},
#endif
    {"results have the same bits on every target", results_have_the_same_bits_on_every_target},
};

CHECK_MAIN(tests)
