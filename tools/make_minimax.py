#!/usr/bin/env python3
"""Derives the constants of the engine's mathematics: polynomials and tables.

Writes src/engine/arith_coefficients.h (single precision) and src/engine/arith_double_tables.h
(double precision). Needs mpmath (gmpy2 makes it faster). The output is deterministic; a change of
one bit in it is a change of the arithmetic version.

    python3 tools/make_minimax.py            write both files
    python3 tools/make_minimax.py --check    compare with the files instead, exit 1 if they differ
    python3 tools/make_minimax.py --errors   also print the error of each polynomial in bits
"""

import pathlib
import sys

import mpmath
from mpmath import mp, mpf

mp.prec = 260
ENGINE = pathlib.Path(__file__).resolve().parent.parent / "src" / "engine"
GRID = 1200
errors = []


def rounded(x, bits):
    """x to `bits` significant bits, nearest even."""
    if x == 0:
        return mpf(0)
    mantissa, exponent = mpmath.frexp(x)
    return mpmath.ldexp(mpmath.nint(mpmath.ldexp(mantissa, bits)), exponent - bits)


def to_grid(x, exponent):
    """x to a multiple of 2^exponent."""
    return mpmath.ldexp(mpmath.nint(mpmath.ldexp(x, -exponent)), exponent)


def hexadecimal(x, suffix=""):
    """An exact C literal. x has at most 53 significant bits."""
    assert mpf(float(x)) == x, x
    text = float(x).hex()
    mantissa, exponent = text.split("p")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}p{exponent}{suffix}"


def horner(coefficients, x):
    value = mpf(0)
    for c in reversed(coefficients):
        value = value * x + c
    return value


def remez(samples, degree):
    """Minimax fit of (x, value, weight) samples by sum c[i] x^i, i <= degree."""
    n = degree + 2
    last = len(samples) - 1
    picks = [round(last * mpf(i) / (n - 1)) for i in range(n)]  # the grid is Chebyshev's already
    best = None
    for _ in range(30):
        rows = mpmath.matrix(n, n)
        right = mpmath.matrix(n, 1)
        for i, at in enumerate(picks):
            x, value, weight = samples[int(at)]
            for j in range(degree + 1):
                rows[i, j] = x**j
            rows[i, degree + 1] = (-1) ** i / weight
            right[i] = value
        solution = mpmath.lu_solve(rows, right)
        c = [solution[j] for j in range(degree + 1)]
        deviations = [w * (horner(c, x) - v) for x, v, w in samples]
        largest = max(abs(d) for d in deviations)
        if best is None or largest < best[0]:
            best = (largest, c)
        if largest <= abs(solution[degree + 1]) * mpf("1.001"):
            break
        picks = exchange(deviations, n)
        if picks is None:
            break
    return best[1]


def least_squares(samples, degree, power):
    """Weighted least squares fit by sum c[i] x^(power+i), i <= degree."""
    n = degree + 1
    rows = mpmath.matrix(n, n)
    right = mpmath.matrix(n, 1)
    for x, value, weight in samples[::8]:
        terms = [weight * x ** (power + i) for i in range(n)]
        for i in range(n):
            right[i] += terms[i] * value * weight
            for j in range(n):
                rows[i, j] += terms[i] * terms[j]
    solution = mpmath.lu_solve(rows, right)
    return [solution[i] for i in range(n)]


def exchange(deviations, n):
    """The n alternating extremes with the largest deviations, or None when there are fewer."""
    runs = []
    for i, d in enumerate(deviations):
        if runs and (d > 0) == (deviations[runs[-1]] > 0):
            if abs(d) > abs(deviations[runs[-1]]):
                runs[-1] = i
        else:
            runs.append(i)
    while len(runs) > n:
        runs.pop(0 if abs(deviations[runs[0]]) < abs(deviations[runs[-1]]) else -1)
    return runs if len(runs) == n else None


def fit(name, function, weight, low, high, degree, bits, series=None):
    """Coefficients rounded to `bits`, each rounding compensated by the ones after it. `function`
    must not be evaluated where it is 0/0: the grid avoids 0 by its spacing."""
    low, high = mpf(low), mpf(high)
    samples = []
    for i in range(GRID + 1):
        x = low + (high - low) * (1 - mpmath.cos(mp.pi * (i + mpf(1) / 3) / (GRID + 1))) / 2
        samples.append((x, function(x), weight(x)))
    exact = remez(samples, degree)
    targets = [(x, horner(exact, x), w) for x, v, w in samples]
    fixed = []
    for i in range(degree + 1):
        rest = [(x, v - horner(fixed, x), w) for x, v, w in targets]
        fixed.append(rounded(least_squares(rest, degree - i, i)[0], bits))
    final = max(abs(w * (horner(fixed, x) - v)) for x, v, w in samples)
    ideal = max(abs(w * (horner(exact, x) - v)) for x, v, w in samples)
    errors.append((name, mpmath.log(final, 2), mpmath.log(ideal, 2)))
    return fixed


def half_ln2():
    return mp.ln2 / 2


def single_polynomials():
    b = 24
    reach = half_ln2() * mpf("1.0001")
    yield "EXP", "(e^r - 1 - r) / r^2, |r| <= ln 2 / 2", fit(
        "exp", lambda r: (mpmath.expm1(r) - r) / r**2, lambda r: r**2 / mpmath.exp(r),
        -reach, reach, 4, b)
    yield "TANH", "(tanh(a) / a - 1) / z with z = a^2, a < 1", fit(
        "tanh", lambda z: (mpmath.tanh(mpmath.sqrt(z)) / mpmath.sqrt(z) - 1) / z,
        lambda z: z * mpmath.sqrt(z) / mpmath.tanh(mpmath.sqrt(z)), 0, 1, 6, b)
    middle, end = mpf("0.6875"), mpf("1.1875")
    root = mpmath.sqrt
    yield "ERF_NEAR", "erf(a) / a - 1 with w = a^2 - 0.6875, a < 1.1875", fit(
        "erf near", lambda w: mpmath.erf(root(w + middle)) / root(w + middle) - 1,
        lambda w: root(w + middle) / mpmath.erf(root(w + middle)),
        -middle, end**2 - middle, 7, b)
    yield "ERF_FAR", "log(1 - erf(a)) with t = a - 1.1875, 1.1875 <= a <= 4", fit(
        "erf far", lambda t: mpmath.log(mpmath.erfc(t + end)),
        lambda t: mpmath.erfc(t + end) / mpmath.erf(t + end), 0, 4 - end, 6, b)


def double_polynomials():
    b = 53
    reach = mp.ln2 / 128 * mpf("1.0001")
    yield "EXP", "(e^r - 1 - r) / r^2, |r| <= ln 2 / 128", fit(
        "exp", lambda r: (mpmath.expm1(r) - r) / r**2, lambda r: r**2 / mpmath.exp(r),
        -reach, reach, 4, b)
    reach = mpf(LOG_REACH)
    yield "LOG", "(log(1 + r) - r + r^2 / 2) / r^3, |r| < 0.0045", fit(
        "log", lambda r: (mpmath.log1p(r) - r + r**2 / 2) / r**3,
        lambda r: r**3 / mpmath.log1p(r), -reach, reach, 5, b)
    reach = (mp.pi / 4 * mpf("1.0001")) ** 2
    root = mpmath.sqrt
    yield "SIN", "(sin(r) / r - 1) / z with z = r^2, |r| <= pi / 4", fit(
        "sin", lambda z: (mpmath.sin(root(z)) / root(z) - 1) / z,
        lambda z: z * root(z) / mpmath.sin(root(z)), 0, reach, 6, b)
    yield "COS", "(cos(r) - 1 + z / 2) / z^2 with z = r^2, |r| <= pi / 4", fit(
        "cos", lambda z: (mpmath.cos(root(z)) - 1 + z / 2) / z**2,
        lambda z: z**2 / mpmath.cos(root(z)), 0, reach, 5, b)
    yield "ATAN", "(atan(t) / t - 1) / z with z = t^2, |t| <= 1 / 31", fit(
        "atan", lambda z: (mpmath.atan(root(z)) / root(z) - 1) / z,
        lambda z: z * root(z) / mpmath.atan(root(z)), 0, mpf(1) / 31**2, 4, b)
    reach = mpf("0.3501") ** 2
    yield "SINH", "(sinh(x) / x - 1) / z with z = x^2, |x| <= 0.35", fit(
        "sinh", lambda z: (mpmath.sinh(root(z)) / root(z) - 1) / z,
        lambda z: z * root(z) / mpmath.sinh(root(z)), 0, reach, 5, b)
    yield "TANH", "(tanh(x) / x - 1) / z with z = x^2, |x| <= 0.35", fit(
        "tanh", lambda z: (mpmath.tanh(root(z)) / root(z) - 1) / z,
        lambda z: z * root(z) / mpmath.tanh(root(z)), 0, reach, 9, b)


# log: m in [LOG_LOW, 2 LOG_LOW) is cut into 128 intervals by the 7 highest bits of its offset
# from LOG_LOW; inv is the reciprocal of each interval's middle to 11 places, 1 around m = 1.
LOG_LOW_BITS = 0x3FE6900000000000
LOG_REACH = "0.0045"
LOG_GRID = -42  # high parts are multiples of 2^LOG_GRID, so that k log 2 + log c is exact


def as_double(bits):
    import struct

    return mpf(struct.unpack("<d", struct.pack("<Q", bits))[0])


def log_table():
    rows = []
    for i in range(128):
        bits = LOG_LOW_BITS + (i << 45)
        low, high = as_double(bits), as_double(bits + (1 << 45))
        inv = to_grid(2 / (low + high), -11)
        if low <= 1 <= high:
            inv = mpf(1)
        for edge in (low, high):
            assert abs(edge * inv - 1) < mpf(LOG_REACH), (i, edge * inv - 1)
        high_part = to_grid(-mpmath.log(inv), LOG_GRID)
        low_part = rounded(-mpmath.log(inv) - high_part, 53)
        rows.append((inv, high_part, low_part))
    return rows


def exp_table():
    rows = []
    for i in range(64):
        value = mpf(2) ** (mpf(i) / 64)
        high = rounded(value, 53)
        rows.append((high, rounded(value - high, 53)))
    return rows


def atan_table():
    rows = []
    for i in range(17):
        value = mpmath.atan(mpf(i) / 16)
        high = rounded(value, 53)
        rows.append((high, rounded(value - high, 53)))
    return rows


def pieces(x, widths):
    """x as a sum of parts of these many bits, each part nearest."""
    out = []
    for width in widths:
        part = rounded(x, width)
        out.append(part)
        x -= part
    return out


def two_over_pi_words(count):
    """Binary digits of 2 / pi after the point, 32 a word, the highest first."""
    with mpmath.workprec(32 * count + 64):
        scaled = int(mpmath.floor(mpmath.ldexp(2 / mp.pi, 32 * count)))
    return [(scaled >> (32 * (count - 1 - i))) & 0xFFFFFFFF for i in range(count)]


HEADER = """/* {title}
 * Generated by tools/make_minimax.py; do not edit. Ownership: constants only. */
#ifndef {guard}
#define {guard}

"""


def define_polynomial(prefix, name, comment, coefficients, suffix):
    lines = [f"/* {comment} */"]
    for i, c in enumerate(coefficients):
        lines.append(f"#define {prefix}_{name}_{i} {hexadecimal(c, suffix)}")
    return "\n".join(lines) + "\n\n"


def define(name, value, suffix="", comment=""):
    tail = f" /* {comment} */" if comment else ""
    return f"#define {name} {hexadecimal(value, suffix)}{tail}\n"


def single_file():
    out = HEADER.format(title="Constants of the single precision functions.",
                        guard="ENGINE_ARITH_COEFFICIENTS_H")
    for name, comment, coefficients in single_polynomials():
        out += define_polynomial("ARITH", name, comment, coefficients, "f")
    high, low = pieces(mp.ln2, (15, 24))
    out += define("ARITH_LOG2_E", rounded(1 / mp.ln2, 24), "f")
    out += define("ARITH_LN2_HIGH", high, "f")
    out += define("ARITH_LN2_LOW", low, "f")
    out += define("ARITH_SQRT_HALF", rounded(mpmath.sqrt(mpf(1) / 2), 24), "f")
    c = mpmath.sqrt(2 / mp.pi)
    out += "/* gelu_tanh(x) = x / (1 + exp(x (GELU_1 + GELU_3 x^2))) */\n"
    out += define("ARITH_GELU_1", rounded(-2 * c, 24), "f", "-2 sqrt(2 / pi)")
    out += define("ARITH_GELU_3", rounded(-2 * c * mpf("0.044715"), 24), "f", "0.044715 times that")
    return out + "\n#endif\n"


def table_text(declaration, rows):
    out = declaration + " = {\n"
    for row in rows:
        out += "    {" + ", ".join(hexadecimal(x) for x in row) + "},\n"
    return out + "};\n\n"


def double_file():
    out = HEADER.format(title="Constants of the double precision functions.",
                        guard="ENGINE_ARITH_DOUBLE_TABLES_H") + "#include <stdint.h>\n\n"
    for name, comment, coefficients in double_polynomials():
        out += define_polynomial("DOUBLE", name, comment, coefficients, "")
    out += define("DOUBLE_EXP_STEPS", rounded(64 / mp.ln2, 53), "", "64 / ln 2")
    high, middle = pieces(mp.ln2 / 64, (34, 53))
    out += define("DOUBLE_EXP_STEP_HIGH", high, "", "ln 2 / 64 to 34 bits")
    out += define("DOUBLE_EXP_STEP_LOW", middle)
    out += define("DOUBLE_LN2_HIGH", to_grid(mp.ln2, LOG_GRID), "", f"a multiple of 2^{LOG_GRID}")
    out += define("DOUBLE_LN2_LOW", rounded(mp.ln2 - to_grid(mp.ln2, LOG_GRID), 53))
    out += define("DOUBLE_TWO_OVER_PI", rounded(2 / mp.pi, 53))
    parts = pieces(mp.pi / 2, (33, 33, 33, 53))
    for i, part in enumerate(parts):
        out += define(f"DOUBLE_HALF_PI_{i}", part, "", "pi / 2 to 33 + 33 + 33 + 53 bits" if i == 0 else "")
    for name, value in (("PI", mp.pi), ("LN2_PAIR", mp.ln2)):
        parts = pieces(value, (53, 53))
        out += define(f"DOUBLE_{name}_HIGH", parts[0]) + define(f"DOUBLE_{name}_LOW", parts[1])
    out += f"#define DOUBLE_LOG_LOW_BITS UINT64_C(0x{LOG_LOW_BITS:016X})\n\n"
    out += "/* 2^(i/64) = [0] + [1] */\n"
    out += table_text("static const double double_exp_table[64][2]", exp_table())
    out += "/* c to 11 binary places, -log c = [1] + [2], [1] a multiple of 2^%d */\n" % LOG_GRID
    out += table_text("static const double double_log_table[128][3]", log_table())
    out += "/* atan(i / 16) = [0] + [1] */\n"
    out += table_text("static const double double_atan_table[17][2]", atan_table())
    words = [0, 0] + two_over_pi_words(38)
    out += "/* 64 zeros, then the binary digits of 2 / pi after the point */\n"
    out += "static const uint32_t double_two_over_pi[40] = {\n"
    for i in range(0, 40, 8):
        out += "    " + ", ".join(f"0x{w:08X}" for w in words[i : i + 8]) + ",\n"
    return out + "};\n\n#endif\n"


def main():
    files = {"arith_coefficients.h": single_file, "arith_double_tables.h": double_file}
    same = True
    for name, make in files.items():
        text = make()
        if "--check" in sys.argv:
            equal = (ENGINE / name).read_text() == text
            print(f"{name}: {'as derived' if equal else 'differs from what is derived'}")
            same = same and equal
        else:
            (ENGINE / name).write_text(text)
        if "--errors" in sys.argv:
            for label, bits, ideal in errors:
                print(f"{name} {label}: 2^{mpmath.nstr(bits, 4)}, unrounded 2^{mpmath.nstr(ideal, 4)}")
            errors.clear()
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
