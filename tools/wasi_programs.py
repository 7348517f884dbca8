#!/usr/bin/env python3
"""Builds other people's programs for WebAssembly (wasm32-wasi), and prints the folder that holds
sqlite3.wasm, lua.wasm and minigzip.wasm.

  wasi_programs.py [--print]      --print: builds nothing; exit 1 with the reason when they are not there

tests/project/wasi_programs.py runs them in the sandbox. Their sources are the upstream tarballs of
the source packages sqlite3, lua5.4 and zlib, which apt-get fetches from the distribution that this
machine has configured, and whose signatures it checks; it needs no root and changes nothing of the
system's own state. Tarballs and programs are kept below the cache folder, the latter in a folder
for each set of sources, compiler, C library and recipe; a second call fetches and builds nothing.
TARS_TEST_WASI_PROGRAMS names another folder with the three programs: then nothing is fetched.
Exit status 5 when they cannot be had.

What the programs lack, because WASI has none of it:
  sqlite3   locks (the VFS is unix-none), a write-ahead log, extensions, the shell's .system and .excel
  lua       unwinding, for which WebAssembly needs its exceptions: an error is printed and ends the
            program with 1, also within pcall, and a coroutine can run but not yield; os.execute,
            io.popen, io.tmpfile, os.tmpname
"""

import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile

COMPILER, LINKER = "clang-19", "wasm-ld-19"
TARGET = ["--target=wasm32-wasi"]
FLAGS = [*TARGET, "-O2", "-w", "-D_WASI_EMULATED_SIGNAL", "-D_WASI_EMULATED_PROCESS_CLOCKS",
         "-D_WASI_EMULATED_GETPID", "-D_WASI_EMULATED_MMAN"]
LIBRARIES = ["-lwasi-emulated-signal", "-lwasi-emulated-process-clocks", "-lwasi-emulated-getpid",
             "-lwasi-emulated-mman"]
LINK_FLAGS = ["-Wl,-z,stack-size=1048576", "-Wl,--stack-first"]  # 64 KiB is too little, and overflows into data
SQLITE_FLAGS = ["-DSQLITE_OS_UNIX=1", "-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION",
                "-DSQLITE_OMIT_WAL", "-DSQLITE_MAX_MMAP_SIZE=0", "-DSQLITE_OMIT_POPEN",
                "-DSQLITE_NOHAVE_SYSTEM", '-DSQLITE_DEFAULT_UNIX_VFS="unix-none"', "-DHAVE_USLEEP=1",
                "-DSQLITE_ENABLE_MATH_FUNCTIONS", "-DSQLITE_ENABLE_FTS5", "-DSQLITE_ENABLE_RTREE"]
PACKAGES = {"sqlite3": "sqlite3", "lua": "lua5.4", "minigzip": "zlib"}
STEP_SECONDS = 600

# Headers and sources that stand in for what wasi-libc lacks.
PWD_H = """\
struct passwd {
    char *pw_dir;
};
static inline struct passwd *getpwuid(int user) {
    return 0;
}
"""
# A folder above a granted one counts as absent: looking for links on the way to a database goes on.
SQLITE_GAPS_H = """\
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#ifndef F_GETLK
#define F_GETLK 100
#define F_SETLK 101
#define F_RDLCK 0
#define F_WRLCK 1
#define F_UNLCK 2
#endif
static inline int gap_chmod(const char *path, mode_t mode) {
    return 0;
}
static inline int gap_fchmod(int file, mode_t mode) {
    return 0;
}
static inline int gap_fchown(int file, uid_t user, gid_t group) {
    return 0;
}
static inline uid_t gap_user(void) {
    return 1;
}
static inline int gap_lstat(const char *path, struct stat *out) {
    int result = lstat(path, out);
    if (result != 0 && errno == ENOTCAPABLE) {
        errno = ENOENT;
    }
    return result;
}
#define chmod gap_chmod
#define fchmod gap_fchmod
#define fchown gap_fchown
#define getuid gap_user
#define geteuid gap_user
#define lstat gap_lstat
"""
SETJMP_H = """\
typedef int jmp_buf;
"""
LUA_GAPS_H = """\
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
struct lua_State;
_Noreturn void gap_throw(struct lua_State *state, int status);
#define LUAI_TRY(state, buffer, action) { action }
#define LUAI_THROW(state, buffer) gap_throw(state, (buffer)->status)
#define luai_jmpbuf int
#define LUA_TMPNAMBUFSIZE 1
#define lua_tmpnam(buffer, failed) { (void)(buffer); failed = 1; }
#define lua_stdin_is_tty() isatty(0)
#define tmpfile() ((FILE *)0)
#define system(command) ((command) ? -1 : 0)
"""
LUA_THROW_C = """\
#include "lua.h"
static const char *message_of(lua_State *state, int status) {
    if (status == LUA_ERRMEM) {
        return "not enough memory";
    }
    if (status == LUA_YIELD) {
        return "coroutines cannot yield in this build";
    }
    const char *text = lua_gettop(state) > 0 ? lua_tostring(state, -1) : NULL;
    return text ? text : "(an error object that is no string)";
}
_Noreturn void gap_throw(lua_State *state, int status) {
    fflush(stdout);
    fprintf(stderr, "lua: %s\\n", message_of(state, status));
    exit(1);
}
"""


class Absent(Exception):
    """They cannot be had; the text says why."""


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "tars" / "wasi-programs"


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(command, folder):
    """Returns the standard output; Absent with the end of what it printed when it fails."""
    words = [str(word) for word in command]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environment.update(LC_ALL="C.UTF-8", SOURCE_DATE_EPOCH="0")
    result = subprocess.run(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, errors="replace", timeout=STEP_SECONDS)
    if result.returncode != 0:
        tail = "\n".join((result.stdout + result.stderr).splitlines()[-20:])
        raise Absent(f"{shlex.join(words)} ended with {result.returncode}:\n{tail}")
    return result.stdout


# ---- sources ----------------------------------------------------------------------------------


def entries_of_list(text):
    """sources.list(5), one line an entry, as entries for source packages. What vouches for an archive
    without a signature is taken out."""
    lines = []
    for line in text.splitlines():
        match = re.match(r"\s*deb(?:-src)?\s+(?:\[([^]]*)\]\s+)?([^#\s].*)", line)
        if match and not match.group(2).startswith("cdrom:"):
            options = [o for o in (match.group(1) or "").split() if not o.lower().startswith("trusted")]
            bracket = f"[{' '.join(options)}] " if options else ""
            lines.append(f"deb-src {bracket}{match.group(2)}\n")
    return "".join(dict.fromkeys(lines))


def entries_of_stanzas(text):
    """The same for the form with a stanza an entry."""
    text = re.sub(r"(?im)^trusted[ \t]*:.*\n?", "", text)
    return re.sub(r"(?im)^types[ \t]*:.*$", "Types: deb-src", text)


def write_source_lists(folder):
    answer = run(["apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"], folder)
    places = dict(word.split("=", 1) for word in shlex.split(answer))
    paths = [pathlib.Path(places["LIST"])] if "LIST" in places else []
    paths += sorted(pathlib.Path(places["PARTS"]).glob("*")) if "PARTS" in places else []
    lines = ""
    for number, path in enumerate(paths):
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".sources":
            (folder / f"{number}.sources").write_text(entries_of_stanzas(text), encoding="utf-8")
        else:
            lines += entries_of_list(text)
    (folder / "all.list").write_text(lines, encoding="utf-8")


def write_apt_settings(scratch):
    """Everything that apt-get writes lies in `scratch`, and nothing without a signature is taken."""
    for name in ("state/lists/partial", "cache/archives/partial", "parts"):
        (scratch / name).mkdir(parents=True)
    write_source_lists(scratch / "parts")
    settings = {
        "Dir::State": scratch / "state", "Dir::State::lists": scratch / "state/lists",
        "Dir::Cache": scratch / "cache", "Dir::Cache::archives": scratch / "cache/archives",
        "Dir::Etc::sourcelist": "/dev/null", "Dir::Etc::sourceparts": scratch / "parts",
        "Acquire::Retries": 1, "Acquire::http::Timeout": 30, "Acquire::https::Timeout": 30,
        "Acquire::Languages": "none", "Acquire::AllowInsecureRepositories": "false",
        "Acquire::AllowWeakRepositories": "false", "Acquire::AllowDowngradeToInsecureRepositories": "false",
        "APT::Get::AllowUnauthenticated": "false",
    }
    hooks = ("Pre-Invoke", "Post-Invoke", "Post-Invoke-Success")
    text = "".join(f"#clear APT::Update::{hook};\n" for hook in hooks)
    text += "".join(f'{name} "{value}";\n' for name, value in settings.items())
    (scratch / "apt.conf").write_text(text, encoding="utf-8")
    return ["apt-get", "-qq", "-c", scratch / "apt.conf"]


def tarball_of(folder, package):
    """The upstream tarball, without those of further components."""
    found = [path for path in folder.glob(f"{package}_*")
             if re.fullmatch(rf"{re.escape(package)}_[^_]+\.orig\.tar\.(gz|bz2|xz)", path.name)]
    return found[0] if len(found) == 1 else None


def known_sources():
    """Package name: tarball. Without those that are not there, or not what was once fetched."""
    found = {}
    for package in PACKAGES.values():
        folder = cache_folder() / "sources" / package
        path = tarball_of(folder, package)
        digest = folder / "SHA256"
        if path and digest.exists() and digest.read_text(encoding="ascii").strip() == digest_of(path):
            found[package] = path
    return found


def keep_source(downloads, package):
    path = tarball_of(downloads, package)
    if not path:
        raise Absent(f"the source package {package} has not one upstream tarball")
    folder = cache_folder() / "sources" / package
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = pathlib.Path(scratch) / "made"
        made.mkdir()
        shutil.copyfile(path, made / path.name)
        (made / "SHA256").write_text(digest_of(path) + "\n", encoding="ascii")
        if folder.exists():  # damaged
            shutil.rmtree(folder)
        made.rename(folder)


def fetch_sources(packages):
    if os.environ.get("TARS_OFFLINE") not in (None, "", "0"):
        raise Absent("TARS_OFFLINE is set: no source packages are fetched")
    for tool in ("apt-get", "apt-config"):
        if not shutil.which(tool):
            raise Absent(f"no {tool} here to fetch source packages with")
    print(f"Fetching the source packages {' '.join(packages)}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="tars-apt-") as folder:
        scratch = pathlib.Path(folder)
        scratch.chmod(0o755)  # apt-get gives up root while it fetches
        downloads = scratch / "downloads"
        downloads.mkdir()
        if os.geteuid() == 0:
            try:
                shutil.chown(downloads, "_apt")
            except (LookupError, OSError):
                pass  # then it fetches as root, and says so
        apt_get = write_apt_settings(scratch)
        try:
            run([*apt_get, "update"], scratch)
        except Absent as problem:  # of some archive, perhaps of none that matters
            print(f"wasi_programs: {problem}", file=sys.stderr)
        command = [*apt_get, "source", "--only-source", "--tar-only", "--download-only", *packages]
        run(command, downloads)
        for package in packages:
            keep_source(downloads, package)


# ---- programs ---------------------------------------------------------------------------------


def unpack(tarball, folder):
    """Returns the folder in the tarball."""
    with tarfile.open(tarball) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)  # signed by the distribution
    return next(path for path in folder.iterdir() if path.is_dir())


def compile_program(folder, sources, flags, output):
    """`folder` has the header gaps.h when there is something to stand in for."""
    flags = [*FLAGS, f"-ffile-prefix-map={folder.parent}=.", *flags]  # equal bytes wherever it is built
    if (folder / "gaps.h").exists():
        flags += ["-I", folder, "-include", folder / "gaps.h"]
    objects = []
    for source in sources:
        objects.append(folder / f"{source.stem}.o")
        run([COMPILER, *flags, "-c", source, "-o", objects[-1]], folder)
    run([COMPILER, *TARGET, *LINK_FLAGS, *objects, "-o", output, *LIBRARIES], folder)


def build_sqlite3(tree, folder, output):
    if not shutil.which("tclsh") and not (tree / "autosetup/jimsh0.c").exists():
        raise Absent("no tclsh here, which puts the source of sqlite3 together (make packages)")
    (folder / "gaps.h").write_text(SQLITE_GAPS_H, encoding="ascii")
    (folder / "pwd.h").write_text(PWD_H, encoding="ascii")
    run([tree / "configure", "--disable-tcl", "--disable-shared"], folder)
    run(["make", "-j1", "sqlite3.c", "shell.c"], folder)
    compile_program(folder, [folder / "sqlite3.c", folder / "shell.c"], SQLITE_FLAGS, output)


def build_lua(tree, folder, output):
    (folder / "gaps.h").write_text(LUA_GAPS_H, encoding="ascii")
    (folder / "setjmp.h").write_text(SETJMP_H, encoding="ascii")
    (folder / "throw.c").write_text(LUA_THROW_C, encoding="ascii")
    sources = [path for path in sorted((tree / "src").glob("*.c")) if path.name != "luac.c"]
    compile_program(folder, [*sources, folder / "throw.c"], ["-I", tree / "src"], output)


def build_minigzip(tree, folder, output):
    sources = [*sorted(tree.glob("*.c")), tree / "test/minigzip.c"]
    compile_program(folder, sources, ["-DHAVE_UNISTD_H", "-I", tree], output)


BUILDERS = {"sqlite3": build_sqlite3, "lua": build_lua, "minigzip": build_minigzip}


def compiler_texts():
    """What of the machine the programs depend on."""
    for tool in (COMPILER, LINKER):
        if not shutil.which(tool):
            raise Absent(f"no {tool} here (make packages)")
    texts = [run([tool, "--version"], "/") for tool in (COMPILER, LINKER)]
    for question in ("-print-file-name=libc.a", "-print-libgcc-file-name"):
        path = pathlib.Path(run([COMPILER, *TARGET, question], "/").strip())
        if not path.is_absolute() or not path.exists():
            raise Absent(f"{COMPILER} finds no {path.name} for wasm32-wasi (make packages)")
        texts.append(digest_of(path))
    return texts


def folder_of(sources):
    """Named by everything that makes the programs what they are, this file included."""
    texts = compiler_texts() + [digest_of(pathlib.Path(__file__))]
    texts += [f"{package} {digest_of(sources[package])}" for package in sorted(sources)]
    return cache_folder() / hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def is_complete(folder):
    try:
        lines = (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines()
        digests = dict(reversed(line.split("  ", 1)) for line in lines)
        return all(digests.get(f"{name}.wasm") == digest_of(folder / f"{name}.wasm") for name in PACKAGES)
    except (OSError, ValueError):
        return False


def build(sources, folder):
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        scratch = pathlib.Path(name)
        made = scratch / "made"
        made.mkdir()
        sums = ""
        for program, package in PACKAGES.items():
            tarball = sources[package]
            print(f"Building {program}.wasm from {tarball.name}", file=sys.stderr, flush=True)
            for part in ("tree", "work"):
                (scratch / program / part).mkdir(parents=True)
            output = made / f"{program}.wasm"
            tree = unpack(tarball, scratch / program / "tree")
            BUILDERS[program](tree, scratch / program / "work", output)
            sums += f"{digest_of(output)}  {output.name}\n"
        (made / "SHA256SUMS").write_text(sums, encoding="ascii")
        if folder.exists():  # damaged, or another call was faster
            shutil.rmtree(folder)
        made.rename(folder)


def programs(build_them):
    given = os.environ.get("TARS_TEST_WASI_PROGRAMS")
    if given:
        folder = pathlib.Path(given)
        missing = [f"{name}.wasm" for name in PACKAGES if not (folder / f"{name}.wasm").exists()]
        if missing:
            raise Absent(f"TARS_TEST_WASI_PROGRAMS={given} lacks {', '.join(missing)}")
        return folder
    compiler_texts()  # before anything is fetched
    sources = known_sources()
    missing = [package for package in PACKAGES.values() if package not in sources]
    if missing:
        if not build_them:
            raise Absent("the programs have not been built (tools/wasi_programs.py does)")
        fetch_sources(missing)
        sources = known_sources()
    folder = folder_of(sources)
    if not is_complete(folder):
        if not build_them:
            raise Absent("the programs have not been built with this compiler (tools/wasi_programs.py does)")
        build(sources, folder)
    return folder


def main():
    words = sys.argv[1:]
    if any(word not in ("--print",) for word in words):
        print(__doc__.strip())
        sys.exit(0 if set(words) <= {"--help", "-h"} else 2)
    print_only = "--print" in words
    try:
        print(programs(build_them=not print_only))
    except (Absent, OSError, tarfile.TarError, subprocess.TimeoutExpired) as problem:
        print(f"wasi_programs: {problem}", file=sys.stderr)
        sys.exit(1 if print_only else 5)


if __name__ == "__main__":
    main()
