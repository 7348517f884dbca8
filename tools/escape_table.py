#!/usr/bin/env python3
"""Makes docs/escapes.md of tests/escape/cases.toml.

  tools/escape_table.py          writes it
  tools/escape_table.py --check  exit status 1 when it is not as it would be written
"""

import pathlib
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/escapes.md"

HEAD = """# What strangers' programs try

Made of [tests/escape/cases.toml](../tests/escape/cases.toml) by `tools/escape_table.py`.
`tests/project/escape.py` runs every row with `tars exec`, as `make test` does, and compares how it
ends; after each row the files beside the granted folders must be as they were. Rows of micro-VMs
run a second time with `--isolate-host`.

How a run ends: `ok`, the program ended by itself; `trap`, a fault ended it; `limit`, a limit ended
it; `denied`, it was refused something and then did not end with 0. A module that is refused is not
run at all. No host function calls a guest back, so that there is no way in again through one.
"""

TITLES = {"wasm": "WebAssembly", "native": "Processes", "microvm": "Micro-VMs"}


def count_of(case):
    if "tests" in case:
        return len(case["tests"])
    counts = [
        max(1, len(case.get("variants", []))),
        max(1, len(case.get("program_each", []))),
        max(1, len(case.get("options_each", []))),
        max(1, len(case.get("arguments_each", []))),
        max(1, len(case.get("bytes", [])) + len(case.get("generate", []))),
    ]
    total = 1
    for count in counts:
        total *= count
    return total


def ending_of(case):
    if "ends_with" in case:
        return case["ends_with"]
    if case.get("ends"):
        return "compiled or refused, within the compiler's limits"
    if "error" in case or "refused" in case:
        return "refused: " + " or ".join(case.get("refused", [case.get("error")]))
    words = case["status"]
    if "exit_code" in case:
        words += f", exit code {case['exit_code']}"
    listed = case.get("violations", [])
    if listed == "any":
        return words + "; refusals are counted"
    names = [v.split()[1] for v in listed]
    return words + ("; named: " + ", ".join(names) if names else "")


def escape(text):
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


def page():
    cases = tomllib.loads((ROOT / "tests/escape/cases.toml").read_text())["case"]
    lines = [HEAD]
    for runtime, title in TITLES.items():
        rows = [c for c in cases if c.get("runtime", "wasm") == runtime]
        lines.append(f"## {title}\n")
        lines.append("| | it tries | runs | it must end |\n|---|---|---|---|")
        for c in rows:
            tries, ends = escape(c["tries"]), escape(ending_of(c))
            lines.append(f"| {c['id']} | {tries} | {count_of(c)} | {ends} |")
        lines.append("")
    return "\n".join(lines)


def main():
    if sys.argv[1:] == ["--check"]:
        if PAGE.read_text() == page():
            return 0
        print(f"{PAGE.relative_to(ROOT)} is out of date: run tools/escape_table.py")
        return 1
    PAGE.write_text(page())
    return 0


sys.exit(main())
