#!/usr/bin/env bats
# tars exec as the configuration says: runtime, limits, proposals, WASI, profiles, log.
# shellcheck disable=SC2030,SC2031
load helper

setup_file() {
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" 2>/dev/null || true
    local source=$BATS_TEST_DIRNAME/../data/sandbox/guest.c
    cc -O1 -pthread -static -o "$BATS_FILE_TMPDIR/guest" "$source" 2>/dev/null || true
    cat >"$BATS_FILE_TMPDIR/program.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "memory") == 0) {
        char *volatile room = malloc((size_t)atoi(argv[2]) << 20);
        return room ? 0 : 7;
    }
    puts("hello");
    return 0;
}
C
    clang-19 --target=wasm32-wasi -O1 -o "$BATS_FILE_TMPDIR/program.wasm" \
        "$BATS_FILE_TMPDIR/program.c" 2>/dev/null || true
    clang-19 --target=wasm32-wasi -O1 -msimd128 -mtail-call -mbulk-memory -nostdlib -Wl,--no-entry \
        -Wl,--export=_start -o "$BATS_FILE_TMPDIR/simd.wasm" -x c - 2>/dev/null <<'C' || true
typedef int vector __attribute__((vector_size(16)));
vector a;
void _start(void) { a = a * a + 3; }
C
}

setup() {
    own_home
    export XDG_CONFIG_HOME=$BATS_TEST_TMPDIR/xdg
    unset TARS_CONFIG_DIR TARS_ENVIRONMENT TARS_LOG_LEVEL
    GUEST=$BATS_FILE_TMPDIR/guest
    dir=$BATS_TEST_TMPDIR/config
    mkdir -p "$dir"
    cd "$BATS_FILE_TMPDIR"
}

need_guest() {
    [ "$(uname)" = Linux ] || skip "process sandboxes are Linux's"
    [ -x "$GUEST" ] || skip "no compiler here that makes static programs"
}

need_program() {
    [ -s program.wasm ] && [ -s simd.wasm ] || skip "no compiler for WASI here"
    capture "$TARS" exec --runtime wasm program.wasm
    [ "$status" -ne 5 ] || skip "no Wasmtime here: $errors"
}

deployment() {
    printf '%s\n' "$@" >"$dir/deployment.config.yaml"
}

# wasm ARGUMENT…: a run of program.wasm under the configuration in $dir.
wasm() {
    capture "$TARS" exec --json --runtime wasm --config "$dir" "$@"
}

@test "a broken configuration is an error that names its first mistake" {
    need_guest
    deployment 'deployment:' '  wasm: {enabld: true}'
    capture "$TARS" exec --json --config "$dir" "$GUEST" exit 0
    expect_status 2
    expect_json_error malformed
    expect_json "'did you mean \"enabled\"?' in d['error']['message']"
    expect_json "d['error']['where'] == '$dir/deployment.config.yaml:2:10'"
    TARS_CONFIG_DIR=$dir capture "$TARS" exec "$GUEST" exit 0
    expect_status 2
    capture "$TARS" exec --config "$dir/none" "$GUEST" exit 0
    expect_status 2
    expect_error "is not there"
    capture "$TARS" exec --set deployment.wasm=3 "$GUEST" exit 0
    expect_status 2
}

@test "the configuration takes the runtime wasm away" {
    need_program
    deployment 'deployment: {wasm: {enabled: false}}'
    wasm program.wasm
    expect_status 5
    expect_json_error unavailable
    expect_json "d['error']['message'] == 'runtime wasm is unavailable: by configuration'"
    expect_json "'$dir/deployment.config.yaml:1:30' in d['error']['where']"
    wasm --set deployment.wasm.enabled=true program.wasm
    expect_status 0
    capture "$TARS" wasm load --config "$dir" program.wasm
    expect_status 5
    if [ -x "$GUEST" ]; then
        capture "$TARS" exec --profile strict --config "$dir" "$GUEST" say hello
        expect_status 0
    fi
}

@test "the smaller of memory and pages holds, and the command line wins" {
    need_program
    deployment 'deployment: {wasm: {limits: {memory: 4MiB, max_memory_pages: 64}}}'
    wasm program.wasm memory 2
    expect_status 0
    wasm program.wasm memory 6
    expect_json "d['exit_code'] == 7 and d['violations'] == [{'kind': 'limit', 'name': 'memory', 'count': d['violations'][0]['count']}]"
    wasm --memory 16MiB program.wasm memory 6
    expect_status 0
    wasm --set deployment.wasm.limits.max_memory_pages=32 program.wasm memory 3
    expect_json "d['exit_code'] == 7"
    expect_error "C0320"
    wasm program.wasm memory 3
    expect_status 0
}

@test "proposals are switched off, with code of their own in the cache" {
    need_program
    wasm simd.wasm
    expect_status 0
    deployment 'deployment: {wasm: {features: {simd: false}}}'
    wasm simd.wasm
    expect_status 2
    expect_json_error unsupported
    expect_json "'off in this run: simd' in d['error']['hint']"
    wasm --set deployment.wasm.features.simd=true simd.wasm
    expect_status 0
    wasm program.wasm
    expect_status 0
    wasm --set deployment.wasm.features.threads=true program.wasm
    expect_status 5
    expect_json_error unavailable
}

@test "allowed calls narrow every profile" {
    need_program
    deployment 'deployment: {wasm: {wasi: {allowed_calls: ["args_*", "fd_fdstat_*", proc_exit]}}}'
    wasm --profile trusted program.wasm
    expect_json "d['stdout'] == '' and {'kind': 'wasi', 'name': 'fd_write', 'count': 1} in d['violations']"
    deployment 'deployment: {wasm: {wasi: {enabled: false}}}'
    wasm program.wasm
    expect_json "d['stdout'] == '' and d['violations'] != []"
    deployment 'deployment: {wasm: {wasi: {allowed_calls: [fd_raed]}}}'
    wasm program.wasm
    expect_status 2
    expect_json "'did you mean \"fd_read\"?' in d['error']['message']"
    deployment 'deployment: {wasm: {wasi: {allowed_calls: ["args_*", "fd_w*", fd_fdstat_get, proc_exit]}}}'
    wasm program.wasm
    expect_status 0
    expect_json "d['stdout'] == 'hello\n' and d['violations'] == []"
}

@test "compiled code is kept where the configuration says, or nowhere" {
    need_program
    local home=$BATS_TEST_TMPDIR/store
    mkdir -p "$home"
    deployment 'deployment: {wasm: {cache: {enabled: false}}}'
    TARS_HOME=$home wasm program.wasm
    expect_status 0
    [ ! -e "$home/cache" ] || fail "expected that nothing is kept"
    deployment "deployment: {wasm: {cache: {path: $BATS_TEST_TMPDIR/code}}}"
    TARS_HOME=$home wasm program.wasm
    expect_status 0
    [ ! -e "$home/cache" ] || fail "expected that nothing is kept in the store"
    [ "$(find "$BATS_TEST_TMPDIR/code" -type f | wc -l)" -eq 1 ] || fail "expected one file"
}

@test "profiles of the configuration, and their floors" {
    need_guest
    deployment 'deployment:' '  security:' '    profiles:' \
        '      closed: {extends: trusted, files: scratch}' \
        '      boxed: {extends: standard, isolation: sandbox}' \
        '      deeper: {extends: boxed, isolation: microvm}' \
        '      online: {extends: standard, hosts: [example.org]}'
    capture "$TARS" exec --json --config "$dir" --profile closed "$GUEST" say hello
    expect_status 0
    expect_json "d['profile'] == 'closed' and d['stdout'] == 'hello\n'"
    capture "$TARS" exec --json --config "$dir" --profile closed --dir "$dir::/data" "$GUEST" say hello
    expect_status 3
    expect_json_error denied
    capture "$TARS" exec --json --config "$dir" --profile boxed "$GUEST" exit 0
    expect_status 3
    expect_json_error denied
    expect_json "'profile boxed demands isolation sandbox' in d['error']['message'] and d['error']['hint'] == 'use --runtime wasm'"
    expect_json "d['error']['where'] == 'isolation in $dir/deployment.config.yaml:5:45'"
    capture "$TARS" exec --config "$dir" --profile deeper --runtime wasm "$GUEST" exit 0
    expect_status 3
    capture "$TARS" exec --config "$dir" --profile deeper --runtime microvm "$GUEST" exit 0
    [ "$status" -eq 5 ] || expect_status 0 # not refused: it is there, or not
    capture "$TARS" exec --config "$dir" --profile online "$GUEST" exit 0
    expect_status 5
    expect_error "unavailable in this version"
    capture "$TARS" exec --json --config "$dir" --profile colsed "$GUEST" exit 0
    expect_status 2
    expect_json_error usage
    expect_json "d['error']['hint'] == 'did you mean \"closed\"?'"
    capture "$TARS" exec --profile strct "$GUEST" exit 0
    expect_status 2
    expect_error 'did you mean "strict"?'
}

@test "the maximum narrows the built-in profiles too" {
    need_guest
    deployment 'deployment: {security: {maximum: {isolation: sandbox}}}'
    capture "$TARS" exec --config "$dir" --profile strict "$GUEST" exit 0
    expect_status 3
    expect_error "isolation sandbox at least; runtime native gives process"
    deployment 'deployment: {security: {maximum: {files: scratch}}}'
    capture "$TARS" exec --json --config "$dir" --profile trusted "$GUEST" read /etc/passwd
    expect_json "d['exit_code'] != 0"
    capture "$TARS" exec --json --config "$dir" --profile standard --dir "$dir::/data" "$GUEST" exit 0
    expect_status 3
}

@test "a profile's named system calls are the only ones beyond the base" {
    need_guest
    capture "$TARS" exec --json --profile standard "$GUEST" exit 0
    [ "$status" -ne 5 ] || skip "files cannot be kept apart here: $output"
    [[ $output != *"names of refused"* ]] || skip "refused calls cannot all be named here"
    local folder=$BATS_TEST_TMPDIR/folder
    mkdir -p "$folder"
    chmod 755 "$folder" "$BATS_TEST_TMPDIR"
    printf inside >"$folder/text"
    deployment 'deployment:' '  security:' '    profiles:' \
        '      reader: {extends: standard, syscalls: [openat, close]}' \
        '      none: {extends: standard, syscalls: []}'
    capture "$TARS" exec --json --config "$dir" --profile reader --dir "$folder::$folder:ro" "$GUEST" read "$folder/text"
    expect_status 0
    expect_json "d['stdout'] == 'inside' and d['violations'] == []"
    capture "$TARS" exec --json --config "$dir" --profile none --dir "$folder::$folder:ro" "$GUEST" read "$folder/text"
    expect_status 3
    expect_json "d['violations'][0]['kind'] == 'syscall' and d['violations'][0]['name'] in ('open', 'openat')"
    capture "$TARS" exec --json --config "$dir" --profile reader "$GUEST" thread
    expect_json "{'kind': 'syscall', 'name': 'clone', 'count': 1} in d['violations']"
    capture "$TARS" exec --json --profile standard "$GUEST" thread
    expect_json "d['violations'] == []"
    sed -i 's/openat,/opennat,/' "$dir/deployment.config.yaml"
    capture "$TARS" exec --config "$dir" --profile reader "$GUEST" exit 0
    expect_status 2
    expect_error 'did you mean "openat"?'
}

# log EXPRESSION: true for the list of records `r` in $BATS_TEST_TMPDIR/log.
log() {
    python3 -c '
import json, sys
r = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
sys.exit(0 if eval(sys.argv[2]) else str(r))' "$BATS_TEST_TMPDIR/log" "$1"
}

@test "every violation and refusal is a record of the log, and no secret is" {
    need_guest
    capture "$TARS" exec --json --profile strict "$GUEST" exit 0
    [[ $output != *"names of refused"* ]] || skip "refused calls cannot all be named here"
    deployment 'deployment:' "  logging: {file: $BATS_TEST_TMPDIR/log}" \
        '  security: {profiles: {boxed: {extends: strict, isolation: sandbox}}}'
    capture "$TARS" exec --config "$dir" --profile strict --env TOKEN=hunter2 "$GUEST" socket hunter3
    expect_status 3
    expect_error "refused: socket, 1 times"
    capture "$TARS" exec --config "$dir" --profile strict --timeout 200ms "$GUEST" loop
    expect_status 4
    capture "$TARS" exec --config "$dir" --profile boxed "$GUEST" exit 0
    expect_status 3
    log "[x['level'] for x in r] == ['warn', 'info', 'warn', 'info', 'warn']"
    log "set(r[0]) == {'time','level','message','program','runtime','profile','kind','name','count'}"
    log "(r[0]['runtime'], r[0]['profile'], r[0]['kind'], r[0]['name'], r[0]['count']) == ('native', 'strict', 'syscall', 'socket', 1)"
    log "r[1]['status'] == 'denied' and r[1]['exit_code'] == 9"
    log "(r[2]['kind'], r[2]['name']) == ('limit', 'time') and 'exit_code' not in r[3]"
    log "'boxed demands isolation sandbox' in r[4]['reason']"
    ! grep -q hunter "$BATS_TEST_TMPDIR/log" || fail "a secret was logged"
    [ "$(stat -c %a "$BATS_TEST_TMPDIR/log")" = 600 ] || fail "expected a log for its owner alone"
}

@test "level and format of the log, and names that would forge a line" {
    need_guest
    local program=$BATS_TEST_TMPDIR/$'evil\n{"level":"error"}\e[2J'
    cp "$GUEST" "$program"
    deployment "deployment: {logging: {file: $BATS_TEST_TMPDIR/log}}"
    capture "$TARS" exec --config "$dir" --profile strict "$program" exit 0
    expect_status 0
    log "len(r) == 1 and r[0]['level'] == 'info' and r[0]['program'].endswith(chr(27) + '[2J')"
    [ "$(tr -cd '\033' <"$BATS_TEST_TMPDIR/log" | wc -c)" -eq 0 ] || fail "expected no escapes"
    TARS_LOG_LEVEL=warn capture "$TARS" exec --config "$dir" --profile strict "$GUEST" exit 0
    log "len(r) == 1"
    rm "$BATS_TEST_TMPDIR/log"
    capture "$TARS" exec --config "$dir" --set deployment.logging.format=text --profile strict "$program" exit 0
    grep -Eq '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z info "the program ended" program=".*\\u000a' "$BATS_TEST_TMPDIR/log" ||
        fail "expected a line of text: $(cat "$BATS_TEST_TMPDIR/log")"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/log")" -eq 1 ] || fail "expected one line"
    TARS_LOG_LEVEL=loud capture "$TARS" exec "$GUEST" exit 0
    expect_status 2
}

@test "TARS_LOG_LEVEL governs what is said without a file" {
    need_guest
    capture "$TARS" exec --profile strict "$GUEST" exit 0
    [ -z "$errors" ] || [[ $errors == *"not in force"* ]] || fail "expected no messages"
    TARS_LOG_LEVEL=debug capture "$TARS" exec --profile strict "$GUEST" exit 0
    expect_error "ms of processor time"
    TARS_LOG_LEVEL=debug capture "$TARS" exec --quiet --profile strict "$GUEST" exit 0
    [ -z "$errors" ] || fail "expected no messages"
}

@test "a log that cannot be written is an error that names it" {
    need_guest
    deployment "deployment: {logging: {file: $BATS_TEST_TMPDIR/none/log}}"
    capture "$TARS" exec --json --config "$dir" --profile strict "$GUEST" exit 0
    [ "$status" -ne 0 ] || fail "expected a failure"
    expect_json "d['error']['where'] == '$BATS_TEST_TMPDIR/none/log' and 'deployment.logging.file' in d['error']['hint']"
    capture "$TARS" list --config "$dir"
    [ "$status" -ne 0 ] || fail "expected a failure"
    capture "$TARS" config check --config "$dir"
    expect_status 0
}

@test "models do not run in wasm either when the configuration takes it away" {
    import_tiny
    deployment 'deployment: {wasm: {enabled: false}}'
    capture "$TARS" run --json --config "$dir" --runtime wasm tiny hello
    expect_status 5
    expect_json "d['error']['message'] == 'runtime wasm is unavailable: by configuration'"
    capture "$TARS" run --config "$dir" --isolation sandbox tiny hello
    expect_status 5
    capture "$TARS" run --config "$dir" --runtime native --max-tokens 1 tiny hello
    expect_status 0
    deployment 'deployment: {wasm: {enabled: maybe}}'
    capture "$TARS" run --config "$dir" tiny hello
    expect_status 2
}

@test "the examples of the document are good configurations" {
    local folder=$BATS_TEST_TMPDIR/examples
    mkdir -p "$folder"
    awk -v folder="$folder" '/^YAML$/ { writing = 0 } writing { print > file }
        /<<.YAML.$/ { n++; file = folder "/" n ".yaml"; writing = 1 }' "$ROOT/docs/configuration.md"
    [ "$(find "$folder" -name '*.yaml' | wc -l)" -ge 3 ] || fail "expected three examples"
    local example
    for example in "$folder"/*.yaml; do
        cp "$example" "$dir/deployment.config.yaml"
        HOME=$BATS_TEST_TMPDIR capture "$TARS" config check --config "$dir"
        expect_status 0
        [ -z "$output" ] || fail "expected no diagnostics of $(cat "$example")"
    done
    need_guest
    deployment "deployment: {security: {profiles: {reader: {extends: standard, syscalls: [openat, close, newfstatat, lseek]}}}}"
    capture "$TARS" exec --config "$dir" --profile reader "$GUEST" say hello
    expect_status 0
}
