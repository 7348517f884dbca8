#!/usr/bin/env python3
"""The escape suite: runs every row of tests/escape/cases.toml through `tars exec` and compares how
it ends with what the row says. Words given as arguments run only rows whose id or text has them, or
whose runtime they name. Rows of micro-VMs run twice, in this process and with --isolate-host; given
that, nothing else runs."""

import json
import os
import pathlib
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import tomllib

from script_tests import Skip, run_tests

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("TARS_BUILD", ROOT / "build"))
TARS = os.environ.get("TARS", str(BUILD / "tars"))
SUITE = ROOT / "tests/escape"
OUT = BUILD / "escape"
LONGEST_S = 120


# ---- modules that are made ---------------------------------------------------------------------


def leb(n):
    out = bytearray()
    while True:
        byte, n = n & 0x7F, n >> 7
        out.append(byte | (0x80 if n else 0))
        if not n:
            return bytes(out)


def section(number, content):
    return bytes([number]) + leb(len(content)) + content


def vector(items):
    return leb(len(items)) + b"".join(items)


def name(text):
    return leb(len(text)) + text


HEADER = b"\0asm\1\0\0\0"


def module(bodies, before_code=b"", after_code=b""):
    """Functions without parameters or results; the first is _start."""
    return (
        HEADER
        + section(1, vector([b"\x60\0\0"]))
        + section(3, leb(len(bodies)) + b"\0" * len(bodies))
        + section(5, vector([b"\0\1"]))
        + section(7, vector([name(b"_start") + b"\0\0", name(b"memory") + b"\2\0"]))
        + before_code
        + section(10, vector([leb(len(b)) + b for b in bodies]))
        + after_code
    )


NOTHING = b"\0\x0b"


def many_locals(n=49_999):
    return module([leb(1) + leb(n) + b"\x7e" + b"\x0b"])


def large_jump_table(n=60_000):
    table = b"\x0e" + leb(n) + b"\0" * n + b"\0"
    return module([b"\0\x02\x40" + b"\x41\x00" + table + b"\x0b\x0b"])


def deep_blocks(n=30_000):
    return module([b"\0" + b"\x02\x40" * n + b"\x0b" * n + b"\x0b"])


def straight_calls(n=20_000):
    """n calls of fd_write(1, 0, 4194303, 33554424) in one body: nothing where time is looked at."""
    call = b"\x41\x01\x41\x00\x41" + b"\xff\xff\xff\x01" + b"\x41" + b"\xf8\xff\xff\x0f" + b"\x10\x00\x1a"
    body = b"\0" + call * n + b"\x0b"
    wasi = name(b"wasi_snapshot_preview1")
    return (
        HEADER
        + section(1, vector([b"\x60\x04\x7f\x7f\x7f\x7f\x01\x7f", b"\x60\0\0"]))
        + section(2, vector([wasi + name(b"fd_write") + b"\0\0"]))
        + section(3, vector([b"\1"]))
        + section(5, vector([b"\0" + leb(512)]))
        + section(7, vector([name(b"_start") + b"\0\1", name(b"memory") + b"\2\0"]))
        + section(10, vector([leb(len(body)) + body]))
    )


GENERATED = {
    "straight_calls": straight_calls,
    "many_locals": many_locals,
    "too_many_locals": lambda: many_locals(60_000),
    "large_jump_table": large_jump_table,
    "too_large_jump_table": lambda: large_jump_table(100_000),
    "many_functions": lambda: module([NOTHING] * 200_000),
    "large_body": lambda: module([b"\0" + b"\x41\x00\x1a" * 1_400_000 + b"\x0b"]),
    "deep_blocks": deep_blocks,
    "too_large_module": lambda: module([NOTHING], after_code=section(0, name(b"x") + bytes(65 << 20))),
    "large_custom_section": lambda: module(
        [NOTHING], after_code=section(0, name(b"dwarf") + bytes(10 << 20)) + section(0, name(b""))
    ),
    "many_names": lambda: module(
        [NOTHING],
        after_code=section(
            0,
            name(b"name") + section(1, vector([leb(i) + name(b"n%d" % i) for i in range(1_000_000)])),
        ),
    ),
}


# ---- programs ----------------------------------------------------------------------------------


def run_tool(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stderr[-400:]}")


def compile_c(source, target):
    headers = max((p.stat().st_mtime for p in source.parent.glob("*.h")), default=0)
    if target.exists() and target.stat().st_mtime > max(source.stat().st_mtime, headers):
        return
    if source.parent.name == "wasm":
        if not shutil.which("clang-19"):
            raise Skip("clang-19 is not here")
        run_tool(["clang-19", "--target=wasm32-wasi", "-O1", "-o", str(target), str(source)])
    else:
        run_tool(["cc", "-O1", "-pthread", "-static", "-o", str(target), str(source)])


def programs_of(case):
    """Yields (words for messages, path) for each program of the row."""
    OUT.mkdir(exist_ok=True)
    for i, text in enumerate(case.get("bytes", [])):
        path = OUT / f"bytes-{case['id']}-{i}.wasm"
        path.write_bytes(bytes.fromhex(text))
        yield text[:40], path
    for kind in case.get("generate", []):
        path = OUT / f"{kind}.wasm"
        path.write_bytes(GENERATED[kind]())
        yield kind, path
    for relative in case.get("program_each", [case["program"]] if "program" in case else []):
        source = SUITE / relative
        if source.suffix == ".c":
            path = OUT / f"{source.parent.name}-{source.stem}"
            compile_c(source, path)
            yield relative, path
            continue
        for i, variant in enumerate(case.get("variants", [""])):
            x, y, z = (variant.split("|") + ["", ""])[:3] if "|" in variant else (variant, "", "")
            text = source.read_text().replace("@X@", x).replace("@Y@", y).replace("@Z@", z)
            made, path = OUT / f"{source.stem}-{i}.wat", OUT / f"{source.stem}-{i}.wasm"
            made.write_text(text)
            run_tool([str(BUILD / "tests/wat_to_wasm"), str(made), str(path)])
            yield variant or relative, path


# ---- the world of a run ------------------------------------------------------------------------


class World:
    """Two folders that are granted, and beside them what must stay as it is."""

    def __init__(self, path):
        self.path = path
        self.data, self.shelf = path / "data", path / "shelf"
        for folder in (self.data, self.shelf):
            (folder / "sub").mkdir(parents=True)
            (folder / "inside.txt").write_text("inside\n")
        (path / "outside.txt").write_text("outside\n")
        links = {
            "out": "../outside.txt",
            "out_folder": "..",
            "root": "/",
            "loop": "loop",
            "in": "inside.txt",
        }
        for link, target in links.items():
            (self.data / link).symlink_to(target)
        for which, words in (("real", "inside"), ("other", "outside")):
            folder = (self.data if which == "real" else path) / which
            folder.mkdir()
            (folder / "file").write_text(words)
        os.chmod(path, 0o755)
        for folder in (self.data, self.shelf):  # a process sandbox made by root is nobody
            os.chmod(folder, 0o777)

    def seen_outside(self):
        entries = sorted(p.name for p in self.path.iterdir())
        shelf = sorted(p.name for p in self.shelf.iterdir())
        texts = [p.read_text() for p in (self.path / "outside.txt", self.path / "other/file")]
        return entries, shelf, texts, (self.shelf / "inside.txt").read_text()


class Swap:
    """Swaps data/changing between a folder and a link that leads out, as fast as it goes."""

    def __init__(self, world):
        self.world, self.ends = world, threading.Event()
        self.count, self.problem = 0, None
        self.thread = threading.Thread(target=self.work)

    def work(self):
        try:
            self.swap()
        except OSError as problem:
            self.problem = problem

    def swap(self):
        changing, real = self.world.data / "changing", self.world.data / "real"
        link = self.world.data / "spare"
        while not self.ends.is_set():
            os.rename(real, changing)
            os.rename(changing, real)
            os.symlink("../other", link)
            os.rename(link, changing)
            os.unlink(changing)
            self.count += 1

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()
        assert not self.problem, f"swapping ended: {self.problem}"
        assert self.count >= 10, f"only {self.count} swaps"


def tamper(home, count):
    """Changes the compiled code that is kept, in a way of its own for each count."""
    kept = sorted(home.glob("cache/*"), key=lambda p: p.stat().st_size)
    assert kept, "nothing is kept to tamper with"
    data = bytearray(kept[-1].read_bytes())
    ways = [
        lambda: data.__setitem__(len(data) // 2, data[len(data) // 2] ^ 1),
        lambda: data.__setitem__(0, data[0] ^ 0x80),
        lambda: data.__setitem__(len(data) - 1, data[-1] ^ 1),
        lambda: data.__delitem__(slice(len(data) // 2, None)),
        lambda: data.clear(),
        lambda: data.extend(b"more"),
    ]
    ways[count]()
    kept[-1].write_bytes(bytes(data))
    return len(ways)


# ---- running and judging -----------------------------------------------------------------------


def command_of(case, path, options, arguments, world):
    options = [*(["--isolate-host"] if case.get("isolated") else []), *options]
    places = {"DATA": str(world.data), "SHELF": str(world.shelf)}
    filled = [re.sub(r"^(DATA|SHELF)(?=::)", lambda m: places[m.group(1)], o) for o in options]
    runtime = case.get("runtime", "wasm")
    return [TARS, "exec", "--runtime", runtime, *filled, str(path), "--", *arguments]


def run(command, home):
    env = dict(os.environ, TARS_HOME=str(home), SECRET="of the host")
    done = subprocess.run(
        command[:2] + ["--json"] + command[2:],
        capture_output=True,
        env=env,
        stdin=subprocess.DEVNULL,
        timeout=LONGEST_S,
    )
    assert done.returncode in range(0, 6), f"tars ended with {done.returncode}: {done.stderr[-300:]}"
    text = done.stdout.decode()
    hidden = re.search("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", text)
    assert not hidden, f"the document has {hidden.group(0)!r} as it is"
    return json.loads(text), done.returncode, done.stderr.decode("utf-8", "replace")


def check_violations(expected, found):
    if expected == "any":
        return
    rows = [f"{v['kind']} {v['name']} {v['count']}" for v in found]
    loose = [" ".join(e.split()[:2]) if e.endswith("*") else e for e in expected]
    for row in rows:
        assert row in loose or row.rsplit(" ", 1)[0] in loose, f"unexpected violation {row}"
    for e in loose:
        assert any(r == e or r.rsplit(" ", 1)[0] == e for r in rows), f"no violation {e} in {rows}"


def judge(case, document, status):
    if case.get("ends"):  # whatever it is, and soon
        return
    error = document.get("error")
    if case.get("runtime") == "native" and error and error["code"] == "unavailable":
        raise Skip(error["message"])
    if "error" in case or "refused" in case:
        assert error, f"was run: {str(document)[:300]}"
        codes = case.get("refused", [case.get("error")])
        assert error["code"] in codes, f"error {error}"
        said = error["message"] + error["cause"]
        assert case.get("error_says", "") in said, f"error {error}"
        return
    assert not error, f"error {error}"
    found = {k: document.get(k) for k in ("status", "exit_code", "stdout", "stderr", "message")}
    assert document["status"] == case["status"], f"{found} {document['violations']}"
    if case["status"] == "ok" and "exit_status" not in case:
        assert document["exit_code"] == case.get("exit_code", 0), found
    by_signal = case["status"] == "trap" and case.get("runtime", "wasm") != "wasm"
    if by_signal:
        assert document["exit_code"] > 128, found
    elif case["status"] in ("trap", "limit") and "exit_code" not in case:
        assert document["exit_code"] == -1, found
    for key in ("exit_code", "stdout"):
        assert case.get(key, document[key]) == document[key], found
    assert case.get("message", "") in document.get("message", ""), found
    nameless = any("names of refused" in m for m in document["missing"])
    check_violations("any" if nameless else case.get("violations", []), document["violations"])
    if "output_bytes" in case:
        assert len(document["stdout"] + document["stderr"]) == case["output_bytes"], "output"
    expected = {"ok": 0 if document["exit_code"] == 0 else 1, "trap": 1, "limit": 4, "denied": 3}
    assert status == expected[case["status"]], f"exit status {status}"


def run_on_terminal(command, home):
    """What a person would see: no byte of it may be a control character but ends of lines."""
    seen = bytearray()
    env = dict(os.environ, TARS_HOME=str(home), TERM="xterm", NO_COLOR="1")
    parent, child = pty.openpty()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=child, stderr=child, env=env)
    os.close(child)
    try:
        while block := os.read(parent, 4096):
            seen += block
    except OSError:  # how Linux tells the end of a terminal
        pass
    process.wait()
    os.close(parent)
    assert b"plain" in seen and b"red" in seen, bytes(seen)
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", seen), bytes(seen)


def run_tests_of(case):
    """Tests of a program of tests/: what `tars exec` cannot run, as an engine that was taken over."""
    program = BUILD / "tests" / case["tested_by"]
    if not program.exists():
        raise Skip(f"{program.name} is not built")
    for name in case["tests"]:
        done = subprocess.run([str(program), name], capture_output=True, text=True, timeout=LONGEST_S)
        last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else f"ended with {done.returncode}"
        if done.returncode == 0 and last.endswith(" 0 failed, 1 skipped"):
            raise Skip(done.stdout.strip().splitlines()[0])
        assert done.returncode == 0 and last == "1 passed, 0 failed, 0 skipped", f"{name}: {done.stdout[-600:]}"


def run_case(case, home):
    if "tested_by" in case:
        run_tests_of(case)
        return
    for words, path in programs_of(case):
        for options in case.get("options_each", [case.get("options", [])]):
            for arguments in case.get("arguments_each", [case.get("arguments", [])]):
                with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
                    world = World(pathlib.Path(scratch) / "world")
                    before = world.seen_outside()
                    command = command_of(case, path, options, arguments, world)
                    try:
                        run_once(case, command, home, world)
                    except AssertionError as problem:
                        raise AssertionError(f"{words} {options} {arguments}: {problem}") from None
                    assert world.seen_outside() == before, f"{words}: something outside changed"


def run_once(case, command, home, world):
    doing = case.get("while")
    if doing == "swap":
        with Swap(world):
            judge(case, *run(command, home)[:2])
    elif doing == "terminal":
        run_on_terminal(command, home)
    elif doing == "tamper":
        own = home.parent / "tampered"  # where only this module is kept
        own.mkdir()
        run(command, own)
        count, ways = 0, 1
        while count < ways:
            ways = tamper(own, count)
            document, status, told = run(command, own)
            judge(case, document, status)
            assert "compiled anew" in told, f"changed code was taken without a word, way {count}"
            count += 1
    else:
        judge(case, *run(command, home)[:2])


def test_page_is_current():
    done = subprocess.run([str(ROOT / "tools/escape_table.py"), "--check"], capture_output=True)
    assert done.returncode == 0, done.stdout.decode()


def main():
    probe = subprocess.run([TARS, "doctor", "--json"], capture_output=True, text=True)
    checks = {c["name"]: c for c in json.loads(probe.stdout).get("checks", [])}
    unavailable = {
        r: checks[f"runtime: {r}"]["detail"]
        for r in ("wasm", "microvm")
        if checks[f"runtime: {r}"]["status"] == "unavailable"
    }
    if checks["sandbox"]["status"] == "unavailable":
        unavailable["native"] = checks["sandbox"]["detail"]
    cases = tomllib.loads((SUITE / "cases.toml").read_text())["case"]
    words = [w for w in sys.argv[1:] if w != "--isolate-host"]
    isolated = [{**c, "isolated": True} for c in cases if c.get("runtime") == "microvm"]
    cases = isolated if "--isolate-host" in sys.argv else cases + isolated
    with tempfile.TemporaryDirectory(prefix="tars-escape-") as scratch:
        os.chmod(scratch, 0o755)
        home = pathlib.Path(scratch) / "home"
        home.mkdir()
        tests = [] if len(sys.argv) > 1 else [test_page_is_current]
        for case in cases:
            how = " (isolated host)" if case.get("isolated") else ""
            title = f"{case['id']} {case['tries']}{how}"
            runtime = case.get("runtime", "wasm")
            if words and not any(w in title or w == runtime for w in words):
                continue

            def test(case=case):
                runtime = case.get("runtime", "wasm")
                if runtime in unavailable:
                    raise Skip(unavailable[runtime])
                run_case(case, home)

            test.__name__ = title
            tests.append(test)
        return run_tests(tests)


sys.exit(main())
