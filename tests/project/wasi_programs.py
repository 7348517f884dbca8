#!/usr/bin/env python3
"""Runs other people's programs in the WebAssembly sandbox: sqlite3, Lua and zlib's minigzip, doing
what they are for, meeting limits, and trying what they were not granted.

The programs are those that tools/wasi_programs.py builds; without them, or without the runtime, all
of it is skipped. CASES says what is run and what must come of it. Prints the closing line that
tests/run reads.
"""

import gzip
import json
import os
import pathlib
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
from typing import NamedTuple

from script_tests import Skip, run_tests

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TARS = os.environ.get("TARS") or str(ROOT / "build/tars")
TOOL = ROOT / "tools/wasi_programs.py"
UNAVAILABLE = 5
EXIT = {"limit": 4, "denied": 3, "trap": 1}  # of tars, by status
PATIENCE_MS = 20000  # of wall time after a limit of 300 ms, on a busy machine

LUA_FILES = {
    "letters.lua": (ROOT / "tests/data/programs/letters.lua").read_text(encoding="utf-8"),
    "work.lua": """
local letters = require "letters"
local function fibonacci(n) if n < 2 then return n end return fibonacci(n - 1) + fibonacci(n - 2) end
print("fibonacci", fibonacci(24))
print("strings", ("sandbox"):reverse():upper(), ("a-b-c"):gsub("-", "+"), ("%05.2f|%x"):format(3.14159, 48879))
print("pattern", ("key = value"):match("^(%w+)%s*=%s*(%w+)$"))
print("utf8", utf8.len("größe"), utf8.char(8364))
print("integers", 7 // 2, -7 % 3, 1 << 40, math.maxinteger + 1 == math.mininteger)
print("pcall", pcall(math.floor, 2.5))
print("letters", letters.count("mississippi"))
local values, state = {}, 1
for i = 1, 2000 do
    state = state * 48271 % 2147483647
    values[i] = state
end
table.sort(values)
local sorted = true
for i = 2, #values do sorted = sorted and values[i - 1] <= values[i] end
print("sorted", sorted, #values, values[1], values[#values])
""",
    "files.lua": """
local path = "/here/made.txt"
local file = assert(io.open(path, "w"))
for i = 1, 100 do file:write("line ", i, "\\n") end
assert(file:close())
local count, bytes = 0, 0
for line in io.lines(path) do count, bytes = count + 1, bytes + #line end
file = assert(io.open(path, "a+"))
print(count, bytes, file:seek("end"), file:seek("set", 5), file:read("l"))
file:close()
assert(os.rename(path, "/here/moved.txt"))
print(io.type(io.open("/here/moved.txt")), io.open(path))
assert(os.remove("/here/moved.txt"))
print(io.open("/here/moved.txt"))
""",
    "stdin.lua": """
local sum, lines = 0, 0
for line in io.lines() do
    lines = lines + 1
    sum = sum + (tonumber(line) or 0)
end
print(lines, sum)
""",
}
LUA_WORK = """\
fibonacci\t46368
strings\tXOBDNAS\ta+b+c\t03.14|beef
pattern\tkey\tvalue
utf8\t5\t€
integers\t3\t2\t1099511627776\ttrue
pcall\ttrue\t2
letters\ti4 s4 p2 m1
sorted\ttrue\t2000\t48271\t2145332246
"""
LUA_FILES_OUTPUT = """\
100\t692\t792\t5\t1
file\tnil\t/here/made.txt: No such file or directory\t44
nil\t/here/moved.txt: No such file or directory\t44
"""

SQL_CREATE = """
create table authors(id integer primary key, name text not null unique);
create table books(id integer primary key, author integer references authors(id), title text, price real);
create index books_author on books(author);
insert into authors(name) select 'author ' || value from generate_series(1, 10);
insert into books(author, title, price)
    select 1 + value % 10, 'title ' || value, value / 4.0 from generate_series(1, 1000);
select count(*), sum(price) from books;
"""
SQL_QUERY = """
.mode json
select name, count(*) as books, max(price) as dearest from authors join books on author = authors.id
    where price > 200 group by name order by dearest desc limit 2;
select json_extract('{"a": [1, {"b": 2.5}]}', '$.a[1].b') as b, json_group_array(id) as ids
    from authors where id <= 3;
"""
SQL_QUERY_OUTPUT = [
    [{"name": "author 1", "books": 20, "dearest": 250.0}, {"name": "author 10", "books": 20, "dearest": 249.75}],
    [{"b": 2.5, "ids": "[1,2,3]"}],
]
SQL_COMPUTE = """
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
    select sum(i), round(avg(sqrt(i)), 6) from n;
"""
SQL_HANGING_CHANGE = """
pragma cache_size = 5;
begin;
update books set title = title || hex(zeroblob(500)), price = -1;
with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n;
"""
SQL_AFTERWARDS = "pragma integrity_check; select count(*), min(price), max(length(title)) from books;"

WORK, WORK_RO, DATA, DATA_RO = "work::/here", "work::/here:ro", "data::/data", "data::/data:ro"
PATH_OPEN = ("path/path_open",)
LIMIT = dict(status="limit", exit_code=-1)  # ended at it


class Case(NamedTuple):
    """What is run, and what must come of it."""

    name: str
    program: str
    arguments: tuple
    folders: tuple = ()  # below the scratch folder: HOST::GUEST[:ro]
    options: tuple = ()  # of tars exec
    stdin: str = ""
    status: str = "ok"
    exit_code: int = 0  # None: any but 0
    stdout: object = ""  # a text, or what re.fullmatch must find; None: anything
    stderr: str = ""  # a part of it; "": nothing is there
    refused: tuple = ()  # exactly these violations, KIND/NAME


CASES = [
    # SQLite: a folder to write, the same folder read only, memory alone, and its limits
    Case("sqlite_creates", "sqlite3", ("/data/books.db", SQL_CREATE), (DATA,), stdout="1000|125125.0\n"),
    Case("sqlite_queries", "sqlite3", ("/data/books.db",), (DATA,), stdin=SQL_QUERY, stdout=None),
    Case("sqlite_dumps", "sqlite3", ("/data/books.db", ".dump"), (DATA,), stdout=None),
    Case("sqlite_reads_only", "sqlite3", ("/data/books.db", "select count(*) from books"), (DATA_RO,),
         stdout="1000\n", refused=PATH_OPEN),
    Case("sqlite_may_not_write", "sqlite3", ("/data/books.db", "delete from books"), (DATA_RO,),
         status="denied", exit_code=None, stderr="readonly database", refused=PATH_OPEN),
    Case("sqlite_computes", "sqlite3", (":memory:", SQL_COMPUTE), stdout="200010000|94.284429\n"),
    Case("sqlite_without_a_folder", "sqlite3", ("/data/books.db", "select count(*) from books"),
         exit_code=1, stderr="unable to open database"),
    Case("sqlite_meets_memory", "sqlite3", (":memory:", "select length(hex(zeroblob(30000000)))"),
         options=("--memory", "16MiB"), status="limit", exit_code=None, stderr="out of memory",
         refused=("limit/memory",)),
    Case("sqlite_killed_in_a_change", "sqlite3", ("/data/books.db", SQL_HANGING_CHANGE), (DATA,),
         ("--timeout", "1s"), **LIMIT, refused=("limit/time",)),
    Case("sqlite_rolls_back", "sqlite3", ("/data/books.db", SQL_AFTERWARDS), (DATA,),
         stdout="ok\n1000|0.25|10\n"),
    # Lua: work, its channels, its limits
    Case("lua_version", "lua", ("-v",), stdout=re.compile(r"Lua 5\.\d.*\n")),
    Case("lua_works", "lua", ("/here/work.lua",), (WORK_RO,), ("--env", "LUA_PATH=/here/?.lua"),
         stdout=LUA_WORK),
    Case("lua_strict", "lua", ("-e", "print(6 * 7)"), options=("--profile", "strict"), stdout="42\n"),
    Case("lua_files", "lua", ("/here/files.lua",), (WORK,), stdout=LUA_FILES_OUTPUT),
    Case("lua_stdin", "lua", ("/here/stdin.lua",), (WORK_RO,), stdin="1\n2\nx\n39.5", stdout="4\t42.5\n"),
    Case("lua_script_on_stdin", "lua", ("-", "a", "b"), stdin="print(#arg, ...)", stdout="2\ta\tb\n"),
    Case("lua_environment", "lua", ("-e", "print(os.getenv('COLOUR'), os.getenv('PATH'), os.getenv('HOME'))"),
         options=("--env", "COLOUR=blue"), stdout="blue\tnil\tnil\n"),
    Case("lua_exits", "lua", ("-e", "io.write('bye') os.exit(3)"), exit_code=3, stdout="bye"),
    Case("lua_fails", "lua", ("-e", "local t = nil; print(1, t.x)"), exit_code=1,
         stderr="attempt to index a nil value (local 't')"),
    Case("lua_starts_no_program", "lua", ("-e", "print(os.execute(), os.execute('ls'))"),
         stdout=re.compile(r"false\tnil\t.*\n")),
    Case("lua_meets_memory", "lua", ("-e", "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end"),
         options=("--memory", "16MiB"), status="limit", exit_code=1, stderr="not enough memory",
         refused=("limit/memory",)),
    Case("lua_meets_time", "lua", ("-e", "print(1) while true do end"), options=("--timeout", "300ms"),
         **LIMIT, stdout=None, refused=("limit/time",)),
    Case("lua_meets_fuel", "lua", ("-e", "while true do end"), options=("--fuel", "1000000"),
         **LIMIT, refused=("limit/fuel",)),
    Case("lua_floods", "lua", ("-e", "while true do io.write(('y'):rep(1000)) end"),
         options=("--max-output", "64KiB"), **LIMIT, stdout=re.compile("y{60000,65536}"),
         refused=("limit/output",)),
    # Lua: paths. Without a granted folder above it wasi-libc, which is within the guest, finds no
    # folder to ask the host about; everything else is the host's to refuse.
    Case("path_not_granted", "lua", ("-e", "print(io.open('/etc/passwd'))"), (WORK,),
         stdout=re.compile(r"nil\t/etc/passwd: .*\n")),
    Case("path_of_the_guest", "lua", ("-e", "print(io.open('/etc/passwd'))"), ("work::/",),
         stdout="nil\t/etc/passwd: No such file or directory\t44\n"),
    Case("path_up", "lua", ("-e", "print(io.open('/here/../../../../../../etc/passwd'))"), (WORK,),
         stdout=re.compile(r"nil\t.*\t76\n"), refused=PATH_OPEN),
    Case("path_up_from_the_top", "lua", ("-e", "print(io.open('../../etc/passwd'))"), ("work::/",),
         stdout=re.compile(r"nil\t.*\t76\n"), refused=PATH_OPEN),
    Case("path_by_a_link", "lua", ("-e", "print(io.open('/here/link-to-passwd'))"), (WORK,),
         stdout=re.compile(r"nil\t.*\t76\n"), refused=PATH_OPEN),
    Case("path_by_a_folder_link", "lua", ("-e", "print(io.open('/here/link-to-etc/passwd'))"), (WORK,),
         stdout=re.compile(r"nil\t.*\t76\n"), refused=PATH_OPEN),
    Case("path_and_failure", "lua", ("-e", "assert(io.open('/here/link-to-passwd'))"), (WORK,),
         status="denied", exit_code=1, stderr="lua: ", refused=PATH_OPEN),
    Case("path_read_only", "lua", ("-e", "print(io.open('/here/new', 'w'))"), (WORK_RO,),
         stdout=re.compile(r"nil\t.*\t69\n"), refused=PATH_OPEN),
    Case("path_removed", "lua", ("-e", "print(os.remove('/here/work.lua'))"), (WORK_RO,),
         stdout=re.compile(r"nil\t.*\n"), refused=("path/path_unlink_file",)),
    Case("path_moved_out", "lua", ("-e", "print(os.rename('/here/work.lua', '/here/../moved.lua'))"), (WORK,),
         stdout=re.compile(r"nil\t.*\t76\n"), refused=("path/path_rename",)),
    # minigzip: files; its standard channels carry bytes and are tested below
    Case("gzip_compresses_a_file", "minigzip", ("-9", "/data/text"), (DATA,)),
    Case("gzip_decompresses_a_file", "minigzip", ("-d", "/data/text.gz"), (DATA,)),
    Case("gzip_may_not_write", "minigzip", ("/data/text",), (DATA_RO,), status="denied", exit_code=1,
         stderr="minigzip", refused=PATH_OPEN),
]


class Scratch:
    """Folders of this run, and that of the programs."""

    def __init__(self, folder):
        self.work, self.data = folder / "work", folder / "data"
        for path in (self.work, self.data):
            path.mkdir()
        self.folder = folder
        self.text = make_text()
        for name, text in LUA_FILES.items():
            (self.work / name).write_text(text, encoding="utf-8")
        (self.work / "link-to-passwd").symlink_to("/etc/passwd")
        (self.work / "link-to-etc").symlink_to("/etc")
        (self.data / "text").write_bytes(self.text)


def make_text():
    """Bytes of every value, some of them again and again."""
    source = random.Random(1)
    words = [source.randbytes(source.randrange(1, 20)) for _ in range(300)]
    return b"".join(source.choice(words) for _ in range(40000))


def exec_command(scratch, program, arguments, folders=(), options=()):
    command = [TARS, "exec", "--runtime", "wasm", *options]
    for folder in folders:
        command += ["--dir", f"{scratch.folder}/{folder}"]
    if program == "sqlite3" and folders:
        command += ["--env", "HOME=/data"]  # else it warns that it has none
    elif program == "sqlite3":
        command += ["--env", "HOME=/none"]
    return [*command, "--stdin", "-", str(scratch.programs / f"{program}.wasm"), "--", *arguments]


def execute(command, data=b""):
    return subprocess.run(command, input=data, capture_output=True, timeout=120)


def check_output(case, stdout, stderr):
    if isinstance(case.stdout, str):
        assert stdout == case.stdout, f"printed {stdout!r}, expected {case.stdout!r}"
    elif case.stdout is not None:
        assert case.stdout.fullmatch(stdout), f"printed {stdout[:500]!r}, expected {case.stdout.pattern!r}"
    found = case.stderr in stderr if case.stderr else stderr == ""
    assert found, f"wrote {stderr!r} on standard error, expected {case.stderr!r}"


def run_case(scratch, case):
    """Returns what it printed on standard output."""
    command = exec_command(scratch, case.program, case.arguments, case.folders, (*case.options, "--json"))
    result = execute(command, case.stdin.encode())
    told = f"{result.stdout.decode()[-1500:]}{result.stderr.decode()[-1500:]}"
    try:
        answer = json.loads(result.stdout)
    except ValueError:
        raise AssertionError(f"no JSON, exit status {result.returncode}: {told}") from None
    assert answer.get("status") == case.status, f"expected status {case.status!r}: {told}"
    if case.exit_code is None:
        assert answer["exit_code"] > 0, f"exit code {answer['exit_code']}: {told}"
    else:
        assert answer["exit_code"] == case.exit_code, f"expected exit code {case.exit_code}: {told}"
    expected = EXIT.get(case.status, 0 if answer["exit_code"] == 0 else 1)
    assert result.returncode == expected, f"tars ended with {result.returncode}, expected {expected}"
    check_output(case, answer["stdout"], answer["stderr"])
    refused = {f"{row['kind']}/{row['name']}" for row in answer["violations"] if row["count"] > 0}
    assert refused == set(case.refused), f"refused {refused}, expected {set(case.refused)}"
    usage = answer["usage"]
    assert usage["wall_ms"] < PATIENCE_MS, f"took {usage['wall_ms']} ms"
    assert usage["host_calls"].get("args_get") == 1, f"host calls {usage['host_calls']}"
    return answer["stdout"]


def make_test(case):
    def test(scratch):
        stdout = run_case(scratch, case)
        if case.name in FURTHER:
            FURTHER[case.name](scratch, stdout)

    test.__name__ = case.name
    return test


# ---- what a row cannot say ------------------------------------------------------------------------


def is_the_database(connection):
    assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    found = connection.execute(
        "select count(*), sum(price), count(distinct name) from books join authors on authors.id = author").fetchall()
    assert found == [(1000, 125125.0, 10)], f"found {found}"


def check_created(scratch, stdout):
    del stdout
    connection = sqlite3.connect(scratch.data / "books.db")
    is_the_database(connection)
    connection.close()


def check_queried(scratch, stdout):
    del scratch
    decoder, found, rest = json.JSONDecoder(), [], stdout.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].lstrip()
    assert found == SQL_QUERY_OUTPUT, f"found {found}"


def check_dumped(scratch, stdout):
    del scratch
    connection = sqlite3.connect(":memory:")
    connection.executescript(stdout)
    is_the_database(connection)
    connection.close()


def check_rolled_back(scratch, stdout):
    check_created(scratch, stdout)
    assert not list(scratch.data.glob("*-journal")), "a journal was left"


def check_killed(scratch, stdout):
    del stdout
    assert list(scratch.data.glob("*-journal")), "there is no journal: nothing had been changed when it was ended"


def check_compressed(scratch, stdout):
    del stdout
    packed = (scratch.data / "text.gz").read_bytes()
    assert not (scratch.data / "text").exists(), "the file it was made of is still there"
    assert gzip.decompress(packed) == scratch.text, "Python finds other bytes in it"


def check_decompressed(scratch, stdout):
    del stdout
    assert not (scratch.data / "text.gz").exists(), "the file it was made of is still there"
    assert (scratch.data / "text").read_bytes() == scratch.text, "other bytes came back"


FURTHER = {
    "sqlite_creates": check_created, "sqlite_queries": check_queried, "sqlite_dumps": check_dumped,
    "sqlite_killed_in_a_change": check_killed, "sqlite_rolls_back": check_rolled_back,
    "gzip_compresses_a_file": check_compressed, "gzip_decompresses_a_file": check_decompressed,
}


def why_not(scratch):
    """Finds the programs; the reason when they cannot be run here, else None."""
    found = subprocess.run([TOOL, "--print"], capture_output=True, text=True)
    if found.returncode != 0:
        return found.stderr.strip().removeprefix("wasi_programs: ")
    scratch.programs = pathlib.Path(found.stdout.strip())
    probe = execute(exec_command(scratch, "lua", ["-v"]))
    return probe.stderr.decode().splitlines()[0] if probe.returncode == UNAVAILABLE else None


def gzip_pipe(scratch):
    packed = execute(exec_command(scratch, "minigzip", []), scratch.text)
    assert packed.returncode == 0, packed.stderr.decode()
    assert len(packed.stdout) < len(scratch.text) / 2, f"{len(packed.stdout)} of {len(scratch.text)} bytes"
    assert gzip.decompress(packed.stdout) == scratch.text, "Python finds other bytes in it"
    for name, data in (("minigzip", packed.stdout), ("Python", gzip.compress(scratch.text))):
        unpacked = execute(exec_command(scratch, "minigzip", ["-d"]), data)
        assert unpacked.returncode == 0, unpacked.stderr.decode()
        assert unpacked.stdout == scratch.text, f"other bytes came back from what {name} packed"


def gzip_damaged(scratch):
    data = bytearray(gzip.compress(scratch.text))
    data[len(data) // 2] ^= 0xFF
    result = execute(exec_command(scratch, "minigzip", ["-d"]), bytes(data))
    assert result.returncode == 1, f"exit status {result.returncode}: {result.stderr.decode()}"
    assert b"minigzip" in result.stderr, result.stderr.decode()


TESTS = [*map(make_test, CASES), gzip_pipe, gzip_damaged]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        home = folder / "home"
        home.mkdir()  # compiled programs are kept there
        os.environ["TARS_HOME"] = str(home)
        scratch = Scratch(folder)
        reason = why_not(scratch)

        def wasi_programs(_):
            raise Skip(reason)

        return run_tests([wasi_programs] if reason else TESTS, scratch)


if __name__ == "__main__":
    sys.exit(main())
