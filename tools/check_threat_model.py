#!/usr/bin/env python3
"""Every test, escape row and fuzz target that docs/threat-model.md names is there, every claim
names one, and every escape row and fuzz target is named.

  tools/check_threat_model.py [FILE]    another page than docs/threat-model.md

A claim is a row of a table whose last column is "shown by". That column holds code spans alone:

  W14                           an escape row: an id of tests/escape/cases.toml
  fuzz_wire                     a fuzz target: fuzz/fuzz_wire.c
  runtime/test_wasi: NAME; NAME names in the table of tests/runtime/test_wasi.c
  cli/exec.bats: NAME; NAME     names of @test in tests/cli/exec.bats
  project/walls.py: NAME        a function test_NAME of tests/project/walls.py, with spaces for _
  project/symbols.sh            a script of tests/project as a whole
"""

import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/threat-model.md"
ESCAPE = re.compile(r"[A-Z]\d\d")
FUZZ = re.compile(r"fuzz_\w+")
TESTS = re.compile(r"((?:\w+/)+[\w.]+)(?:: (.+))?", re.S)
SPAN = re.compile(r"`([^`]+)`")
HEADING = "shown by"


def escape_ids():
    cases = tomllib.loads((ROOT / "tests/escape/cases.toml").read_text(encoding="utf-8"))["case"]
    return {case["id"] for case in cases}


def fuzz_targets():
    return {path.stem for path in (ROOT / "fuzz").glob("fuzz_*.c")}


def has_test(path, text, name):
    quoted = re.escape(name)
    if path.suffix == ".bats":
        return re.search(rf'^@test "{quoted}" \{{', text, re.M)
    if path.suffix == ".py":
        return re.search(rf"^def test_{re.escape(name.replace(' ', '_'))}\(", text, re.M)
    return re.search(rf'\{{\s*"{quoted}",\s*\w+\s*\}}', text)


def problem_of_tests(words, names):
    path = ROOT / "tests" / (words if "." in words.rsplit("/", 1)[1] else words + ".c")
    if not path.is_file():
        return f"no such file: {path.relative_to(ROOT)}"
    if names is None:
        return None if path.suffix == ".sh" else f"which tests of {words}?"
    text = path.read_text(encoding="utf-8")
    missing = [name for name in names.split("; ") if not has_test(path, text, name)]
    return f"{words} has no test: {'; '.join(missing)}" if missing else None


def problem_of(span, ids, targets):
    """None for a reference that is right, else what is wrong with it."""
    if ESCAPE.fullmatch(span):
        return None if span in ids else f"no such escape row: {span}"
    if FUZZ.fullmatch(span):
        return None if span in targets else f"no such fuzz target: {span}"
    tests = TESTS.fullmatch(span)
    return problem_of_tests(*tests.groups()) if tests else f"neither test, row nor target: {span}"


def cells_of(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def claims_of(text):
    """(line number, last cell) of each row of the tables of claims."""
    is_table = is_claims = False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("|"):
            is_table = False
        elif not is_table:
            is_table, is_claims = True, cells_of(line)[-1] == HEADING
        elif is_claims and not re.fullmatch(r"[|\-: ]+", line):
            yield number, cells_of(line)[-1]


def problems_of(text):
    ids, targets = escape_ids(), fuzz_targets()
    n_claims, named = 0, set()
    for number, cell in claims_of(text):
        n_claims += 1
        spans = SPAN.findall(cell)
        named.update(spans)
        if not spans:
            yield f"line {number}: the claim names no test: move it to what is not shown"
        if rest := SPAN.sub("", cell).strip(" ,"):
            yield f"line {number}: beside tests the cell says: {rest}"
        for span in spans:
            if problem := problem_of(span, ids, targets):
                yield f"line {number}: {problem}"
    if n_claims == 0:
        yield f'no table whose last column is "{HEADING}"'
    for number, line in enumerate(text.splitlines(), 1):
        for span in SPAN.findall(line):
            is_reference = ESCAPE.fullmatch(span) or FUZZ.fullmatch(span)
            if is_reference and span not in ids | targets:
                yield f"line {number}: neither escape row nor fuzz target: {span}"
    for name in sorted((ids | targets) - named):
        yield f"{name} is in no claim: add it to the row that it shows"


def main():
    page = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    problems = list(dict.fromkeys(problems_of(page.read_text(encoding="utf-8"))))
    for problem in problems:
        print(f"{page.name}: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
