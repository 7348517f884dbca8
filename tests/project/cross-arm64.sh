#!/usr/bin/env bash
# base, engine and platform compile for 64-bit ARM, and their tests pass there (under qemu-user).
. "$(dirname "$0")/lib.sh"

if [ "$(uname -m)" = aarch64 ]; then
    skip "cross build for ARM" "this machine is ARM itself"
    finish
fi
for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
    if ! command -v "$tool" >/dev/null; then
        skip "cross build for ARM" "no $tool here (make packages)"
        finish
    fi
done
check "configure for ARM" cmake --preset arm64
check "build for ARM" cmake --build build/arm64
[ "$failed" -eq 0 ] || finish
tests/run --build build/arm64 --programs-only --timeout 500 \
    --emulator "qemu-aarch64 -L /usr/aarch64-linux-gnu" | tee "$SCRATCH/log"
read -r p f s < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' \
    "$SCRATCH/log" | tail -n 1)
passed=$((passed + ${p:-0}))
failed=$((failed + ${f:-1}))
skipped=$((skipped + ${s:-0}))
finish
