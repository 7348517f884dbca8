#!/usr/bin/env bash
# The shared library exports the public interface alone, and base and engine call nothing of a
# system: what they leave undefined is a short list of freestanding functions and each other.
. "$(dirname "$0")/lib.sh"

exported_only_public() {
    nm -D --defined-only "$BUILD/libtars.so" | awk '{print $3}' | grep -vE '^tars_[a-z0-9_]+(@.*)?$' &&
        return 1
    return 0
}
check "libtars.so exports tars_* only" exported_only_public

# __udivti3 divides 128 bits: part of every compiler's own runtime.
allowed='memcpy|memmove|memset|memcmp|strlen|strcmp|__assert_fail|_GLOBAL_OFFSET_TABLE_|__udivti3'
# Ubuntu's compiler hardens by default: the stack's guard, and memcpy & co. that check lengths.
allowed+='|__stack_chk_(fail|guard)|__mem(cpy|move|set)_chk'
part_is_freestanding() { # PART…
    local part objects=()
    for part in "$@"; do
        while IFS= read -r object; do objects+=("$object"); done \
            < <(find "$BUILD/CMakeFiles/tars_$part.dir" -name '*.o')
    done
    nm --defined-only "${objects[@]}" | awk 'NF == 3 {print $3}' | sort -u >"$SCRATCH/defined"
    nm --undefined-only "${objects[@]}" | awk 'NF == 2 {print $2}' | sort -u >"$SCRATCH/undefined"
    comm -13 "$SCRATCH/defined" "$SCRATCH/undefined" | grep -vxE "$allowed" && return 1
    return 0
}
check "base is freestanding" part_is_freestanding base
check "engine with base is freestanding" part_is_freestanding base engine
finish
