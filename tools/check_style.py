#!/usr/bin/env python3
"""Checks what the compiler cannot: layers, forbidden functions, sizes, text hygiene.

Reads the files that git knows. Prints one line a finding, `file:line: text`, and exits 1 when
there is one. The layers are those of ARCHITECTURE.md: a folder of src/ may include itself and the
folders named for it here.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FUNCTION_LINES = 70
FILE_LINES = 1000

CORE = ["base"]
LAYERS = {
    "base": [],
    "platform": CORE,
    "engine": CORE,
    "transform": CORE + ["engine"],
    "guest": CORE + ["engine", "transform"],
    "runtime": CORE + ["platform", "engine", "transform", "guest"],
    "router": CORE + ["platform", "engine", "guest", "runtime"],
    "store": CORE + ["platform", "engine", "guest", "runtime"],
    "trace": CORE + ["platform", "store"],
    "config": CORE + ["platform"],
}
EXCEPTIONS = {("platform", "engine/source.h")}  # the interface that files implement
BELOW_API = list(LAYERS)
LAYERS["machine"] = CORE + ["platform", "engine", "guest", "runtime"]  # a program of its own
LAYERS["api"] = BELOW_API
LAYERS["script"] = LAYERS["agent"] = BELOW_API + ["api", "script", "agent"]
LAYERS["server"] = LAYERS["script"]
LAYERS["cli"] = LAYERS["script"] + ["server"]

UNSAFE = "strcpy strcat sprintf vsprintf gets strtok atoi atol atoll atof strtol strtoul rand alloca system popen mktemp tmpnam"
SYSTEM = "malloc calloc realloc free printf fprintf snprintf fopen open read write exit abort getenv pthread_create"
LIBM = "expf exp logf log sinf sin cosf cos tanf tan powf pow sqrtf tanhf tanh erff erf roundf rintf"
CALL = r"(?<![\w.>])({})\s*\("
FORBIDDEN = re.compile(CALL.format("|".join(UNSAFE.split())))
FREESTANDING = re.compile(CALL.format("|".join((UNSAFE + " " + SYSTEM + " " + LIBM).split())))
INCLUDE = re.compile(r'^\s*#\s*include\s+"(([a-z_0-9]+)/[^"]+)"')
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

findings = []


def report(path, line, text):
    findings.append(f"{path}:{line}: {text}")


def tracked_files():
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    return [name for name in names.split("\0") if name and (ROOT / name).is_file()]


def without_comments(text):
    """Replaces comments and literals by spaces, line ends kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def check_layers(path, lines):
    folder = path.split("/")[1]
    allowed = LAYERS.get(folder)
    if allowed is None:
        report(path, 1, f"folder src/{folder} has no row in {pathlib.Path(__file__).name}")
        return
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match or (folder, match.group(1)) in EXCEPTIONS:
            continue
        other = match.group(2)
        if other != folder and other not in allowed and (ROOT / "src" / other).is_dir():
            report(path, number, f"src/{folder} may not include src/{other}")


def check_calls(path, code_lines):
    folder = path.split("/")[1]
    pattern = FREESTANDING if folder in ("base", "engine", "transform") else FORBIDDEN
    for number, line in enumerate(code_lines, 1):
        match = pattern.search(line)
        if match:
            report(path, number, f"{match.group(1)} is not used in src/{folder}")


def check_sizes(path, code_lines, generated):
    if generated:
        return
    if len(code_lines) > FILE_LINES:
        report(path, len(code_lines), f"{len(code_lines)} lines, at most {FILE_LINES} in a file")
    start = None
    for number, line in enumerate(code_lines, 1):
        opens = re.match(r"^[A-Za-z_].*\)\s*\{\s*$", line) or (
            re.match(r"^\s+.*\)\s*\{\s*$", line) and start is None and is_signature(code_lines, number)
        )
        if opens and start is None:
            start = number
        elif line.startswith("}") and start is not None:
            if number - start + 1 > FUNCTION_LINES:
                report(path, start, f"function of {number - start + 1} lines, at most {FUNCTION_LINES}")
            start = None


def is_signature(code_lines, number):
    """True when the line closes a signature that began at the left margin."""
    for line in reversed(code_lines[max(0, number - 8) : number - 1]):
        if line[:1] in ("}", "#", ""):
            return False
        if re.match(r"^[A-Za-z_]", line):
            return "(" in line and not line.rstrip().endswith((";", "{", "}"))
    return False


def check_text(path, raw):
    if b"\r\n" in raw:
        report(path, 1, "line ends with CR LF")
    if raw and not raw.endswith(b"\n"):
        report(path, raw.count(b"\n") + 1, "no newline at the end of the file")
    tabs_allowed = path.endswith(("Makefile", ".mk", ".tsv"))
    for number, line in enumerate(raw.split(b"\n"), 1):
        if line != line.rstrip() and not path.endswith(".md"):
            report(path, number, "white space at the end of the line")
        if b"\t" in line and not tabs_allowed:
            report(path, number, "tab")


def check_c(path, raw):
    text = raw.decode("utf-8")
    lines = text.splitlines()
    generated = "generated" in "\n".join(lines[:5]).lower()
    code_lines = without_comments(text).splitlines()
    for number, line in enumerate(lines, 1):
        if LEFTOVER.search(line):
            report(path, number, "unfinished work is not left in the code")
    if path.endswith(".h") and not text.startswith("/*"):
        report(path, 1, "a header starts with a comment: purpose and ownership")
    check_sizes(path, code_lines, generated)
    if path.startswith("src/"):
        check_layers(path, lines)
        check_calls(path, code_lines)


def main():
    suffixes = (".c", ".h", ".py", ".sh", ".cmake", ".bats", "Makefile", "CMakeLists.txt", ".ci/run")
    for path in tracked_files():
        if not path.endswith(suffixes) and path != "tests/run":
            continue
        if path.startswith(("tests/data/", "fuzz/corpus/")):
            continue
        raw = (ROOT / path).read_bytes()
        check_text(path, raw)
        if path.endswith((".c", ".h")):
            check_c(path, raw)
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
