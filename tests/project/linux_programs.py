#!/usr/bin/env python3
"""Runs other people's programs, unmodified, in micro-VMs: the distribution's busybox; sqlite3, Lua
and zlib's minigzip, linked with glibc and with musl; bash; programs in C++, Rust and Go.

Most are run twice, natively in one copy of a folder and in a micro-VM in another: output, exit code
and what became of the folder must be the same, and nothing may be refused. CASES are those that
cannot be: what must come of them is written there. sqlite3, Lua and minigzip are those that
tools/linux_programs.py builds; what is not there is skipped. Prints the closing line that tests/run
reads.
"""

import bz2
import gzip
import io
import json
import lzma
import os
import pathlib
import random
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from typing import NamedTuple

from script_tests import Skip, run_tests

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TARS = os.environ.get("TARS") or str(ROOT / "build/tars")
TOOL = ROOT / "tools/linux_programs.py"
DATA = ROOT / "tests/data/programs"
UNAVAILABLE = 5
ISOLATE = "--isolate-host"  # with this argument all of them run so
EARLY = 1600000000  # when the files of the folder were last changed
INPUT = "one\ntwo\nthree\n"
LIBRARIES = ("glibc", "musl")

# What busybox is told to do, and must do as it does natively. Standard input is INPUT.
APPLETS = """
ls
ls -R
ls -aF sub
cat words sub/note
cat -
cp words copy
cp -p words copy
cp -a sub copies
cp -r sub copies
cp words sub/deep
cp absent copy
mv words moved
mv sub other
mv words numbers sub
rm words
rm -r sub
rm -f words absent
rm absent
rm sub
mkdir -p a/b/c
mkdir -m 700 private
rmdir sub/deep
rmdir empty
ln -s words symbolic
ln words hard
ln -sf sub/note link
find . -type f
find . -name *ote -print
find . -size +1k -newer words
find . -perm 640
find . -name more -delete
find -L . -maxdepth 1 -type f
grep -rn apple .
grep -ric apple sub
grep -E ^[a-f]ig$|pear words
grep -v absent words absent
sed s/apple/orange/ words
sed -i -e s/apple/orange/ -e /fig/d words
sed -n 2,3p words
sed s/o/0/g
awk '{ s += $1 } END { print s, s / NR }' numbers
awk -F: '{ print length($0) > "lengths" }' words
awk 'BEGIN { while ((getline line < "words") > 0) n[line]++; for (k in n) print k, n[k] }'
awk 'BEGIN { printf "%s %.6f %x\\n", toupper("abc"), sqrt(2), 255; print substr("abcdef", 2, 3) }'
sort words
sort -n -k1 -r numbers
sort -u words
sort -o words words
sort -t ' ' -k2,2 -k1n numbers
uniq -c words
wc numbers words
wc -l -
head -n 3 numbers
head -c 10
tail -n 3 numbers
tail -c 20 words
md5sum words binary
sha1sum words
sha256sum words binary
sha512sum binary
sha3sum binary
cksum binary
tar xf archive.tar
tar xf archive.tar -C sub
tar tvf archive.tar
tar xf archive.tar tree/file
gzip words
gzip -k words
gunzip packed.gz
gunzip -k packed.gz
bzip2 words
bunzip2 packed.bz2
xz -d packed.xz
xz -dk packed.xz
unzip packed.zip
unzip -p packed.zip text
dd if=binary of=part bs=100 count=7 skip=3
dd if=binary of=words bs=1 seek=5 count=10 conv=notrunc
dd if=/dev/zero of=zeros bs=1k count=3
dd if=/dev/urandom of=/dev/null bs=64k count=3
stat -c '%n %s %F %a %h %Y %X' words sub link
stat -L -c '%n %s %F' link
touch new
touch -d @1000000000 words
touch -c absent
touch -r sub/note words
chmod 600 words
chmod +x words
chmod -R go-rwx sub
truncate -s 10 words
truncate -s 20000 words
fallocate -l 5000 new
date -u -d @1000000000
date -r words
sleep 0.05
usleep 1000
seq 1 10
seq -w 5 5 25
od -c words
od -A x -t x1 -N 100 binary
hexdump -C binary
xxd words
cmp words words
cmp words numbers
diff words numbers
diff -u words sub/note
diff -r sub sub
patch -i change.patch
cut -d ' ' -f2 numbers
tr a-z A-Z
tee out1 out2
paste words numbers
fold -w 5 words
expand words
rev words
tac words
nl words
split -l 50 numbers part.
basename /a/b/c.txt .txt
dirname /a/b/c
echo hello
printf '%05d|%s\\n' 42 x
test -f words
test -x words
expr 6 '*' 7
factor 360360
cal 2 2020
base64 words
uuencode words x
strings words
readlink link
fsync words
kill -l
true
false
flock words true absent
link words hard
unlink words
unlink sub
cpio -t -F archive.cpio
ed words
xargs echo
bc
crc32 words
nosuchapplet
sh script.sh one 'two three'
sh -c 'exit 41'
sh -c 'echo out; echo err >&2; : >made; echo more >>made; read x <made; echo "<$x>"'
sh -c 'cd sub && test -f note && echo here; cd absent; echo $?'
sh -c 'for f in *; do printf "%s:" "$f"; done; set -- a b c; shift; echo $# $*'
sh -c 'i=0; while test $i -lt 500; do i=$((i + 1)); echo $i; done >many; echo $i'
sh -c 'umask 077; : >private; umask'
sh -c 'trap "echo trapped" EXIT; echo ${x:-unset} ${#y} ${z%b*}; exit 3'
sh -c 'echo x >/dev/null && echo fine; echo y 2>/dev/null >&2'
sh -c 'while read -r line; do echo "[$line]"; done'
sh -c 'nosuchvariable=; set -u; echo $undefined'
"""
SCRIPT = """\
greet() {
    local name=$1
    echo "hello $name, you are ${#name}"
}
greet "$2"
case $1 in
o*) echo begins with o ;;
*) echo does not ;;
esac
total=0
while read -r number name rest; do
    total=$((total + number))
done <numbers
echo "$total" >total
read -r back <total
echo "total $back"
"""
PATCH = """\
--- words
+++ words
@@ -1,3 +1,3 @@
-pear
+plum
 apple
 fig
"""
BASH_EXIT, LUA_EXIT, CXX_EXIT, GO_EXIT, RUST_EXIT = 5, 3, 7, 7, 7


class Case(NamedTuple):
    """What cannot be as it is natively."""

    name: str
    arguments: str  # of busybox
    options: str = "--dir folder::/data"  # of tars exec
    status: str = "ok"
    exit_code: int = 0
    stdout: str = ""  # re.fullmatch
    stderr: str = ""  # re.fullmatch
    refused: tuple = ()  # exactly these violations, KIND/NAME


READ_ONLY = "--dir folder::/data:ro"
CASES = [
    # one process, and none beside it
    Case("no_pipe", "sh -c 'echo a | cat'", status="denied", exit_code=2, stderr=r"sh: can't fork: .*\n",
         refused=("syscall/clone",)),
    Case("no_program_from_the_shell", "sh -c 'cat words'", status="denied", exit_code=126, stderr=r"sh: cat: .*\n",
         refused=("syscall/execve",)),
    Case("no_program_from_find", "find words -exec cat {} ;", stderr=r"find: cat: .*\n", refused=("syscall/vfork",)),
    Case("no_program_from_tar", "tar czf made.tgz words", status="denied", exit_code=1, stderr=r"tar: vfork: .*\n",
         refused=("syscall/vfork",)),
    Case("no_other_processes", "ps", exit_code=1, stdout=r"PID .*\n", stderr=r"ps: can't open '/proc': .*\n"),
    Case("no_such_process", "kill 1", exit_code=1, stderr=r"kill: .*: No such process\n"),
    # nobody, and no owners, devices and systems
    Case("is_nobody", "id", stdout=r"uid=65534.* gid=65534.*\n"),
    Case("owns_what_it_sees", "ls -ln words", stdout=r"-rw-r-----    1 65534    65534 +36 Sep 13  2020 words\n"),
    Case("keeps_its_files", "chown 65534:65534 words"),
    Case("gives_nothing_away", "chown 0 words", status="denied", exit_code=1, stderr=r"chown: words: .*permitted\n",
         refused=("syscall/chown",)),
    Case("gives_no_rights", "chmod u+s words", status="denied", exit_code=1, stderr=r"chmod: words: .*permitted\n",
         refused=("syscall/chmod",)),
    Case("makes_no_pipe", "mkfifo fifo", status="denied", exit_code=1, stderr=r"mkfifo: fifo: .*permitted\n",
         refused=("syscall/mknodat",)),
    Case("is_no_machine", "uname -sn", stdout="Linux guest\n"),
    Case("has_no_network", "nc 127.0.0.1 80", status="denied", exit_code=1, stderr=r"nc: .*\n",
         refused=("syscall/socket",)),
    Case("mounts_nothing", "mount -t tmpfs none /data", status="denied", exit_code=1, stderr=r"(?s)mount: .*\n",
         refused=("syscall/mount", "syscall/vfork")),
    # of what a file system tells, only sizes
    # in whatever order the folder is read
    Case("du_counts_sizes", "du -a sub",
         stdout=r"(1\tsub/note\n)?1\tsub/deep/more\n\d+\tsub/deep\n(1\tsub/note\n)?\d+\tsub\n"),
    Case("df_knows_no_disk", "df", exit_code=1, stdout=r"Filesystem .*\n", stderr=r"df: /proc/mounts: .*\n"),
    Case("sync_is_refused", "sync", refused=("syscall/sync",)),
    Case("pwd_is_the_guests", "pwd", stdout="/data\n"),
    Case("realpath_is_the_guests", "realpath link", stdout="/data/sub/note\n"),
    Case("nothing_of_the_host", "env", stdout=""),
    Case("no_passwords", "cat /etc/passwd", exit_code=1, stderr=r"cat: .*: No such file or directory\n"),
    Case("nothing_above", "ls /data/..", stdout="data\n"),
    Case("up_is_nowhere", "cat ../../etc/passwd", exit_code=1, stderr=r"cat: .*: No such file or directory\n"),
    Case("out_by_a_link", "cat out", status="denied", exit_code=1, stderr=r"cat: .*: Permission denied\n",
         refused=("path/openat",)),
    Case("chmod_by_a_link", "chmod 777 out", status="denied", exit_code=1, stderr=r"chmod: out: .*\n",
         refused=("path/newfstatat",)),
    # read only, and without a folder
    Case("reads_only", "cat words", READ_ONLY, stdout="pear\napple\nfig\napple\nquince\nfig\nfig\n"),
    Case("writes_nothing", "touch words", READ_ONLY, status="denied", exit_code=1, stderr=r"touch: words: .*\n",
         refused=("path/utimensat",)),
    Case("removes_nothing", "rm -f words", READ_ONLY, status="denied", exit_code=1, stderr=r"rm: .*'words': .*\n",
         refused=("path/unlink",)),
    Case("permits_nothing", "chmod 777 words", READ_ONLY, status="denied", exit_code=1, stderr=r"chmod: words: .*\n",
         refused=("path/chmod",)),
    Case("no_folder", "ls", "", stdout=""),
    Case("computes_strictly", "expr 6 '*' 7", "--profile strict", stdout="42\n"),
    Case("no_file_strictly", "cat /data/words", "--profile strict", status="denied", exit_code=1,
         stderr=r"cat: .*permitted\n", refused=("syscall/openat",)),
    # limits
    Case("meets_time", "sleep 60", "--timeout 300ms", status="limit", exit_code=-1, refused=("limit/time",)),
    Case("meets_time_computing", "sh -c 'while :; do :; done'", "--timeout 300ms", status="limit", exit_code=-1,
         refused=("limit/time",)),
    Case("floods", "yes", "--max-output 64KiB", status="limit", exit_code=-1, stdout=r"(y\n)+",
         refused=("limit/output",)),
    Case("meets_file_size", "dd if=/dev/zero of=big bs=1M count=65", status="limit", exit_code=-1,
         refused=("limit/file_size",)),
]


# ---- folders --------------------------------------------------------------------------------------


def add_archives(folder):
    text = b"packed by Python\n" * 200
    (folder / "packed.gz").write_bytes(gzip.compress(text, mtime=0))
    (folder / "packed.bz2").write_bytes(bz2.compress(text))
    (folder / "packed.xz").write_bytes(lzma.compress(text, check=lzma.CHECK_CRC32))
    with zipfile.ZipFile(folder / "packed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("text", (2001, 9, 9, 1, 46, 40)), text)
        archive.writestr(zipfile.ZipInfo("inner/more", (2001, 9, 9, 1, 46, 40)), b"more\n")
    with tarfile.open(folder / "archive.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        for name, kind, mode in (("tree", tarfile.DIRTYPE, 0o755), ("tree/file", tarfile.REGTYPE, 0o640),
                                 ("tree/run", tarfile.REGTYPE, 0o755), ("tree/link", tarfile.SYMTYPE, 0o777),
                                 ("tree/hard", tarfile.LNKTYPE, 0o640)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = kind, mode, EARLY
            entry.uid = entry.gid = 65534
            entry.linkname = {"tree/link": "file", "tree/hard": "tree/file"}.get(name, "")
            content = b"of the archive\n" if kind == tarfile.REGTYPE else b""
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def make_folder(folder):
    """Equal whenever it is made."""
    (folder / "sub/deep").mkdir(parents=True)
    (folder / "empty").mkdir()
    for name, text in {"words": "pear\napple\nfig\napple\nquince\nfig\nfig\n",
                       "numbers": "".join(f"{i * 7919 % 1000} row{i} {i}\n" for i in range(200)),
                       "sub/note": "an apple a day\n", "sub/deep/more": "no fruit\nAPPLE\n",
                       "script.sh": SCRIPT, "change.patch": PATCH}.items():
        (folder / name).write_text(text, encoding="utf-8")
    source = random.Random(1)
    words = [source.randbytes(source.randrange(1, 20)) for _ in range(300)]
    (folder / "binary").write_bytes(bytes(range(256)) + b"".join(source.choice(words) for _ in range(10000)))
    (folder / "words").chmod(0o640)
    (folder / "link").symlink_to("sub/note")
    for path in DATA.iterdir():
        shutil.copyfile(path, folder / path.name)
    add_archives(folder)
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, (EARLY, EARLY), follow_symlinks=False)


def picture_of(folder):
    """What can be told of a folder's files, but for times that are of this run."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        links = status.st_nlink if path.is_file() else 0
        when = int(status.st_mtime) if status.st_mtime < EARLY + 1 else "now"
        found[str(path.relative_to(folder))] = (oct(status.st_mode), links, when, content)
    return found


def difference(expected, found):
    names = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    return "; ".join(f"{name}: {str(expected.get(name))[:200]}, here {str(found.get(name))[:200]}" for name in names)


class Scratch:
    """The folders of a run: each test gets new copies of the first."""

    def __init__(self, folder):
        self.folder, self.original = folder, folder / "original"
        self.programs = {}  # of a C library: their folder, or why there is none
        make_folder(self.original)
        self.busybox = shutil.which("busybox")
        for library in LIBRARIES:
            found = subprocess.run([TOOL, "--print", library], capture_output=True, text=True)
            text = found.stdout.strip() if found.returncode == 0 else found.stderr
            self.programs[library] = pathlib.Path(text) if found.returncode == 0 else text

    def copies(self, *names):
        for name in names:
            shutil.rmtree(self.folder / name, ignore_errors=True)
            shutil.copytree(self.original, self.folder / name, symlinks=True)
            for path in sorted((self.folder / name).rglob("*"), reverse=True):
                os.utime(path, (EARLY, EARLY), follow_symlinks=False)
        return [self.folder / name for name in names]

    def program(self, library, name):
        folder = self.programs[library]
        if isinstance(folder, str):
            raise Skip(folder.strip().removeprefix("linux_programs: "))
        return folder / name


# ---- running --------------------------------------------------------------------------------------


def execute(command, data=b"", **more):
    return subprocess.run(command, input=data, capture_output=True, timeout=180, **more)


def exec_command(program, arguments, options=()):
    where = ["--runtime", "microvm", *([ISOLATE] if ISOLATE in sys.argv else [])]
    return [TARS, "exec", *where, "--stdin", "-", *options, str(program), "--", *arguments]


def run_guest(program, arguments, options=(), data=b"", **more):
    """Returns what tars tells of it."""
    result = execute(exec_command(program, arguments, (*options, "--json")), data, **more)
    told = f"{result.stdout.decode()[-1500:]}{result.stderr.decode()[-1500:]}"
    try:
        answer = json.loads(result.stdout)
    except ValueError:
        raise AssertionError(f"no JSON, exit status {result.returncode}: {told}") from None
    answer["refused"] = {f"{row['kind']}/{row['name']}" for row in answer.get("violations", ())}
    answer["told"] = told
    return answer


def run_native(program, arguments, folder, environment=(), data=b""):
    return execute([str(program), *arguments], data, cwd=folder, env={"TZ": "UTC", **dict(environment)})


def check_same(scratch, program, arguments, environment=(), options=(), data=INPUT.encode(), same_errors=True,
               may_ask=frozenset()):
    """Returns the folder in which it ran natively, and tars's answer. What of `may_ask` was refused did
    not matter."""
    native, guest = scratch.copies("native", "guest")
    expected = run_native(program, arguments, native, environment, data)
    words = ["--dir", f"{guest}::/data", *options]
    for name, value in dict(environment).items():
        words += ["--env", f"{name}={value}"]
    answer = run_guest(program, arguments, words, data)
    assert answer["refused"] <= may_ask, f"refused {answer['refused']}: {answer['told']}"
    ends = ("ok", "denied") if answer["refused"] else ("ok",)
    assert answer["status"] in ends, answer["told"]
    stdout = expected.stdout.decode("utf-8", "replace")
    assert answer["stdout"] == stdout, f"printed {answer['stdout'][-800:]!r}, natively {stdout[-800:]!r}"
    stderr = expected.stderr.decode("utf-8", "replace")
    same = not same_errors or answer["stderr"].replace(str(program), "") == stderr.replace(str(program), "")
    assert same, f"wrote {answer['stderr'][-800:]!r} on standard error, natively {stderr[-800:]!r}"
    assert answer["exit_code"] == expected.returncode, f"ended with {answer['exit_code']}, not {expected.returncode}"
    changed = difference(picture_of(native), picture_of(guest))
    assert not changed, f"natively the folder has {changed}"
    return native, answer


def check_case(scratch, case):
    (folder,) = scratch.copies("folder")
    (folder / "out").symlink_to("/etc/passwd")
    before = picture_of(folder)
    answer = run_guest(scratch.busybox, shlex.split(case.arguments), shlex.split(case.options), cwd=scratch.folder)
    assert answer["status"] == case.status, f"expected status {case.status!r}: {answer['told']}"
    assert answer["exit_code"] == case.exit_code, f"expected exit code {case.exit_code}: {answer['told']}"
    for channel in ("stdout", "stderr"):
        pattern = getattr(case, channel)
        assert re.fullmatch(pattern, answer[channel]), f"{channel} {answer[channel][:500]!r}, expected {pattern!r}"
    assert answer["refused"] == set(case.refused), f"refused {answer['refused']}, expected {set(case.refused)}"
    if case.options == READ_ONLY:
        changed = difference(before, picture_of(folder))
        assert not changed, f"the folder was changed: {changed}"


# ---- busybox ----------------------------------------------------------------------------------------


def why_no_busybox(scratch):
    if not scratch.busybox:
        return "no busybox here (make packages)"
    probe = execute(exec_command(scratch.busybox, ["true"]))
    return None if probe.returncode == 0 else probe.stderr.decode().splitlines()[0]


def applet_test(line):
    def test(scratch):
        check_same(scratch, scratch.busybox, shlex.split(line))

    test.__name__ = f"busybox {line}"
    return test


def case_test(case):
    def test(scratch):
        check_case(scratch, case)

    test.__name__ = f"busybox_{case.name}"
    return test


def busybox_bytes(scratch):
    """What is no text passes as it is."""
    data = (scratch.original / "binary").read_bytes()
    packed = execute(exec_command(scratch.busybox, ["gzip", "-c"]), data).stdout
    assert gzip.decompress(packed) == data, "Python finds other bytes in what gzip packed"
    assert execute(exec_command(scratch.busybox, ["gunzip", "-c"]), packed).stdout == data, "other bytes came back"
    assert execute(exec_command(scratch.busybox, ["cat"]), data).stdout == data, "cat gave other bytes"


def busybox_archives(scratch):
    (guest,) = scratch.copies("guest")
    answer = run_guest(scratch.busybox, ["tar", "cf", "made.tar", "sub", "words", "link"],
                       ["--dir", f"{guest}::/data"])
    assert answer["status"] == "ok" and not answer["refused"] and answer["exit_code"] == 0, answer["told"]
    with tarfile.open(guest / "made.tar") as archive:
        found = {e.name: (oct(e.mode), e.uid, e.mtime, e.linkname) for e in archive if not e.isdir()}
        note = archive.extractfile("sub/note").read()
    expected = {"sub/note": ("0o644", 65534, EARLY, ""), "sub/deep/more": ("0o644", 65534, EARLY, ""),
                "words": ("0o640", 65534, EARLY, ""), "link": ("0o777", 65534, EARLY, "sub/note")}
    assert found == expected, f"found {found}"
    assert note == (guest / "sub/note").read_bytes()


# ---- sqlite3, Lua, minigzip -------------------------------------------------------------------------

# glibc asks a daemon for the home folder first.
HOME_QUESTION = {"glibc": {"syscall/socket"}, "musl": set()}


def sqlite_works(scratch, library):
    program = scratch.program(library, "sqlite3")
    data = (DATA / "work.sql").read_bytes()
    native, answer = check_same(scratch, program, ["books.db"], {"HOME": "/none"}, data=data,
                                may_ask=HOME_QUESTION[library])
    assert answer["exit_code"] == 1 and "UNIQUE constraint failed" in answer["stderr"], answer["told"]
    lines = answer["stdout"].splitlines()
    assert "10000,12501250.0,11" in "\n".join(lines).replace("|", ","), f"printed {lines[:3]}"
    for path in (native, scratch.folder / "guest"):
        connection = sqlite3.connect(path / "books.db")
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert connection.execute("select count(*) from books").fetchall() == [(6667,)]
        connection.close()


def sqlite_wal(scratch, library):
    """A write-ahead log needs no shared memory when the database is locked for one connection."""
    program = scratch.program(library, "sqlite3")
    statements = b"""
pragma locking_mode = exclusive;
pragma journal_mode = wal;
create table numbers(value);
begin;
insert into numbers select value from generate_series(1, 10000);
commit;
select count(*), sum(value) from numbers;
pragma wal_checkpoint(truncate);
pragma integrity_check;
"""
    _, answer = check_same(scratch, program, ["log.db"], {"HOME": "/none"}, data=statements,
                           may_ask=HOME_QUESTION[library])
    assert answer["stdout"] == "exclusive\nwal\n10000|50005000\n0|0|0\nok\n", answer["told"]
    statements = b"select count(*) from numbers; pragma journal_mode = delete;\n"
    words = ["--dir", f"{scratch.folder}/guest::/data", "--env", "HOME=/none"]
    answer = run_guest(program, ["-cmd", "pragma locking_mode = exclusive", "log.db"], words, statements)
    assert answer["stdout"] == "exclusive\n10000\ndelete\n", answer["told"]
    assert answer["refused"] <= HOME_QUESTION[library], answer["told"]


def sqlite_wal_shared(scratch, library):
    """With the shared memory that it would want, SQLite says that it cannot; what was there stays."""
    program = scratch.program(library, "sqlite3")
    (guest,) = scratch.copies("guest")
    words = ["--dir", f"{guest}::/data", "--env", "HOME=/none"]
    answer = run_guest(program, ["log.db"], words, b"create table a(b); insert into a values (7);\n")
    assert answer["status"] == "ok" and answer["exit_code"] == 0, answer["told"]
    answer = run_guest(program, ["-bail", "log.db"], words, b"pragma journal_mode = wal; select * from a;\n")
    assert answer["exit_code"] != 0 and "disk I/O error" in answer["stderr"], answer["told"]
    connection = sqlite3.connect(guest / "log.db")
    assert connection.execute("select * from a").fetchall() == [(7,)]
    connection.close()


def sqlite_killed(scratch, library):
    """What was begun when its time was over is rolled back by the next."""
    program = scratch.program(library, "sqlite3")
    (guest,) = scratch.copies("guest")
    words = ["--dir", f"{guest}::/data", "--env", "HOME=/none"]
    create = b"create table t(a, b); insert into t select value, 'row ' || value from generate_series(1, 2000);\n"
    assert run_guest(program, ["t.db"], words, create)["exit_code"] == 0
    change = b"""pragma cache_size = 5; begin; update t set b = hex(zeroblob(500));
with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n;\n"""
    answer = run_guest(program, ["t.db"], [*words, "--timeout", "2s"], change)
    assert answer["status"] == "limit", answer["told"]
    assert answer["refused"] - HOME_QUESTION[library] == {"limit/time"}, answer["told"]
    assert (guest / "t.db-journal").exists(), "there is no journal: nothing had been changed when it was ended"
    answer = run_guest(program, ["t.db"], words, b"pragma integrity_check; select count(*), max(length(b)) from t;\n")
    assert answer["stdout"] == "ok\n2000|8\n" and answer["exit_code"] == 0, answer["told"]


def lua_works(scratch, library):
    program = scratch.program(library, "lua")
    scratch.copies("temporary")
    data = b"39.5 rest\nline\nall\nthe rest\n"
    _, answer = check_same(scratch, program, ["work.lua"], {"COLOUR": "blue"},
                           ["--dir", f"{scratch.folder}/temporary::/tmp", "--memory", "256MiB"], data)
    assert answer["exit_code"] == LUA_EXIT and "fibonacci\t46368\n" in answer["stdout"], answer["told"]
    assert not list((scratch.folder / "temporary").glob("lua_*")), "temporary files were left"


def lua_starts_no_program(scratch, library):
    program = scratch.program(library, "lua")
    answer = run_guest(program, ["-e", "print(io.popen('ls'), (os.execute('ls')))"])
    assert answer["refused"] and answer["refused"] <= {"syscall/clone", "syscall/clone3", "syscall/vfork"}, answer["told"]
    assert "nil" in answer["stdout"], answer["told"]


def lua_meets_memory(scratch, library):
    program = scratch.program(library, "lua")
    code = "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end"
    answer = run_guest(program, ["-e", code], ["--memory", "16MiB"])
    assert answer["status"] == "limit" and answer["refused"] == {"limit/memory"}, answer["told"]
    assert "not enough memory" in answer["stderr"] and answer["exit_code"] == 1, answer["told"]


def minigzip_packs(scratch, library):
    program = scratch.program(library, "minigzip")
    check_same(scratch, program, ["-9", "binary"])
    check_same(scratch, program, ["-d", "packed.gz"])
    data = (scratch.original / "binary").read_bytes()
    packed = execute(exec_command(program, []), data).stdout
    assert len(packed) < len(data) and gzip.decompress(packed) == data, "Python finds other bytes in it"
    assert execute(exec_command(program, ["-d"]), gzip.compress(data)).stdout == data, "other bytes came back"


def library_test(function, library):
    def test(scratch):
        function(scratch, library)

    test.__name__ = f"{library}_{function.__name__}"
    return test


def bash_works(scratch):
    program = shutil.which("bash-static")
    if not program:
        raise Skip("no bash-static here (make packages)")
    _, answer = check_same(scratch, program, ["work.bash", "first", "second one"], {"COLOUR": "blue"},
                           may_ask=HOME_QUESTION["glibc"])
    assert answer["exit_code"] == BASH_EXIT and "sorted 1 4 5 9\n" in answer["stdout"], answer["told"]


# ---- C++, Go and Rust --------------------------------------------------------------------------------------


def build(command, scratch, **more):
    result = execute([str(word) for word in command], cwd=scratch.folder, **more)
    assert result.returncode == 0, f"{command} failed: {result.stderr.decode()[-2000:]}"


def build_cxx(scratch):
    if not shutil.which("c++"):
        raise Skip("no c++ here")
    build(["c++", "-std=c++17", "-O1", "-static", "-pthread", "-o", "work-cxx", DATA / "work.cpp"], scratch)
    return scratch.folder / "work-cxx"


def cxx_works(scratch):
    _, answer = check_same(scratch, build_cxx(scratch), ["a", "b"], {"COLOUR": "blue"})
    assert answer["exit_code"] == CXX_EXIT and "caught vector" in answer["stdout"], answer["told"]


def cxx_threads(scratch):
    _, answer = check_same(scratch, build_cxx(scratch), ["threads"])
    assert answer["exit_code"] == CXX_EXIT and "threads 4000\n" in answer["stdout"], answer["told"]


def go_works(scratch):
    if not shutil.which("go"):
        raise Skip("no go here")
    environment = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    environment.setdefault("GOCACHE", str(scratch.folder / "go-cache"))
    build(["go", "build", "-o", "work-go", DATA / "work.go"], scratch, env=environment)
    memory = ("--memory", "256MiB")  # Go's own tables alone are 64
    _, answer = check_same(scratch, scratch.folder / "work-go", ["a", "b"], {"COLOUR": "blue"}, memory)
    assert answer["exit_code"] == GO_EXIT and "sum 5050\n" in answer["stdout"], answer["told"]


def build_rust(scratch):
    if not shutil.which("rustc"):
        raise Skip("no rustc here")
    build(["rustc", "-O", "-C", "target-feature=+crt-static", "-o", "work-rust", DATA / "work.rs"], scratch)
    return scratch.folder / "work-rust"


def rust_works(scratch):
    _, answer = check_same(scratch, build_rust(scratch), ["a", "b"], {"COLOUR": "blue"}, same_errors=False)
    assert answer["exit_code"] == RUST_EXIT and "caught true\n" in answer["stdout"], answer["told"]


def rust_threads(scratch):
    program = build_rust(scratch)
    _, answer = check_same(scratch, program, ["threads"], same_errors=False)
    assert answer["exit_code"] == RUST_EXIT and "panicked true\n" in answer["stdout"], answer["told"]


def skipped_test(name, reason):
    def test(_):
        raise Skip(reason)

    test.__name__ = name
    return test


def all_tests(scratch):
    reason = why_no_busybox(scratch)
    tests = [skipped_test("busybox", reason)]
    if not reason:
        tests = [applet_test(line) for line in APPLETS.splitlines() if line]
        tests += [case_test(case) for case in CASES] + [busybox_bytes, busybox_archives]
    for library in LIBRARIES:
        tests += [library_test(function, library) for function in (
            sqlite_works, sqlite_wal, sqlite_wal_shared, sqlite_killed, lua_works, lua_starts_no_program,
            lua_meets_memory, minigzip_packs)]
    return [*tests, bash_works, cxx_works, cxx_threads, go_works, rust_works, rust_threads]


def why_not(scratch):
    """The reason when no micro-VM can be had here, else None."""
    (scratch.folder / "empty.c").write_text("int main(void) { return 0; }\n", encoding="ascii")
    if not shutil.which("cc") or execute(["cc", "-static", "-o", "empty", "empty.c"], cwd=scratch.folder).returncode:
        return "no compiler here that makes static programs"
    probe = execute(exec_command(scratch.folder / "empty", []))
    return probe.stderr.decode().splitlines()[0] if probe.returncode == UNAVAILABLE else None


def main():
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        scratch = Scratch(folder)
        reason = why_not(scratch)
        if reason:
            return run_tests([skipped_test("linux_programs", reason)], scratch)
        words = [word for word in sys.argv[1:] if word != ISOLATE]
        tests = [test for test in all_tests(scratch) if not words or any(word in test.__name__ for word in words)]
        return run_tests(tests, scratch)


if __name__ == "__main__":
    sys.exit(main())
