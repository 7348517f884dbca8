#!/usr/bin/env bats
# tars exec --runtime microvm: unmodified static programs. What programs must not do is in
# tests/escape; calls and loader in tests/runtime.
load helper

setup_file() {
    cat >"$BATS_FILE_TMPDIR/say.c" <<'C'
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
    char line[64] = "";
    const char *colour = getenv("COLOUR");
    volatile double x = 2;
    volatile char *block = malloc(5000000);
    for (int i = 0; i < 5000000; i++) {
        block[i] = 1;
    }
    printf("%s %s %.3f %s", argc > 1 ? argv[1] : "-", colour ? colour : "-", sqrt(x),
           fgets(line, sizeof line, stdin) ? line : "-");
    fflush(stdout);
    if (block[argc] != 1) {
        return 9;
    }
    free((void *)block);
    return argc > 2 ? atoi(argv[2]) : 0;
}
C
    cc -O2 -static -o "$BATS_FILE_TMPDIR/say" "$BATS_FILE_TMPDIR/say.c" -lm 2>/dev/null || true
    cc -O2 -o "$BATS_FILE_TMPDIR/dynamic" "$BATS_FILE_TMPDIR/say.c" -lm 2>/dev/null || true
}

setup() {
    own_home
    SAY=$BATS_FILE_TMPDIR/say
    need_machines "$SAY"
}

@test "arguments, environment, input and memory are its own" {
    printf 'from a file\n' >"$BATS_TEST_TMPDIR/in"
    capture "$TARS" exec --runtime microvm --env COLOUR=blue --stdin "$BATS_TEST_TMPDIR/in" "$SAY" -- --odd
    expect_status 0
    [ "$output" = "--odd blue 1.414 from a file" ] || fail "expected what was given"
    capture env COLOUR=red "$TARS" exec --runtime microvm --profile strict "$SAY"
    [ "$output" = "- - 1.414 -" ] || fail "expected nothing of the host's"
}

@test "the document has every field" {
    capture "$TARS" exec --runtime microvm --json "$SAY" x 3
    expect_status 1
    expect_json "d['status'] == 'ok' and d['exit_code'] == 3 and d['runtime'] == 'microvm'"
    expect_json "d['usage']['memory_peak_bytes'] > 5000000 and d['usage']['host_calls']['exit_group'] == 1"
    expect_json "d['violations'] == [] and 0 < d['usage']['start_ms'] <= d['usage']['wall_ms']"
}

@test "memory is exact, and a program that does not fit is told" {
    capture "$TARS" exec --runtime microvm --json --memory 4MiB "$SAY"
    expect_json "d['status'] in ('limit', 'trap') and any(v['name'] == 'memory' for v in d['violations'])"
    expect_json "d['usage']['memory_peak_bytes'] <= 4 * 1024 * 1024"
    capture "$TARS" exec --runtime microvm --json --memory 64KiB "$SAY"
    expect_status 4
    capture "$TARS" exec --runtime microvm --stack 18446744073709551615 "$SAY"
    expect_status 4
    expect_error "limit: memory"
}

@test "what is no static program is told" {
    capture "$TARS" exec --runtime microvm "$BATS_FILE_TMPDIR/dynamic"
    expect_status 2
    expect_error "static"
    printf '#!/bin/sh\n' >"$BATS_TEST_TMPDIR/script"
    capture "$TARS" exec --runtime microvm "$BATS_TEST_TMPDIR/script"
    expect_status 2
    capture "$TARS" exec --runtime microvm --fuel 10 "$SAY"
    expect_status 5
}

@test "busybox works in a granted folder" {
    local box
    box=$(command -v busybox) || skip "no busybox here"
    file -L "$box" | grep -q "statically linked" || skip "busybox is not static here"
    mkdir -p "$BATS_TEST_TMPDIR/data"
    chmod 777 "$BATS_TEST_TMPDIR/data"
    capture "$TARS" exec --runtime microvm --dir "$BATS_TEST_TMPDIR/data::/data" "$box" -- sh -c 'echo one >/data/a; echo two >>/data/a; echo $((6*7))'
    expect_output "42"
    [ "$(cat "$BATS_TEST_TMPDIR/data/a")" = "one
two" ] || fail "expected the file"
    capture "$TARS" exec --runtime microvm --dir "$BATS_TEST_TMPDIR/data::/data:ro" "$box" -- sort -r /data/a
    expect_output "two"
}
