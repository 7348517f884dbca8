#!/usr/bin/env bash
# base, engine and platform compile for 64-bit Windows.
. "$(dirname "$0")/lib.sh"

if ! command -v x86_64-w64-mingw32-gcc >/dev/null; then
    skip "base, engine and platform for Windows" "no x86_64-w64-mingw32-gcc here (make packages)"
    finish
fi
check "configure for Windows" cmake --preset mingw
for part in base engine platform; do
    check "$part for Windows" cmake --build build/mingw --target "tars_$part"
done
finish
