#!/usr/bin/env python3
"""Fetches Wasmtime's C library and its headers, and prints the folder that holds include/ and lib/.

  fetch_wasmtime.py [--print]      --print: only where it would be, and exit 5 when it is not there

The library comes out of the PyPI wheel of a pinned version through the user's own pip, the headers
out of the crate of the same version (crates.io, over HTTPS); both are checked by SHA-256. They are
kept below the cache folder; a second call fetches nothing. WASMTIME_DIR names another folder of
the same form, such as an unpacked C API release of Wasmtime's own: then nothing is fetched. Exit
status 5 when they cannot be had.
"""

import hashlib
import io
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile

VERSION = "50.0.1"
CRATE_URL = f"https://static.crates.io/crates/wasmtime-c-api-impl/wasmtime-c-api-impl-{VERSION}.crate"
CRATE_SHA256 = "3c24d3970786b4baecb5b6aff31759b4f361879e8d99dbd5dc36a9524a0db6e6"
# machine: SHA-256 of the wheel, the library in it, SHA-256 of that
WHEELS = {
    "x86_64": ("cc14c3a17654e0394e0225b11813532ef0cd7bd1e222a0c5494cdedaabeddac4",
               "wasmtime/linux-x86_64/_libwasmtime.so",
               "3127ca42fe7cdd3f0a43a358e79177dcfedd46c1746329826403b9d854de6178"),
    "aarch64": ("675484e525c028dc02762b777f1db4477ea70caa3fec6775426daff4d64edfb1",
                "wasmtime/linux-aarch64/_libwasmtime.so",
                "4777b787fcc6651c98130ccc7c8ce9160faba5f3b34918886785a43094026fc9"),
}
# What conf.h.in leaves open, for a library with everything in it.
ABSENT = re.compile(r"(DISABLE_LOGGING|ALL_ARCH)")
MAX_CRATE_BYTES = 4 << 20
MAX_HEADER_BYTES = 1 << 20


def fail(message):
    print(f"fetch_wasmtime: {message}", file=sys.stderr)
    sys.exit(5)


def folder_of(machine):
    given = os.environ.get("WASMTIME_DIR")
    if given:
        return pathlib.Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "tars" / "wasmtime" / f"{VERSION}-{machine}"


def is_complete(folder, sha256=None):
    """The library runs in the build's own processes: what lies in the cache is checked each time."""
    library = folder / "lib" / "libwasmtime.so"
    if not (folder / "include" / "wasmtime.h").exists() or not library.exists():
        return False
    return sha256 is None or hashlib.sha256(library.read_bytes()).hexdigest() == sha256


def check(name, content, sha256):
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        fail(f"{name} has SHA-256 {found}, expected {sha256}; nothing was kept")
    return content


def fetch_crate():
    try:
        with urllib.request.urlopen(CRATE_URL, timeout=60) as answer:
            content = answer.read(MAX_CRATE_BYTES + 1)
    except (urllib.error.URLError, OSError) as error:
        fail(f"{CRATE_URL} cannot be had: {error}")
    return check(CRATE_URL, content, CRATE_SHA256)


def fetch_wheel(machine, folder):
    sha256 = WHEELS[machine][0]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--retries", "1", "--no-deps", "--only-binary=:all:",
               "-d", folder, f"wasmtime=={VERSION}"]
    if subprocess.run(command, stdout=sys.stderr).returncode != 0:
        fail(f"pip could not fetch wasmtime=={VERSION} (its message is above)")
    wheel = next(pathlib.Path(folder).glob("*.whl"))
    return check(wheel.name, wheel.read_bytes(), sha256)


def configure(text):
    """conf.h out of conf.h.in."""
    lines = []
    for line in text.splitlines():
        match = re.match(r"#cmakedefine\s+(\w+)", line)
        if match and ABSENT.search(match.group(1)):
            continue
        lines.append(f"#define {match.group(1)}" if match else line)
    return "\n".join(lines) + "\n"


def unpack_headers(crate, folder):
    prefix = f"wasmtime-c-api-impl-{VERSION}/include/"
    with tarfile.open(fileobj=io.BytesIO(crate), mode="r:gz") as archive:
        for member in archive:
            name = member.name[len(prefix):] if member.name.startswith(prefix) else ""
            if not re.fullmatch(r"(\w+/)*\w+\.h(\.in)?", name) or not member.isfile():
                continue  # the C headers only
            content = archive.extractfile(member).read(MAX_HEADER_BYTES)
            if name.endswith(".in"):
                name = name[:-3]
                content = configure(content.decode()).encode()
            path = folder / "include" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def unpack_library(machine, wheel, folder):
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        path = folder / "lib" / "libwasmtime.so"
        path.parent.mkdir(parents=True)
        path.write_bytes(archive.read(WHEELS[machine][1]))
        path.chmod(0o755)
        for name in archive.namelist():
            if re.search(r"\.dist-info/(licenses/)?LICENSE", name):
                (folder / "LICENSE").write_bytes(archive.read(name))


def fetch(machine, folder, sha256):
    print(f"Fetching Wasmtime {VERSION} into {folder}", file=sys.stderr, flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = pathlib.Path(scratch) / "made"
        made.mkdir()
        unpack_library(machine, fetch_wheel(machine, scratch), made)
        unpack_headers(fetch_crate(), made)
        if not is_complete(made, sha256):
            fail("the wheel or the crate lacks what was expected")
        if folder.exists():  # damaged, or another call was faster
            shutil.rmtree(folder)
        made.rename(folder)


def main():
    machine = platform.machine()
    given = os.environ.get("WASMTIME_DIR")
    folder = folder_of(machine)
    sha256 = None if given else WHEELS.get(machine, (None, None, None))[2]
    if is_complete(folder, sha256):
        print(folder)
        return
    if given:
        fail(f"WASMTIME_DIR={folder} has no include/wasmtime.h and lib/libwasmtime.so")
    if "--print" in sys.argv[1:]:
        print(folder)
        sys.exit(5)
    if platform.system() != "Linux" or machine not in WHEELS:
        fail(f"no pinned Wasmtime for {platform.system()} on {machine}: set WASMTIME_DIR")
    if os.environ.get("TARS_OFFLINE") not in (None, "", "0"):
        fail("TARS_OFFLINE is set: nothing is fetched")
    try:
        fetch(machine, folder, sha256)
    except (OSError, KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        if not is_complete(folder, sha256):
            fail(f"Wasmtime cannot be kept in {folder}: {error}")
    print(folder)


if __name__ == "__main__":
    main()
