#!/usr/bin/env bash
# Builds the fuzz targets and runs each for a time on its seeds and on what earlier runs found.
#
#   tools/fuzz.sh [SECONDS] [NAME…]     NAME as in fuzz/fuzz_NAME.c
#
# What is found lies below the cache folder (corpus) and build/fuzz/findings (inputs that failed).
# The last line is "N passed, N failed, N skipped"; with TARS_TEST_TALLY=FILE the counts go there.
. "$(dirname "$0")/../tests/project/lib.sh"

seconds=${1:-60}
shift || true
if ! command -v clang-19 >/dev/null; then
    skip "fuzz targets" "no clang-19 here (tools/install-packages.sh fuzz)"
    finish
fi
check "configure" cmake --preset fuzz
check "build" cmake --build build/fuzz --target fuzzers
[ "$failed" -eq 0 ] || finish
findings=build/fuzz/findings
mkdir -p "$findings"

fuzz_one() { # TARGET NAME
    local corpus=${XDG_CACHE_HOME:-$HOME/.cache}/tars/fuzz/$2 options=()
    mkdir -p "$corpus" "fuzz/corpus/$2"
    [ -f "fuzz/$2.dict" ] && options+=("-dict=fuzz/$2.dict")
    ASAN_OPTIONS=allocator_may_return_null=1 "build/fuzz/$1" "-max_total_time=$seconds" \
        -timeout=20 -rss_limit_mb=2048 -max_len=65536 "-artifact_prefix=$findings/$2-" \
        "${options[@]}" "$corpus" "fuzz/corpus/$2"
}
while IFS= read -r target; do
    name=${target#fuzz_}
    if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then
        continue
    fi
    check "$name for $seconds s" fuzz_one "$target" "$name"
    sed -n 's/^\(stat::number_of_executed_units\|Done\)/        &/p' "$SCRATCH/output"
done <build/fuzz/fuzz-programs.txt
finish
