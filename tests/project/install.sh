#!/usr/bin/env bash
# The installed tree is enough to build against: a C and a C++ program find header and library
# through pkg-config and run, linked with the shared and with the static library.
. "$(dirname "$0")/lib.sh"

prefix=$SCRATCH/prefix
check "cmake --install" cmake --install "$BUILD" --prefix "$prefix"
library_dir=$(dirname "$(find "$prefix" -name 'libtars.a' | head -n 1)")
export PKG_CONFIG_PATH=$library_dir/pkgconfig LD_LIBRARY_PATH=$library_dir

cat >"$SCRATCH/program.c" <<'PROGRAM'
#include <stdio.h>
#include <tars/tars.h>
int main(void) {
    printf("%s %u\n", tars_version(), (unsigned)tars_abi_version());
    return tars_status_exit(TARS_OK);
}
PROGRAM
cp "$SCRATCH/program.c" "$SCRATCH/program.cc"

build_and_run() { # COMPILER SOURCE FLAGS…
    local compiler=$1 source=$2
    shift 2
    # shellcheck disable=SC2046 # words of pkg-config are meant to be split
    "$compiler" "$source" $(pkg-config --cflags tars) "$@" -o "$SCRATCH/program" &&
        "$SCRATCH/program"
}
read -ra shared <<<"$(pkg-config --libs tars)"
read -ra required <<<"$(sed -n 's/^Requires.private: //p' "$library_dir/pkgconfig/tars.pc")"
read -ra private <<<"$(pkg-config --libs "${required[@]}")"
check "C program, shared library" build_and_run gcc "$SCRATCH/program.c" "${shared[@]}"
check "C++ program, shared library" build_and_run g++ "$SCRATCH/program.cc" "${shared[@]}"
check "C program, static library" build_and_run gcc "$SCRATCH/program.c" "$library_dir/libtars.a" \
    "${private[@]}" -lm -lpthread -ldl

soname=$(objdump -p "$library_dir/libtars.so" | sed -n 's/^ *SONAME *//p')
check "soname is libtars.so.N (found $soname)" grep -qxE 'libtars\.so\.[0-9]+' <<<"$soname"
for file in bin/tars share/man/man1/tars.1 share/bash-completion/completions/tars; do
    check "installed: $file" test -s "$prefix/$file"
done
finish
