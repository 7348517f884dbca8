#!/usr/bin/env python3
"""The walls of the processes that read what strangers made, as the kernel tells them in /proc:
the child of an import, with and without a guest, the child that compiles a module, a program of
`tars exec --runtime native`, and the process that runs the virtual machine of
`tars exec --runtime microvm --isolate-host`. Each is looked at while it stands still behind its
walls.

Then the walls of `tars exec --runtime native` one by one: a filter around tars, such as containers
have, takes the others away."""

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import platform
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

from script_tests import Skip, run_tests

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("TARS_BUILD", ROOT / "build"))
TARS = os.environ.get("TARS", str(BUILD / "tars"))
TINY = ROOT / "tests/data/models/tiny.gguf"
GUEST = ROOT / "tests/data/sandbox/guest.c"
PATIENCE_S = 60
FAR = 100  # descriptors out of the way of those that a child is given
FILTERED = 2  # what Seccomp: says of a filter
NOBODY = 65534


def finding(name):
    done = subprocess.run([TARS, "doctor", "--json"], capture_output=True, text=True, check=False)
    checks = {c["name"]: c for c in json.loads(done.stdout)["checks"]}
    return checks[name]


def need(name):
    found = finding(name)
    if found["status"] == "unavailable":
        raise Skip(found["detail"])


def facts(path):
    lines = pathlib.Path(path).read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def threads_of(pid):
    return [facts(task / "status") for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]


def limits_of(pid):
    rows = pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {row[:26].strip(): row[26:].split()[:2] for row in rows}


def wait_for(pid, what, seconds=PATIENCE_S):
    """What `what` gives for the process once that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, KeyError):
            if found := what(pid):
                return found
        time.sleep(0.02)
    raise AssertionError(f"process {pid} did not come behind its walls")


def is_filtered(pid):
    return int(facts(f"/proc/{pid}/status")["Seccomp"]) == FILTERED


def check_child(pid):
    """Every thread behind the filter, no new rights, no files written, no dump, no endless time."""
    wait_for(pid, is_filtered)
    for thread in threads_of(pid):
        assert int(thread["Seccomp"]) == FILTERED, f"a thread without a filter: {thread['Name']}"
        assert int(thread["NoNewPrivs"]) == 1, f"a thread may get rights: {thread['Name']}"
    limits = limits_of(pid)
    assert limits["Max file size"] == ["1", "1"], limits["Max file size"]
    assert limits["Max core file size"] == ["0", "0"], limits["Max core file size"]
    assert limits["Max open files"] == ["64", "64"], limits["Max open files"]
    assert "unlimited" not in limits["Max cpu time"], limits["Max cpu time"]
    assert "unlimited" not in limits["Max address space"], limits["Max address space"]


@contextlib.contextmanager
def child(arguments, descriptors):
    """A process of ours with these descriptors (theirs: mine) that is killed in the end."""
    for number in set(range(3)) - set(descriptors):
        descriptors[number] = os.open("/dev/null", os.O_RDWR)
    mine = {theirs: fcntl.fcntl(fd, fcntl.F_DUPFD, FAR) for theirs, fd in descriptors.items()}
    actions = [(os.POSIX_SPAWN_DUP2, fd, theirs) for theirs, fd in mine.items()]
    actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in mine.values()]
    pid = os.posix_spawn(TARS, ["tars", *arguments], {}, file_actions=actions)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for fd in [*mine.values(), *descriptors.values()]:
            os.close(fd)


def check_import(arguments):
    """Nobody reads what it writes: it stands still in the middle of its work."""
    source = os.open(TINY, os.O_RDONLY)
    nobody_reads, stream = os.pipe()
    nobody_listens, status = os.pipe()
    with child(["internal-import", *arguments], {1: stream, 3: source, 4: status}) as pid:
        check_child(pid)
    os.close(nobody_reads)
    os.close(nobody_listens)


def test_the_child_of_an_import_stands_behind_its_walls():
    check_import(["gguf"])


def test_so_does_the_child_with_a_guest():
    need("runtime: wasm")
    with tempfile.TemporaryDirectory() as home:
        check_import(["wasm", home, "gguf"])


def test_so_does_the_child_with_a_machine():
    need("runtime: microvm")
    with tempfile.TemporaryDirectory() as home:
        check_import(["microvm", home, "gguf"])


def test_so_does_the_child_that_compiles():
    need("runtime: wasm")
    module, nothing_comes = os.pipe()
    nobody_reads, code = os.pipe()
    with child(["internal-compile", "stranger"], {0: module, 1: code}) as pid:
        check_child(pid)
    os.close(nothing_comes)
    os.close(nobody_reads)


# ---- a program of tars exec ----------------------------------------------------------------------


def descendants(pid):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int(re.sub(r"^.*\) . ", "", (entry / "stat").read_text()).split()[0])
                found.append((parent, int(entry.name)))
    known = {pid}
    for _ in found:
        known |= {own for parent, own in found if parent in known}
    return known - {pid}


def find_program(pid):
    """The process that became the program: its first argument is the one that was given."""
    for own in descendants(pid):
        with contextlib.suppress(OSError):
            words = pathlib.Path(f"/proc/{own}/cmdline").read_bytes().split(b"\0")
            if words[1:2] == [b"sleep"] and is_filtered(own):
                return own
    return None


def check_namespaces(pid, missing):
    names = {
        "net": "network namespace",
        "ipc": "IPC namespace",
        "uts": "UTS namespace",
        "mnt": "mount namespace",
        "pid": "process namespace",
        "user": "user",
    }
    for kind, name in names.items():
        shares = os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}")
        is_told = any(name in m for m in missing)
        assert not shares or is_told, f"{name} is ours, and that is not told"


def check_program(pid, missing):
    has_users = not any("user namespace" in m or "user and process" in m for m in missing)
    for thread in threads_of(pid):
        assert int(thread["Seccomp"]) == FILTERED and int(thread["NoNewPrivs"]) == 1, thread
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(thread[kind], 16) == 0, f"{kind} {thread[kind]}"
        assert int(thread["CapBnd"], 16) == 0 or not has_users, f"CapBnd {thread['CapBnd']}"
        if os.getuid() == 0:
            assert thread["Uid"].split() == [str(NOBODY)] * 4, f"Uid {thread['Uid']}"
            assert thread["Groups"].split() in ([], [str(NOBODY)]), f"Groups {thread['Groups']}"
    check_namespaces(pid, missing)
    open_ones = sorted(os.listdir(f"/proc/{pid}/fd"))
    assert open_ones == ["0", "1", "2"], f"descriptors {open_ones}"
    if not any("root folder" in m or "mount namespace" in m for m in missing):
        root = sorted(os.listdir(f"/proc/{pid}/root"))
        assert root == ["data"], f"its root has {root}"


@contextlib.contextmanager
def guest_in_folder():
    """A static program, and a folder with a file in it and one beside it."""
    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        program = pathlib.Path(scratch) / "guest"
        words = ["cc", "-O1", "-pthread", "-static", "-o", program, GUEST]
        if subprocess.run(words, check=False).returncode != 0:
            raise Skip("no compiler here that makes static programs")
        data = pathlib.Path(scratch) / "data"
        data.mkdir()
        data.chmod(0o777)  # root's programs run as nobody
        (data / "inside").write_text("inside")
        (data.parent / "outside").write_text("outside")
        yield program, data


def run_guest(options, program, words, before=None):
    command = [TARS, "exec", "--json", *options, str(program), "--", *words]
    done = subprocess.run(command, capture_output=True, check=False, preexec_fn=before)
    return json.loads(done.stdout)


def missing_for(options, program):
    """The walls that are not there for a program, which need not run here at all."""
    found = run_guest(options, program, ["exit", "0"])
    if "error" in found and found["error"]["code"] == "unavailable":
        raise Skip(found["error"]["message"])
    return found["missing"]


def test_a_program_stands_behind_its_walls():
    need("sandbox")
    with guest_in_folder() as (program, data):
        options = ["--profile", "strict", "--dir", f"{data}::/data:ro"]
        missing = missing_for(options, program)
        options += ["--timeout", f"{PATIENCE_S}s"]
        command = [TARS, "exec", *options, str(program), "--", "sleep"]
        nothing = subprocess.DEVNULL
        tars = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)
        try:
            check_program(wait_for(tars.pid, find_program), missing)
        finally:
            tars.terminate()
            tars.wait()


# ---- the process of a virtual machine -------------------------------------------------------------


@contextlib.contextmanager
def sleeper(options):
    """A program that sleeps in a virtual machine, and its folder."""
    need("runtime: microvm")
    with guest_in_folder() as (program, data):
        grant = ["--dir", f"{data}::/data:ro", "--timeout", f"{PATIENCE_S}s"]
        command = [TARS, "exec", "--runtime", "microvm", *grant, *options, str(program), "--", "sleep"]
        nothing = subprocess.DEVNULL
        tars = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)
        try:
            yield tars.pid, data
        finally:
            tars.kill()
            tars.wait()


def find_host(pid):
    """The process of the virtual machine, behind both filters."""
    before = int(facts("/proc/self/status")["Seccomp_filters"])
    for own in descendants(pid):
        words = pathlib.Path(f"/proc/{own}/cmdline").read_bytes().split(b"\0")
        if words[1:2] == [b"internal-host"]:
            return own if int(facts(f"/proc/{own}/status")["Seccomp_filters"]) == before + 2 else None
    return None


def mapped(pid):
    """Yields (name, bytes, flags) of each mapping."""
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)", line):
            name, size = found[3], int(found[2], 16) - int(found[1], 16)
        elif line.startswith("VmFlags:"):
            yield name, size, line.split()[1:]


def check_host(pid, data):
    for thread in threads_of(pid):
        assert int(thread["Seccomp"]) == FILTERED and int(thread["NoNewPrivs"]) == 1, thread
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(thread[kind], 16) == 0, f"{kind} {thread[kind]}"
    limits = limits_of(pid)
    assert limits["Max core file size"] == ["0", "0"], limits["Max core file size"]
    for kind in ("Max file size", "Max open files", "Max cpu time"):
        assert "unlimited" not in limits[kind], f"{kind}: {limits[kind]}"
    assert os.stat(f"/proc/{pid}/fd").st_uid == 0, "its user may look into it"
    assert pathlib.Path(f"/proc/{pid}/environ").read_bytes() == b"", "it has an environment"
    assert os.listdir(f"/proc/{pid}/root") == [], "its root has files"
    usual = r"/dev/null|/dev/kvm|pipe:.*|/memfd:tars-snapshot.*|anon_inode:kvm-v(m|cpu).*"
    open_ones = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    others = [name for name in open_ones if not re.fullmatch(usual, name)]
    assert len(others) == 1, f"descriptors {others}"  # the folder, of which it sees no path
    folder = os.stat(data)
    ids = [os.stat(f"/proc/{pid}/fd/{fd}").st_ino for fd in os.listdir(f"/proc/{pid}/fd")]
    assert folder.st_ino in ids, "the granted folder is not among them"


def test_the_process_of_a_virtual_machine_stands_behind_its_walls():
    with sleeper(["--isolate-host"]) as (tars, data):
        check_host(wait_for(tars, find_host), data)


def has_guest(pid):
    """Its mapping of guest memory, which is larger than all others, once there is a processor."""
    all_ones = list(mapped(pid))
    has_processor = any("kvm-vcpu" in name for name, _, _ in all_ones)
    return has_processor and [flags for name, size, flags in all_ones if size >= 2 << 30 and not name]


def check_no_dump(pid):
    for flags in wait_for(pid, has_guest):
        assert "dd" in flags, f"guest memory would be in a dump: {flags}"
    kept = [flags for name, _, flags in mapped(pid) if "memfd:tars-snapshot" in name]
    assert all("dd" in flags for flags in kept), "what is sealed would be in a dump"


def test_guest_memory_is_in_no_dump():
    with sleeper([]) as (tars, _):
        check_no_dump(tars)
    with sleeper(["--isolate-host"]) as (tars, _):
        host = wait_for(tars, find_host)
        check_no_dump(host)
        assert any("memfd:tars-snapshot" in name for name, _, _ in mapped(host))


# ---- one wall without the others -----------------------------------------------------------------

NUMBERS = {"x86_64": (272, 317), "aarch64": (97, 277)}  # of unshare and seccomp
UNSHARE, SECCOMP = NUMBERS.get(platform.machine(), (0, 0))
LANDLOCK = 444  # landlock_create_ruleset


def without(*numbers):
    """For preexec_fn: these system calls fail with EPERM from then on."""
    if not UNSHARE:
        raise Skip("the numbers of system calls are not known here")
    code = struct.pack("=HBBI", 0x20, 0, 0, 0)  # the call's number
    for number in numbers:
        code += struct.pack("=HBBI", 0x15, 0, 1, number)
        code += struct.pack("=HBBI", 0x06, 0, 0, 0x00050001)  # errno 1
    code += struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)  # allowed
    room = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(room))
    libc = ctypes.CDLL(None, use_errno=True)

    def install():
        no_new_privileges, set_filter, by_program = 38, 22, 2
        done = libc.prctl(no_new_privileges, 1, 0, 0, 0)
        if done != 0 or libc.prctl(set_filter, by_program, program, 0, 0) != 0:
            os._exit(99)
        assert room  # it lives as long as its address is used

    return install


def check_files_are_apart(before, lost):
    """With one wall less: what is granted is read, nothing else is, and the lack is told."""
    need("sandbox")
    with guest_in_folder() as (program, data):
        grant = ["--dir", f"{data}::{data}"]  # under its own name: that needs no root of its own
        cases = [
            (["read", f"{data}/inside"], 0),
            (["read", f"{data}/../outside"], 9),
            (["read", "/etc/passwd"], 9),
            (["read", "/proc/1/environ"], 9),
            (["read", "/proc/self/maps"], 9),
            (["write", f"{data}/../new"], 9),
            (["write", f"{data}/new"], 0),
        ]
        for words, expected in cases:
            found = run_guest(grant, program, words, before)
            assert "error" not in found, found["error"]
            assert any(lost in m for m in found["missing"]), f"{lost}: {found['missing']}"
            assert found["exit_code"] == expected, f"{words}: {found}"
        assert not (data.parent / "new").exists()


def test_landlock_alone_keeps_files_apart():
    if any("Landlock" in m for m in sandbox_lacks()):
        raise Skip("there is no Landlock here")
    check_files_are_apart(without(UNSHARE), "mount namespace")


def test_a_root_of_its_own_alone_keeps_files_apart():
    if any("root folder" in m or "mount namespace" in m for m in sandbox_lacks()):
        raise Skip("there is no mount namespace here")
    check_files_are_apart(without(LANDLOCK), "Landlock")


def sandbox_lacks():
    need("sandbox")
    with guest_in_folder() as (program, data):
        return run_guest(["--dir", f"{data}::{data}"], program, ["exit", "0"])["missing"]


def check_nothing_runs(options, before):
    need("sandbox")
    with guest_in_folder() as (program, data):
        grant = [o.replace("DATA", str(data)) for o in options]
        found = run_guest(grant, program, ["say", "it ran"], before)
        assert "error" in found and "stdout" not in found, f"it ran: {found}"


def test_nothing_that_opens_files_runs_without_both():
    check_nothing_runs(["--dir", "DATA::DATA"], without(UNSHARE, LANDLOCK))


def test_nothing_runs_without_a_filter():
    check_nothing_runs(["--profile", "strict"], without(SECCOMP))


def main():
    if sys.platform != "linux":
        print("  skipped walls: they are Linux's")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    return run_tests([value for name, value in globals().items() if name.startswith("test_")])


sys.exit(main())
