#!/usr/bin/env python3
"""Builds other people's programs as static programs for x86-64 Linux, and prints the folder that
holds sqlite3, lua and minigzip.

  linux_programs.py [--print] glibc|musl      --print: builds nothing; exit 1 with the reason when they
                                              are not there

tests/project/linux_programs.py runs them in micro-VMs. Nothing in them is changed, and nothing is
left out but sqlite3's extensions, which a static program cannot load. Their sources are those of
the source packages sqlite3, lua5.4 and zlib; where they come from and are kept, upstream.py says.
TARS_TEST_GLIBC_PROGRAMS and TARS_TEST_MUSL_PROGRAMS name other folders with the three programs:
then nothing is fetched. Exit status 5 when they cannot be had.
"""

import pathlib
import platform
import shutil
import sys
import tempfile

from upstream import (Absent, Recipe, digest_of, lua_sources, make_sqlite3_sources, minigzip_sources, print_folder,
                      run)

COMPILERS = {"glibc": "gcc", "musl": "musl-gcc"}
SQLITE_FLAGS = ["-O1", "-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION", "-DHAVE_USLEEP=1",
                "-DSQLITE_ENABLE_MATH_FUNCTIONS", "-DSQLITE_ENABLE_FTS5", "-DSQLITE_ENABLE_RTREE"]


def c_library_of(compiler):
    """What the linker takes, whatever else the compiler would name."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "empty.c").write_text("int main(void) { return 0; }\n", encoding="ascii")
        trace = run([compiler, "-static", "-Wl,--trace", "empty.c", "-o", "empty"], folder)
    archives = [line for line in trace.splitlines() if line.endswith("/libc.a")]
    if not archives:
        raise Absent(f"{compiler} links no libc.a")
    return pathlib.Path(archives[0])


def recipe_of(library):
    compiler = COMPILERS[library]

    def needs():
        if platform.system() != "Linux" or platform.machine() != "x86_64":
            raise Absent("micro-VMs run programs for x86-64 Linux, which are built there")
        if not shutil.which(compiler):
            raise Absent(f"no {compiler} here (make packages)")
        return [run([compiler, "--version"], "/"), digest_of(c_library_of(compiler))]

    def compile_program(folder, sources, flags, output):
        flags = ["-w", f"-ffile-prefix-map={folder.parent}=.", *flags]
        run([compiler, "-static", *flags, *sources, "-o", output, "-lm"], folder)

    def build_sqlite3(tree, folder, output):
        compile_program(folder, make_sqlite3_sources(tree, folder), SQLITE_FLAGS, output)

    def build_lua(tree, folder, output):
        compile_program(folder, lua_sources(tree), ["-O2", "-DLUA_USE_POSIX", "-I", tree / "src"], output)

    def build_minigzip(tree, folder, output):
        compile_program(folder, minigzip_sources(tree), ["-O2", "-DHAVE_UNISTD_H", "-I", tree], output)

    return Recipe(tool="linux_programs.py", folder=f"{library}-programs",
                  variable=f"TARS_TEST_{library.upper()}_PROGRAMS",
                  programs={"sqlite3": ("sqlite3", build_sqlite3), "lua": ("lua5.4", build_lua),
                            "minigzip": ("zlib", build_minigzip)},
                  needs=needs)


def main():
    words = sys.argv[1:]
    libraries = [word for word in words if word in COMPILERS]
    if len(libraries) != 1 or any(word != "--print" and word not in libraries for word in words):
        print(__doc__.strip())
        sys.exit(0 if words and set(words) <= {"--help", "-h"} else 2)
    sys.exit(print_folder(recipe_of(libraries[0]), "--print" in words))


if __name__ == "__main__":
    main()
