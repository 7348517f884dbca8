#!/usr/bin/env bats
# tars exec --runtime wasm: the examples of the document, and what the command line adds to the
# runtime. What programs may do is in tests/escape; other people's programs in tests/project.
load helper

setup_file() {
    command -v clang-19 >/dev/null || return 0
    cat >"$BATS_FILE_TMPDIR/say.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    char line[64] = "";
    const char *colour = getenv("COLOUR");
    if (argc > 1 && argv[1][0] == 't') {
        __builtin_trap();
    }
    printf("%s %s %s", argc > 1 ? argv[1] : "-", colour ? colour : "-",
           fgets(line, sizeof line, stdin) ? line : "-");
    return argc > 2 ? atoi(argv[2]) : 0;
}
C
    clang-19 --target=wasm32-wasi -O1 -o "$BATS_FILE_TMPDIR/say.wasm" "$BATS_FILE_TMPDIR/say.c" 2>/dev/null || true
}

setup() {
    own_home
    SAY=$BATS_FILE_TMPDIR/say.wasm
    [ -e "$SAY" ] || skip "no clang-19 here that makes programs for wasm32-wasi"
    "$TARS" exec --runtime wasm "$SAY" >/dev/null 2>&1 || [ $? -ne 5 ] || skip "the runtime wasm is unavailable"
}

@test "arguments, environment and input are what was given" {
    printf 'from a file\n' >"$BATS_TEST_TMPDIR/in"
    capture "$TARS" exec --runtime wasm --env COLOUR=blue --stdin "$BATS_TEST_TMPDIR/in" "$SAY" -- --odd
    expect_status 0
    [ "$output" = "--odd blue from a file" ] || fail "expected what was given"
    capture env COLOUR=red "$TARS" exec --runtime wasm "$SAY"
    [ "$output" = "- - -" ] || fail "expected nothing of the host's"
}

@test "the document has every field" {
    capture "$TARS" exec --runtime wasm --json --fuel 5000000 "$SAY" x 3
    expect_status 1
    expect_json "d['status'] == 'ok' and d['exit_code'] == 3 and d['runtime'] == 'wasm' and d['stdout'] == 'x - -'"
    expect_json "set(d['usage']) >= {'wall_ms','cpu_ms','start_ms','memory_peak_bytes','fuel','host_calls','bytes_in','bytes_out'}"
    expect_json "0 < d['usage']['fuel'] < 5000000 and d['usage']['host_calls']['proc_exit'] == 1"
    expect_json "d['violations'] == [] and d['missing'] == []"
}

@test "a trap names the function" {
    capture "$TARS" exec --runtime wasm --json "$SAY" trap
    expect_status 1
    expect_json "d['status'] == 'trap' and d['exit_code'] == -1 and 'unreachable' in d['message'] and 'function' in d['message']"
}

@test "limits are told by name" {
    local row words
    for row in "fuel|--fuel 10" "memory|--memory 64KiB" "output|--max-output 2" "table|--table-elements 1"; do
        read -ra words <<<"${row#*|}"
        capture "$TARS" exec --runtime wasm --json "${words[@]}" "$SAY"
        expect_status 4
        expect_json "d['status'] == 'limit' and any(v['kind'] == 'limit' and v['name'] == '${row%%|*}' for v in d['violations'])"
    done
}

@test "wrong files and options are told" {
    printf 'no module' >"$BATS_TEST_TMPDIR/text.wasm"
    capture "$TARS" exec --runtime wasm "$BATS_TEST_TMPDIR/text.wasm"
    expect_status 2
    capture "$TARS" exec --runtime wasm "$BATS_TEST_TMPDIR/missing.wasm"
    [ "$status" -ne 0 ] || fail "expected a failure"
    capture "$TARS" exec --runtime wasm --dir /proc::/p "$SAY"
    expect_status 3
    capture "$TARS" exec --runtime wasm --dir "$BATS_TEST_TMPDIR/nowhere::/p" "$SAY"
    [ "$status" -ne 0 ] || fail "expected a failure"
    capture "$TARS" exec --runtime wasm --dir one "$SAY"
    expect_status 2
    capture "$TARS" exec --runtime microvm "$SAY"
    [ "$status" -eq 5 ] || { expect_status 2; expect_error "ELF"; }
}

@test "the examples of the document run" {
    cd "$BATS_TEST_TMPDIR"
    sed -n '/^```sh$/,/^```$/{/^```/!p}' "$ROOT/docs/exec.md" >examples.sh
    [ -s examples.sh ] || fail "expected examples in docs/exec.md"
    mkdir -p bin
    ln -sf "$TARS" bin/tars
    capture env PATH="$BATS_TEST_TMPDIR/bin:$PATH" bash -euo pipefail examples.sh
    expect_status 0
    expect_output "2 lines"
}

@test "a module that does not fit a run's memory is not broken by it" {
    cat >"$BATS_TEST_TMPDIR/bulk.c" <<'C'
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
    (void)argv;
    char *bytes = malloc(1000);
    memset(bytes, argc, 1000);
    return bytes[999] != argc;
}
C
    clang-19 --target=wasm32-wasi -O1 -mbulk-memory -o "$BATS_TEST_TMPDIR/bulk.wasm" "$BATS_TEST_TMPDIR/bulk.c"
    capture "$TARS" wasm load "$BATS_TEST_TMPDIR/bulk.wasm" --name bulk
    expect_status 0
    capture "$TARS" exec --runtime wasm --memory 128MiB bulk
    expect_status 2
    expect_error "64 MiB"
    capture "$TARS" exec --runtime wasm bulk
    expect_status 0
}

@test "limits of nothing are refused" {
    local option
    for option in --fuel --memory --stack --table-elements --max-output; do
        capture "$TARS" exec --runtime wasm $option 0 "$SAY"
        expect_status 2
    done
    capture "$TARS" exec --runtime wasm --stack 1KiB "$SAY"
    expect_status 2
    capture "$TARS" exec --runtime wasm --dir "$SAY::/x" "$SAY"
    expect_status 2
    expect_error "folders only"
}
