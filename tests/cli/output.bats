#!/usr/bin/env bats
# Where output goes, and what happens when it cannot go there.
# shellcheck disable=SC2016,SC2030,SC2031
load helper

setup_file() {
    own_home
}

@test "results go to standard output, messages to standard error" {
    capture "$TARS" list
    expect_status 0
    [ -z "$output" ]
    expect_error "the store is empty"
    capture "$TARS" list --quiet
    [ -z "$output$errors" ]
}

@test "a full device is an error" {
    [ -w /dev/full ] || skip "no /dev/full"
    status=0
    errors=$("$TARS" help 2>&1 >/dev/full) || status=$?
    expect_status 1
    expect_error "standard output could not be written"
    expect_error "No space left on device"
    status=0
    errors=$("$TARS" list --json 2>&1 >/dev/full) || status=$?
    expect_status 1
}

@test "a closed standard output is an error" {
    status=0
    errors=$("$TARS" help 2>&1 >&-) || status=$?
    expect_status 1
    expect_error "standard output could not be written"
}

@test "a reader that leaves is no error" {
    set +o pipefail
    errors=$({ "$TARS" help --markdown | head -n 1 >/dev/null; echo "${PIPESTATUS[0]}" >"$BATS_TEST_TMPDIR/status"; } 2>&1)
    [ -z "$errors" ]
    [ "$(cat "$BATS_TEST_TMPDIR/status")" -eq 0 ]
}

@test "a closed standard error and input do no harm" {
    status=0
    "$TARS" help nothing-like-this 2>&- <&- || status=$?
    expect_status 2
}

@test "colours only on a terminal, never with NO_COLOR or --no-color" {
    capture "$TARS" nonsense
    [[ $errors != *$'\e'* ]]
    capture terminal -- "$TARS" nonsense
    [[ $output == *$'\e[31mtars:'* ]] || fail "no colour on a terminal"
    NO_COLOR=1 capture terminal -- "$TARS" nonsense
    [[ $output != *$'\e'* ]] || fail "colour in spite of NO_COLOR"
    capture terminal -- "$TARS" nonsense --no-color
    [[ $output != *$'\e'* ]] || fail "colour in spite of --no-color"
    capture terminal -- env TERM=dumb "$TARS" nonsense
    [[ $output != *$'\e'* ]] || fail "colour on a dumb terminal"
}

@test "help fits the terminal" {
    capture terminal --columns 50 -- "$TARS" help verify
    widest=$(sed 's/\x1b\[[0-9;]*m//g; s/\r//g' "$BATS_TEST_TMPDIR/stdout" | grep -v '^  tars' | awk '{ if (length($0) > m) m = length($0) } END { print m }')
    [ "$widest" -le 50 ] || fail "$widest columns"
}

@test "each class of failure is one JSON document with its exit status" {
    printf 'GGUF' >"$BATS_TEST_TMPDIR/cut.gguf"
    capture "$TARS" --json frobnicate
    expect_status 2
    expect_json_error usage
    capture "$TARS" --json
    expect_status 0
    expect_json "'verbs' in d"
    capture "$TARS" rm no-such-model --json
    expect_status 5
    expect_json_error not_found
    capture "$TARS" import "$BATS_TEST_TMPDIR/missing.gguf" --json
    expect_status 5
    expect_json_error not_found
    capture "$TARS" import "$BATS_TEST_TMPDIR/cut.gguf" --json
    expect_status 2
    expect_json_error malformed
    capture "$TARS" run no-such-model hello --json
    expect_status 5
    expect_json_error not_found
    capture "$TARS" run no-such-model hello --json-schema x --json
    expect_status 5
    capture "$TARS" pull http://192.0.2.1/model.gguf --json
    expect_status 3
    expect_json_error denied
    capture "$TARS" bench http --json
    expect_status 5
    expect_json_error unavailable
    capture "$TARS" verify "$BATS_TEST_TMPDIR/cut.gguf" --json
    expect_status 2
    expect_json_error malformed
}

@test "control characters in names cannot drive the terminal" {
    capture "$TARS" $'no\e[31mverb'
    expect_status 2
    [[ $errors != *$'\e'* ]]
    capture "$TARS" run $'m\e]0;x\a' hello
    [[ $errors != *$'\e'* ]]
}
