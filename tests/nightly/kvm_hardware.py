#!/usr/bin/env python3
"""The micro-VM's tests on KVM as hardware has it, where SYSCALL and faults arrive in ring 0.

  tests/nightly/kvm_hardware.py [--build DIR] [--nested-paging 0|1] [--timeout SECONDS]
                                [--command TEXT]

QEMU emulates a processor of AMD with its virtual machines (SVM), once with nested paging and once
without. A kernel of the distribution boots in it with kvm_amd, sees the files of this machine
read-only under a layer in memory, and runs the tests of a finished build. Wanted are
qemu-system-x86_64, busybox-static, bats and apt; from apt comes the kernel, unpacked and not
installed, once, to ~/.cache/tars/kernels. What the console said is kept in DIR/nightly.

It is emulation: nothing that it says of time means anything. It has no processor of Intel (VMX).

With --command, a shell command runs there instead of the tests, and its output is shown.
"""

import argparse
import gzip
import lzma
import os
import pathlib
import platform
import re
import shutil
import stat
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/project"))
from script_tests import Skip, run_tests

EMULATOR = "qemu-system-x86_64"
MEMORY_MIB = 4096
# Packages that depend on the newest kernel, by distribution.
KERNELS = ("linux-image-amd64", "linux-image-generic")
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "kvm", "kvm_amd")
CLOSING = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)


# ---- the kernel --------------------------------------------------------------------------------


def output_of(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise Skip(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-200:]}")
    return done.stdout


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "tars" / "kernels"


def kernel_packages():
    """The packages of the newest kernel, and of its modules where they are apart."""
    for meta in KERNELS:
        done = subprocess.run(["apt-cache", "depends", meta], capture_output=True, text=True)
        image = re.search(r"Depends: (linux-image-(?:unsigned-)?\d\S+)", done.stdout)
        if image:
            own = output_of(["apt-cache", "depends", image.group(1)])
            return [image.group(1)] + re.findall(r"Depends: (linux-modules-\d\S+)", own)
    raise Skip("apt knows no package of a kernel: " + " or ".join(KERNELS))


def unpacked_kernel():
    """A folder with boot/vmlinuz-* and the modules."""
    for tool in ("apt-get", "apt-cache", "dpkg"):
        if not shutil.which(tool):
            raise Skip(f"{tool} is not here, from which the kernel would come")
    packages = kernel_packages()
    folder = cache_folder() / packages[0]
    if (folder / "boot").exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        output_of(["apt-get", "download", *packages], cwd=scratch)
        unpacked = pathlib.Path(scratch) / "unpacked"
        for package in pathlib.Path(scratch).glob("*.deb"):
            output_of(["dpkg", "-x", str(package), str(unpacked)])
        unpacked.rename(folder)
    return folder


def module_bytes(path):
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout
    return data


def modules_in_order(folder):
    """(name, bytes) of MODULES and of all they depend on, each after what it depends on."""
    paths = {}
    for path in folder.rglob("*.ko*"):
        paths[path.name.split(".")[0].replace("-", "_")] = path
    order = {}

    def add(name):
        if name in order or name not in paths:  # what is built in is no file
            return
        data = module_bytes(paths[name])
        needs = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in needs.group(1).decode().split(",") if needs else []:
            add(other.replace("-", "_"))
        order[name] = data

    for name in MODULES:
        add(name)
    return list(order.items())


# ---- what it boots -----------------------------------------------------------------------------

INIT = r"""#!/bin/sh
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
while read -r module; do
    case $module in
    kvm_amd) $bb insmod /modules/$module.ko nested=0 npt=@NPT@ ;;
    *) $bb insmod /modules/$module.ko ;;
    esac || echo "no module $module"
done </modules/order
$bb mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 host /lower || $bb poweroff -f
$bb mount -t tmpfs -o mode=0755 tmpfs /upper
$bb mkdir /upper/over /upper/work
$bb mount -t overlay -o lowerdir=/lower,upperdir=/upper/over,workdir=/upper/work overlay /root || $bb poweroff -f
for folder in proc sys dev; do $bb mount --move /$folder /root/$folder; done
$bb mkdir /root/dev/shm /root/dev/pts
$bb mount -t tmpfs -o mode=1777 tmpfs /root/dev/shm
$bb mount -t devpts devpts /root/dev/pts
$bb mount -t tmpfs tmpfs /root/run
$bb ln -s /proc/self/fd /root/dev/fd
$bb cp /run /root/run/tests
$bb chroot /root /bin/sh /run/tests </root/dev/null 2>&1
$bb poweroff -f
"""


def archive(entries):
    """An initial file system: the kernel's cpio format, without a tool for it."""
    out = bytearray()

    def put(name, mode, data, number):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out.extend(b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0")
        out.extend(bytes(-len(out) % 4) + data)
        out.extend(bytes(-len(out) % 4))

    for number, (name, mode, data) in enumerate(entries, 1):
        put(name, mode, data, number)
    put("TRAILER!!!", 0, b"", 0)
    return bytes(out)


def initial_files(kernel, nested_paging, script):
    busybox = shutil.which("busybox")
    if not busybox:
        raise Skip("busybox is not here (package busybox-static)")
    modules = modules_in_order(kernel)
    missing = {"kvm", "kvm_amd", "9p", "overlay"} - {name for name, _ in modules}
    if missing:
        raise Skip(f"the kernel has no module {' '.join(sorted(missing))}")
    folder, program, text = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755, stat.S_IFREG | 0o644
    names = ("bin", "proc", "sys", "dev", "root", "lower", "upper", "modules")
    entries = [(name, folder, b"") for name in names]
    entries += [
        ("init", program, INIT.replace("@NPT@", str(nested_paging)).encode()),
        ("run", text, script.encode()),
        ("bin/busybox", program, pathlib.Path(busybox).read_bytes()),
        ("bin/sh", stat.S_IFLNK | 0o777, b"busybox"),
        ("modules/order", text, "".join(name + "\n" for name, _ in modules).encode()),
    ]
    entries += [(f"modules/{name}.ko", text, data) for name, data in modules]
    return gzip.compress(archive(entries), 1)


def boot(kernel, initial, log, timeout):
    """Runs to the end of the machine; returns what its console said, and how it ended."""
    image = next(iter(sorted((kernel / "boot").glob("vmlinuz-*"))))
    with tempfile.NamedTemporaryFile(prefix="tars-kvm-") as file, open(log, "wb") as out:
        file.write(initial)
        file.flush()
        # one thread: with several, this emulator now and then never gets over code that changes
        command = [EMULATOR, "-accel", "tcg,thread=single", "-cpu", "max,svm=on", "-smp", "2"]
        command += ["-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-no-reboot"]
        command += ["-display", "none", "-serial", "stdio", "-kernel", str(image)]
        command += ["-initrd", file.name, "-append", "console=ttyS0 quiet panic=-1"]
        command += ["-fsdev", "local,id=host,path=/,readonly=on,security_model=none,multidevs=remap"]
        command += ["-device", "virtio-9p-pci,fsdev=host,mount_tag=host"]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=timeout, check=False
            )
            ended = f"ended with {done.returncode}"
        except subprocess.TimeoutExpired:
            ended = f"was stopped after {timeout:.0f} s"
    return pathlib.Path(log).read_text("utf-8", "replace").replace("\r", ""), ended


# ---- what runs there ---------------------------------------------------------------------------

MODEL = """
"$TARS" --quiet import tests/data/models/tiny.gguf --name tiny || exit
for runtime in native microvm microvm; do
    "$TARS" run tiny Hello --seed 7 --max-tokens 6 --logits-hash --quiet --runtime $runtime \
        >"$TMPDIR/$runtime" || exit
    cat "$TMPDIR/$runtime"
done
grep -q logits_hash "$TMPDIR/native" && cmp "$TMPDIR/native" "$TMPDIR/microvm"
"""
# Of each: what it is, the command, and what its output must have.
STEPS = (
    ("the bare machine", '"$TARS_BUILD/tests/test_runtime_vmm"', "calls arrive in ring 0"),
    ("programs of strangers", '"$PYTHON" tests/project/escape.py microvm', ""),
    ("exec", "bats --tap tests/cli/exec_microvm.bats", "1.."),
    ("a model", MODEL, "logits_hash"),
)


def script_of(steps, build, library):
    variables = {
        "PATH": f"{pathlib.Path(sys.executable).parent}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHON": sys.executable,
        "HOME": "/run",
        "TMPDIR": "/run/scratch",
        "TARS_HOME": "/run/home",
        "TARS_OFFLINE": "1",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TARS_BUILD": str(build),
        "TARS": str(build / "tars"),
        "LD_PRELOAD": str(library),
    }
    lines = [f"export {name}='{value}'" for name, value in variables.items()]
    lines += ["mkdir -p /run/scratch /run/home", "chmod 1777 /run/scratch", f"cd '{ROOT}'"]
    for title, command, _ in steps:
        lines += [f"echo '=== begin {title}'", f"(\n{command}\n)", f"echo '=== end {title}' $?"]
    return "\n".join(lines) + "\n"


def judge(title, needs, text, ended):
    begun = text.find(f"=== begin {title}\n")
    end = re.search(rf"^=== end {re.escape(title)} (\d+)$", text, re.MULTILINE)
    output = text[begun : end.start() if end else len(text)] if begun >= 0 else ""
    last = " | ".join((output or text).strip().splitlines()[-12:])
    assert end, f"the machine {ended}, without an end of this: {last}"
    assert end.group(1) == "0", f"exit status {end.group(1)}: {last}"
    assert needs in output, f"no {needs!r}: {last}"
    counts = CLOSING.search(output)
    skips = re.search(r"# skip|^ +skipped ", output, re.MULTILINE)
    assert not skips, f"something was skipped: {last}"
    if counts:
        print(f"    {counts.group(0)}")


def prepare(build):
    """The kernel, and the library that is preloaded."""
    if platform.machine() != "x86_64":
        raise Skip("the tests of micro-VMs are programs for x86-64")
    for tool, package in ((EMULATOR, "qemu-system-x86"), ("bats", "bats"), ("cc", "gcc")):
        if not shutil.which(tool):
            raise Skip(f"{tool} is not here (package {package})")
    if not (build / "tars").exists() or not (build / "tests/test_runtime_vmm").exists():
        sys.exit(f"kvm_hardware.py: no finished build at {build}; 'make test' makes one")
    kernel = unpacked_kernel()
    folder = build / "nightly"
    folder.mkdir(exist_ok=True)
    library = folder / "task_segment.so"
    source = ROOT / "tests/nightly/task_segment.c"
    output_of(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"])
    return kernel, library


def main():
    parser = argparse.ArgumentParser(description="run the micro-VM's tests on emulated hardware")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--nested-paging", type=int, choices=(0, 1))
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for each machine")
    parser.add_argument("--command", help="runs this and shows its output")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    try:
        kernel, library = prepare(build)
    except Skip as reason:
        print(f"  skipped hardware: {reason}\n0 passed, 0 failed, 1 skipped")
        return 0
    steps = (("command", arguments.command, ""),) if arguments.command else STEPS
    one = arguments.nested_paging
    tests = []
    for paging in (1, 0) if one is None else (one,):
        log = build / f"nightly/console-{paging}.log"
        initial = initial_files(kernel, paging, script_of(steps, build, library))
        text, ended = boot(kernel, initial, log, arguments.timeout)
        if arguments.command:
            print(text, f"The machine {ended}.")
        for title, _, needs in steps:

            def test(title=title, needs=needs, text=text, ended=ended):
                judge(title, needs, text, ended)

            test.__name__ = f"{title}, nested paging {'on' if paging else 'off'}"
            tests.append(test)
    return run_tests(tests)


sys.exit(main())
