#!/usr/bin/env bats
# tars exec: a stranger's program, its limits, what it was refused, and how that is told.
load helper

setup_file() {
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" 2>/dev/null || true
    local source=$BATS_TEST_DIRNAME/../data/sandbox/guest.c
    cc -O1 -pthread -o "$BATS_FILE_TMPDIR/dynamic" "$source" 2>/dev/null || true
    cc -O1 -pthread -static -o "$BATS_FILE_TMPDIR/guest" "$source" 2>/dev/null || true
}

setup() {
    own_home
    GUEST=$BATS_FILE_TMPDIR/guest
    [ "$(uname)" = Linux ] || skip "process sandboxes are Linux's"
    [ -x "$GUEST" ] || skip "no compiler here that makes static programs"
}

# Skips where no profile with calls for files can run.
need_files() {
    capture "$TARS" exec --json --profile standard "$GUEST" exit 0
    [ "$status" -ne 5 ] || skip "files cannot be kept apart here: $output"
}

@test "output and the end of a program are passed on" {
    capture "$TARS" exec --runtime native --profile strict "$GUEST" say "hello there"
    expect_status 0
    [ "$output" = "hello there" ] || fail "expected the program's output alone"
    capture "$TARS" exec --profile strict "$GUEST" exit 7
    expect_status 1
    expect_error "ended with 7"
    capture "$TARS" exec --profile strict "$GUEST" abort
    expect_status 1
    expect_error "signal 6"
}

@test "the document has every field" {
    capture "$TARS" exec --json --profile strict "$GUEST" exit 3
    expect_status 1
    expect_json "d['status'] == 'ok' and d['exit_code'] == 3 and d['stdout'] == '' and d['stderr'] == ''"
    expect_json "set(d['usage']) >= {'wall_ms','cpu_ms','memory_peak_bytes','bytes_in','bytes_out'}"
    expect_json "d['violations'] == [] and isinstance(d['missing'], list)"
}

@test "refused calls are named and counted" {
    local call
    capture "$TARS" exec --json --profile strict "$GUEST" exit 0
    [[ $output != *"names of refused"* ]] || skip "refused calls cannot all be named here"
    for call in socket ptrace mount kill; do
        capture "$TARS" exec --json --profile strict "$GUEST" "$call"
        expect_status 3
        expect_json "d['status'] == 'denied' and d['exit_code'] == 9"
        expect_json "d['violations'] == [{'kind': 'syscall', 'name': '$call', 'count': 1}]"
    done
}

@test "limits end a program: status limit, exit status 4" {
    local rows row words
    rows=("time|--timeout 300ms|loop" "memory|--memory 32MiB|memory" "output|--max-output 64KiB|flood")
    for row in "${rows[@]}"; do
        IFS='|' read -ra words <<<"$row"
        # shellcheck disable=SC2086 # the option and its value are two words
        capture "$TARS" exec --json --profile strict ${words[1]} "$GUEST" "${words[2]}"
        expect_status 4
        expect_json "d['status'] == 'limit'"
        expect_json "{'kind': 'limit', 'name': '${words[0]}', 'count': 1} in d['violations']"
    done
    expect_json "d['usage']['bytes_out'] == 65536"
}

@test "environment and standard input are what was given" {
    capture env SECRET=1 "$TARS" exec --profile strict "$GUEST" environment
    [ "$output" = "" ] || fail "expected no environment"
    capture "$TARS" exec --profile strict --env A=1 --env B=two "$GUEST" environment
    [ "$output" = $'A=1\nB=two' ] || fail "expected the two variables"
    printf 'some text' >"$BATS_TEST_TMPDIR/input"
    capture "$TARS" exec --json --profile strict --stdin "$BATS_TEST_TMPDIR/input" "$GUEST" copy
    expect_json "d['stdout'] == 'some text' and d['usage']['bytes_in'] == 9 and d['usage']['bytes_out'] == 9"
    capture "$TARS" exec --json --profile strict --stdin "$BATS_TEST_TMPDIR/input" "$GUEST" exit 0
    expect_json "d['usage']['bytes_in'] == 0"
    # shellcheck disable=SC2016 # the inner shell expands it
    capture bash -c 'printf piped | "$1" exec --profile strict --stdin - "$2" copy' - "$TARS" "$GUEST"
    [ "$output" = piped ] || fail "expected the standard input of tars"
}

@test "descriptors of the caller are closed" {
    # shellcheck disable=SC2016 # the inner shell expands it
    capture bash -c '"$1" exec --profile strict "$2" descriptors 5</dev/null 9</dev/null' - "$TARS" "$GUEST"
    [ "$output" = 3 ] || fail "expected three descriptors"
}

@test "a folder is granted for reading, or for writing too" {
    need_files
    local folder=$BATS_TEST_TMPDIR/folder
    mkdir -p "$folder"
    chmod 777 "$folder"
    chmod 755 "$BATS_TEST_TMPDIR"
    printf inside >"$folder/text"
    capture "$TARS" exec --json --dir "$folder::$folder:ro" "$GUEST" read "$folder/text"
    expect_json "d['stdout'] == 'inside' and d['exit_code'] == 0"
    capture "$TARS" exec --json --dir "$folder::$folder:ro" "$GUEST" write "$folder/new"
    expect_json "d['exit_code'] == 9 or 'Landlock' in str(d['missing'])"
    capture "$TARS" exec --json --dir "$folder::$folder" "$GUEST" write "$folder/new"
    expect_status 0
    [ "$(cat "$folder/new")" = new ] || fail "expected the file that was written"
    capture "$TARS" exec --json --dir "$folder::$folder" "$GUEST" read /etc/passwd
    expect_json "d['exit_code'] == 9 or 'Landlock' in str(d['missing'])"
}

@test "a folder under another name needs a root of its own" {
    need_files
    local folder=$BATS_TEST_TMPDIR/folder
    mkdir -p "$folder"
    chmod 755 "$folder" "$BATS_TEST_TMPDIR"
    printf inside >"$folder/text"
    capture "$TARS" exec --json --dir "$folder::/data/here:ro" "$GUEST" read /data/here/text
    if [ "$status" -eq 0 ]; then
        expect_json "d['stdout'] == 'inside'"
    else
        expect_status 5
        expect_json_error unavailable
    fi
}

@test "dynamic programs run in standard, and strict says what to do" {
    need_files
    [ -x "$BATS_FILE_TMPDIR/dynamic" ] || skip "no compiler"
    capture "$TARS" exec "$BATS_FILE_TMPDIR/dynamic" say hello
    expect_status 0
    expect_output hello
    capture "$TARS" exec --profile strict "$BATS_FILE_TMPDIR/dynamic" say hello
    expect_status 3
    expect_error "-static"
}

@test "what is not there yet or not right is told" {
    capture "$TARS" exec --json --runtime microvm "$BATS_TEST_DIRNAME/exec.bats" # no program at all
    if [ "$status" -eq 5 ]; then                        # without virtual machines
        expect_json_error unavailable
    else
        expect_status 2
    fi
    capture "$TARS" exec --json --runtime wasm "$GUEST" # a program of this machine
    if [ "$status" -eq 5 ]; then                        # without Wasmtime
        expect_json_error unavailable
    else
        expect_status 2
        expect_json_error malformed
    fi
    capture "$TARS" exec --fuel 10 "$GUEST"
    expect_status 5
    capture "$TARS" exec --dir /usr "$GUEST"
    expect_status 2
    expect_error "HOST::GUEST"
    capture "$TARS" exec --env NOTHING "$GUEST"
    expect_status 2
    capture "$TARS" exec --json /no/such/program
    expect_status 5
    expect_json_error not_found
    printf '#!/bin/sh\n' >"$BATS_TEST_TMPDIR/script"
    capture "$TARS" exec "$BATS_TEST_TMPDIR/script"
    expect_status 2
    expect_error "script"
}

@test "an interrupted run ends its program and leaves nothing behind" {
    "$TARS" exec --profile strict "$GUEST" loop &
    local id=$!
    sleep 0.5
    kill -TERM "$id"
    status=0
    wait "$id" || status=$?
    expect_status 130
    ! pgrep -f "^$GUEST loop" || fail "expected the program to be gone"
    ! compgen -G "/sys/fs/cgroup/*/tars-exec-$id-*" || fail "expected no group"
}

@test "a killed run ends its program, and the next one removes its group" {
    "$TARS" exec --profile strict "$GUEST" loop &
    local id=$!
    sleep 0.5
    kill -KILL "$id"
    wait "$id" || true
    sleep 0.5
    ! pgrep -f "^$GUEST loop" || fail "expected the program to be gone"
    capture "$TARS" exec --profile strict "$GUEST" exit 0
    expect_status 0
    ! compgen -G "/sys/fs/cgroup/*/tars-exec-$id-*" || fail "expected no group"
}

@test "a user without rights runs programs too" {
    need_nobody
    capture as_nobody env HOME=/ "$TARS" exec --json --profile strict "$GUEST" socket
    expect_json "d['exit_code'] == 9"
    [[ $output != *"names of refused"* ]] || skip "refused calls cannot all be named here"
    expect_status 3
    expect_json "d['violations'][0]['name'] == 'socket'"
}

@test "doctor tries the sandbox" {
    capture "$TARS" doctor --json
    expect_json "[x for x in d['checks'] if x['name'] == 'sandbox']"
}
