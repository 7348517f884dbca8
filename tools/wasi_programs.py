#!/usr/bin/env python3
"""Builds other people's programs for WebAssembly (wasm32-wasi), and prints the folder that holds
sqlite3.wasm, lua.wasm and minigzip.wasm.

  wasi_programs.py [--print]      --print: builds nothing; exit 1 with the reason when they are not there

tests/project/wasi_programs.py runs them in the sandbox. Their sources are those of the source
packages sqlite3, lua5.4 and zlib; where they come from and are kept, upstream.py says.
TARS_TEST_WASI_PROGRAMS names another folder with the three programs: then nothing is fetched.
Exit status 5 when they cannot be had.

What the programs lack, because WASI has none of it:
  sqlite3   locks (the VFS is unix-none), a write-ahead log, extensions, the shell's .system and .excel
  lua       unwinding, for which WebAssembly needs its exceptions: an error is printed and ends the
            program with 1, also within pcall, and a coroutine can run but not yield; os.execute,
            io.popen, io.tmpfile, os.tmpname
"""

import pathlib
import shutil
import sys

from upstream import (Absent, Recipe, digest_of, lua_sources, make_sqlite3_sources, minigzip_sources, print_folder,
                      run)

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


# ---- programs ---------------------------------------------------------------------------------


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
    (folder / "gaps.h").write_text(SQLITE_GAPS_H, encoding="ascii")
    (folder / "pwd.h").write_text(PWD_H, encoding="ascii")
    compile_program(folder, make_sqlite3_sources(tree, folder), SQLITE_FLAGS, output)


def build_lua(tree, folder, output):
    (folder / "gaps.h").write_text(LUA_GAPS_H, encoding="ascii")
    (folder / "setjmp.h").write_text(SETJMP_H, encoding="ascii")
    (folder / "throw.c").write_text(LUA_THROW_C, encoding="ascii")
    compile_program(folder, [*lua_sources(tree), folder / "throw.c"], ["-I", tree / "src"], output)


def build_minigzip(tree, folder, output):
    compile_program(folder, minigzip_sources(tree), ["-DHAVE_UNISTD_H", "-I", tree], output)


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


RECIPE = Recipe(tool="wasi_programs.py", folder="wasi-programs", variable="TARS_TEST_WASI_PROGRAMS",
                programs={"sqlite3.wasm": ("sqlite3", build_sqlite3), "lua.wasm": ("lua5.4", build_lua),
                          "minigzip.wasm": ("zlib", build_minigzip)},
                needs=compiler_texts)


def main():
    words = sys.argv[1:]
    if any(word not in ("--print",) for word in words):
        print(__doc__.strip())
        sys.exit(0 if set(words) <= {"--help", "-h"} else 2)
    sys.exit(print_folder(RECIPE, "--print" in words))


if __name__ == "__main__":
    main()
