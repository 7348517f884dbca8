#!/usr/bin/env bash
# base and engine compile for WebAssembly, and their tests pass there (under Wasmtime or Node.js).
. "$(dirname "$0")/lib.sh"

for tool in clang-19 wasm-ld-19; do
    if ! command -v "$tool" >/dev/null; then
        skip "cross build for WebAssembly" "no $tool here (make packages)"
        finish
    fi
done
if [ ! -e /usr/lib/wasm32-wasi/libc.a ]; then
    skip "cross build for WebAssembly" "no wasi-libc here (make packages)"
    finish
fi
check "configure for WebAssembly" cmake --preset wasm
check "build for WebAssembly" cmake --build build/wasm --target tests
[ "$failed" -eq 0 ] || finish
runner="python3 tests/support/run_wasm.py"
if ! $runner --which >"$SCRATCH/which"; then
    skip "tests on WebAssembly" "neither Wasmtime for Python nor Node.js here"
    finish
fi
skip "tests of platform, engine_models and engine_task_share" "a guest has no threads and maps no files"
echo "    run by $(cat "$SCRATCH/which")"
tests/run --build build/wasm --programs-only --timeout 500 --emulator "$runner" |
    tee "$SCRATCH/log"
read -r p f s < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' \
    "$SCRATCH/log" | tail -n 1)
passed=$((passed + ${p:-0}))
failed=$((failed + ${f:-1}))
skipped=$((skipped + ${s:-0}))
finish
