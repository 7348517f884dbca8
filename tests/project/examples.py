#!/usr/bin/env python3
"""Builds the programs of examples/ against an installed tree, as their README says, and runs them:
answers equal those of the command line, failures have an exit status and a message with a hint.

Prints the closing line that tests/run reads.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from script_tests import Skip, run_tests

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "examples"
MODELS = ROOT / "tests/data/models"
BUILD = pathlib.Path(os.environ.get("TARS_BUILD") or ROOT / "build")
TARS = os.environ.get("TARS") or str(BUILD / "tars")
NAMES = ("complete", "embed", "tokenize")
# The initialisers of the headers name some members only, which C++ alone warns of.
CXX_FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wno-missing-field-initializers"]
PROMPT = "Tell me a story."
COMMANDS = {  # a model of the store, and arguments that succeed with it
    "complete": ["tiny", PROMPT],
    "embed": ["bert", "one text", "another text"],
    "tokenize": ["tiny", "hello \"world\"\nnext"],
}


class Scratch:
    """Folders of this run: the installed tree, the programs, one with a packed model in it."""

    def __init__(self, folder):
        self.prefix = folder / "prefix"
        self.programs = folder / "programs"
        self.work = folder / "work"
        for path in (self.programs, self.work):
            path.mkdir()


def run(*words, expect=0, **options):
    words = [str(word) for word in words]
    options = {"capture_output": True, "timeout": 100, **options}
    result = subprocess.run(words, text=True, errors="surrogateescape", **options)
    assert result.returncode == expect, (
        f"{' '.join(words)}: exit status {result.returncode}, expected {expect}\n"
        f"{result.stdout or ''}{result.stderr or ''}"
    )
    return result


def example(scratch, name, *words, expect=0, **options):
    result = run(scratch.programs / name, *words, expect=expect, **options)
    if expect == 0:
        assert result.stderr == "", f"{name} wrote on standard error: {result.stderr}"
    return result


def fails(scratch, name, *words, expect, says):
    """The program says what is wrong and what to do, on standard error only."""
    result = example(scratch, name, *words, expect=expect, cwd=scratch.work)
    assert result.stdout == "", f"{name} printed {result.stdout!r}"
    for text in (f"{name}: ", "\n  hint: ", *says):
        assert text in result.stderr, f"{name}: no {text!r} in {result.stderr!r}"


def tars_json(*words):
    return json.loads(run(TARS, *words, "--json").stdout)


def pkg_config(*words):
    return run("pkg-config", *words, "tars").stdout.split()


def compile_example(scratch, name, compiler, flags=(), suffix=""):
    """Links with what pkg-config says; any word of the compiler is a failure."""
    source = EXAMPLES / f"{name}.c"
    words = [*flags, source, "-o", scratch.programs / (name + suffix)]
    result = run(*compiler, *words, *pkg_config("--cflags", "--libs"))
    assert result.stdout + result.stderr == "", f"{name}.c: {result.stdout}{result.stderr}"


def warnings_of_project():
    text = (ROOT / "cmake/warnings.cmake").read_text(encoding="utf-8")
    flags = re.search(r"add_compile_options\((-Wall[^)]*)\)", text).group(1).split()
    flags = [flag for flag in flags if not flag.startswith("$")]  # those are for the arithmetic
    assert "-Wconversion" in flags, f"flags found in cmake/warnings.cmake: {flags}"
    return flags


def test_install(scratch):
    run("cmake", "--install", BUILD, "--prefix", scratch.prefix)
    library = next(scratch.prefix.rglob("libtars.so"), None)
    assert library, f"no libtars.so below {scratch.prefix}"
    os.environ["PKG_CONFIG_PATH"] = str(library.parent / "pkgconfig")
    os.environ["LD_LIBRARY_PATH"] = str(library.parent)
    cflags = pkg_config("--cflags")
    assert any(str(scratch.prefix) in os.path.realpath(flag[2:]) for flag in cflags), f"{cflags}"


def test_includes(scratch):
    del scratch
    for name in NAMES:
        text = (EXAMPLES / f"{name}.c").read_text(encoding="utf-8")
        ours = [line for line in re.findall(r"#include +(\S+)", text) if "tars" in line or '"' in line]
        assert ours == ["<tars/tars.h>"], f"{name}.c includes {ours}"


def test_compile(scratch):
    for name in NAMES:
        compile_example(scratch, name, ["cc"])


def test_compile_strict(scratch):
    for name in NAMES:
        compile_example(scratch, name, ["cc", "-std=c17", "-O2", *warnings_of_project()], suffix="-strict")


def test_compile_cxx(scratch):
    if not shutil.which("c++"):
        raise Skip("no c++ here")
    for name in NAMES:
        compile_example(scratch, name, ["c++", "-x", "c++", *CXX_FLAGS], suffix="-c++")


def test_models(scratch):
    for name, file in (("tiny", "tiny.gguf"), ("bert", "arch/bert-mean.gguf")):
        packed = tars_json("import", MODELS / file, "--name", name)["packed_sha256"]
        blob = next(pathlib.Path(os.environ["TARS_HOME"]).rglob(f"{packed}*"), None)
        assert blob, f"no packed file {packed} below TARS_HOME"
        shutil.copy(blob, scratch.work / f"{name}.tars")


def test_complete(scratch):
    words = ["run", "tiny", PROMPT, "--temperature", "0", "--max-tokens", "256"]
    expected = tars_json(*words)["text"]
    assert len(expected) > 20, f"the command line answers {expected!r}"
    found = example(scratch, "complete", "tiny", PROMPT).stdout
    assert found == expected + "\n", f"{found!r}, expected {expected!r}"


def test_embed(scratch):
    texts = ["the cat sat", "a dog ran far away"]
    a, b = tars_json("embed", "bert", *texts)["embeddings"]
    cosine = sum(x * y for x, y in zip(a, b))
    found = example(scratch, "embed", "bert", *texts).stdout
    match = re.fullmatch(r"dimension: (\d+)\ncosine similarity: (-?\d\.\d{4})\n", found)
    assert match, f"printed {found!r}"
    assert int(match[1]) == len(a), f"dimension {match[1]}, expected {len(a)}"
    assert abs(float(match[2]) - cosine) < 0.0002, f"cosine {match[2]}, expected {cosine}"
    assert abs(cosine) < 0.9999, "the two texts are no test: they are equal to the model"
    same = example(scratch, "embed", "bert", texts[0], texts[0]).stdout
    assert same.endswith(" 1.0000\n"), f"equal texts: {same!r}"


def test_tokenize(scratch):
    text = 'hello "wörld"\nnext \\ line'
    expected = tars_json("tokenize", "tiny", text)
    lines = example(scratch, "tokenize", "tiny", text).stdout.splitlines()
    found = [re.fullmatch(r' *(\d+)  "(.*)"', line) for line in lines]
    assert all(found), f"printed {lines}"
    assert [int(m[1]) for m in found] == expected["ids"], f"{lines}, expected {expected['ids']}"
    pieces = b"".join(m[2].encode().decode("unicode_escape").encode("latin-1") for m in found)
    assert pieces.decode() == text, f"pieces {pieces!r}"


def test_paths(scratch):
    """A packed file is opened without a store, and gives what the name gave."""
    environment = dict(os.environ, TARS_HOME=str(scratch.work / "no-store"))
    for name, (model, *words) in COMMANDS.items():
        by_name = example(scratch, name, model, *words).stdout
        by_path = example(scratch, name, f"./{model}.tars", *words, cwd=scratch.work, env=environment)
        assert by_path.stdout == by_name, f"{name}: {by_path.stdout!r}, by name {by_name!r}"


def test_as_cxx(scratch):
    if not shutil.which("c++"):
        raise Skip("no c++ here")
    for name, words in COMMANDS.items():
        c, cxx = (example(scratch, program, *words).stdout for program in (name, f"{name}-c++"))
        assert c == cxx, f"{name}: {cxx!r} as C++, {c!r} as C"


def test_missing_file(scratch):
    for name, (_, *words) in COMMANDS.items():
        path = "./not-there.tars"
        fails(scratch, name, path, *words, expect=5, says=["No such file", f"where: {path}"])


def test_unknown_name(scratch):
    for name, (_, *words) in COMMANDS.items():
        fails(scratch, name, "not-there", *words, expect=5, says=["not-there"])


def test_not_packed(scratch):
    for name, (_, *words) in COMMANDS.items():
        fails(scratch, name, MODELS / "tiny.gguf", *words, expect=2, says=["tars import"])


def test_wrong_kind_of_model(scratch):
    fails(scratch, "complete", "bert", PROMPT, expect=2, says=[])
    fails(scratch, "embed", "tiny", "one", "two", expect=2, says=[])


def test_wrong_usage(scratch):
    for name in NAMES:
        for words in ([], ["tiny"], ["tiny", "a", "b", "c"]):
            result = example(scratch, name, *words, expect=2)
            assert result.stderr.startswith(f"usage: {name} MODEL "), f"{result.stderr!r}"
            assert result.stdout == "", f"{name} printed {result.stdout!r}"


def test_full_disk(scratch):
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full here")
    for name, words in COMMANDS.items():
        with open("/dev/full", "w", encoding="ascii") as full:
            streams = {"capture_output": False, "stdout": full, "stderr": subprocess.PIPE}
            result = example(scratch, name, *words, expect=1, **streams)
        assert "cannot write to standard output" in result.stderr, f"{name}: {result.stderr!r}"


TESTS = [
    test_install, test_includes, test_compile, test_compile_strict, test_compile_cxx, test_models,
    test_complete, test_embed, test_tokenize, test_paths, test_as_cxx, test_missing_file,
    test_unknown_name, test_not_packed, test_wrong_kind_of_model, test_wrong_usage, test_full_disk,
]


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TARS_HOME"] = os.path.join(folder, "home")
        return run_tests(TESTS, Scratch(pathlib.Path(folder).resolve()))


if __name__ == "__main__":
    sys.exit(main())
