#!/usr/bin/env python3
"""Writes src/engine/template/unicode_tables.c: what Python's str methods and repr() need to know
about characters beyond ASCII, so that the chat template renderer prints what Python prints.

Usage: tools/generate_template_unicode.py > src/engine/template/unicode_tables.c
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


def mapping(convert):
    return compress([(ord(c), ord(convert(c)) - ord(c)) for c in CHARACTERS
                     if len(convert(c)) == 1 and convert(c) != c])


def property_of(test):
    return compress([(ord(c), 0) for c in CHARACTERS if test(c)])


def print_ranges(name, rows):
    print(f"\nconst unicode_range {name}[] = {{")
    print(" ".join("{0x%X, 0x%X, %d, %d}," % row for row in rows))
    print("};")
    print(f"const size_t {name}_count = sizeof {name} / sizeof {name}[0];")


def points(text):
    return ", ".join(["0x%X" % ord(c) for c in text] + ["0"] * (3 - len(text)))


def main():
    print("/* Written by tools/generate_template_unicode.py from Unicode "
          f"{unicodedata.unidata_version}; do not edit. */")
    print('#include "engine/template/unicode.h"')
    print_ranges("unicode_upper", mapping(str.upper))
    print_ranges("template_unicode_lower", mapping(str.lower))
    print_ranges("unicode_title", compress(
        [(ord(c), ord(c.title()) - ord(c)) for c in CHARACTERS
         if len(c.title()) == 1 and c.title() != c.upper()]))
    print_ranges("unicode_is_upper", property_of(str.isupper))
    print_ranges("unicode_is_lower", property_of(str.islower))
    print_ranges("unicode_unprintable", property_of(lambda c: not c.isprintable()))
    print("\nconst unicode_special unicode_specials[] = {")
    for c in CHARACTERS:
        if max(len(c.upper()), len(c.lower()), len(c.title())) > 1:
            print("{0x%X, {%s}, {%s}, {%s}}," %
                  (ord(c), points(c.upper()), points(c.lower()), points(c.title())))
    print("};")
    print("const size_t unicode_specials_count = "
          "sizeof unicode_specials / sizeof unicode_specials[0];")


if __name__ == "__main__":
    main()
