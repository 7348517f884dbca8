#!/usr/bin/env python3
"""Writes src/engine/template/letter_case_tables.c: upper and title case beyond ASCII, so that the
chat template renderer does what Python's str methods do. Lower case and the categories come from
the tokenizer's tables (tools/make_unicode_tables.py).

Usage: tools/make_letter_case_tables.py > src/engine/template/letter_case_tables.c
Then clang-format -i on the result. The tables follow the running Python's unicodedata version.
"""
import unicodedata

FIRST = 0x80
LAST = 0x10FFFF
CHARACTERS = [chr(c) for c in range(FIRST, LAST + 1) if not 0xD800 <= c <= 0xDFFF]


def compress(pairs):
    """(code point, delta) pairs to rows of first, last, stride, delta."""
    rows, start = [], 0
    while start < len(pairs):
        best, best_stride = 1, 1
        for stride in (1, 2):
            end = start
            while (end + 1 < len(pairs) and pairs[end + 1][0] - pairs[end][0] == stride
                   and pairs[end + 1][1] == pairs[start][1]):
                end += 1
            if end - start + 1 > best:
                best, best_stride = end - start + 1, stride
        rows.append((pairs[start][0], pairs[start + best - 1][0], best_stride, pairs[start][1]))
        start += best
    return rows


def print_ranges(name, pairs):
    print(f"\nconst letter_case_range letter_case_{name}[] = {{")
    print(" ".join("{0x%X, 0x%X, %d, %d}," % row for row in compress(pairs)))
    print("};")
    print(f"const size_t letter_case_{name}_count = sizeof letter_case_{name} / "
          f"sizeof letter_case_{name}[0];")


def points(text):
    return ", ".join(["0x%X" % ord(c) for c in text] + ["0"] * (3 - len(text)))


def main():
    print("/* Written by tools/make_letter_case_tables.py from Unicode "
          f"{unicodedata.unidata_version}; do not edit. */")
    print('#include "engine/template/letter_case_tables.h"')
    print_ranges("upper", [(ord(c), ord(c.upper()) - ord(c)) for c in CHARACTERS
                           if len(c.upper()) == 1 and c.upper() != c])
    print_ranges("title", [(ord(c), ord(c.title()) - ord(c)) for c in CHARACTERS
                           if len(c.title()) == 1 and c.title() != c.upper()])
    print_ranges("other_upper", [(ord(c), 0) for c in CHARACTERS
                                 if c.isupper() and unicodedata.category(c) != "Lu"])
    print_ranges("other_lower", [(ord(c), 0) for c in CHARACTERS
                                 if c.islower() and unicodedata.category(c) != "Ll"])
    print("\nconst letter_case_special letter_case_specials[] = {")
    for c in CHARACTERS:
        if max(len(c.upper()), len(c.title())) > 1:
            print("{0x%X, {%s}, {%s}}," % (ord(c), points(c.upper()), points(c.title())))
    print("};")
    print("const size_t letter_case_specials_count = "
          "sizeof letter_case_specials / sizeof letter_case_specials[0];")


if __name__ == "__main__":
    main()
