#!/usr/bin/env bash
# Every public header compiles alone, as C17 and as C++17, without a warning.
. "$(dirname "$0")/lib.sh"

flags=(-Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude)
for header in include/tars/*.h; do
    name=tars/$(basename "$header")
    printf '#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' "$name" "$name" \
        >"$SCRATCH/unit.c"
    cp "$SCRATCH/unit.c" "$SCRATCH/unit.cc"
    check "$name as C17 (gcc)" gcc -std=c17 "${flags[@]}" "$SCRATCH/unit.c"
    if command -v g++ >/dev/null; then
        check "$name as C++17 (g++)" g++ -std=c++17 "${flags[@]}" "$SCRATCH/unit.cc"
    else
        skip "$name as C++17 (g++)" "no g++ here"
    fi
done
finish
