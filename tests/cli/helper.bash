# shellcheck shell=bash
# Loaded by every .bats file here. TARS is the program, TARS_HOME a store of the test file's own.
ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
export ROOT
export TARS=${TARS:-$ROOT/build/tars}
export TARS_OFFLINE=1
unset NO_COLOR TARS_DATA_DIR
TINY=$ROOT/tests/data/models/tiny.gguf

# One store for a file of tests.
own_home() {
    export TARS_HOME=$BATS_FILE_TMPDIR/home
}

# The tiny model of the tree under the name "tiny".
import_tiny() {
    own_home
    "$TARS" --quiet import "$TINY" --name tiny >/dev/null
}

# Standard output and standard error of a command into $output and $errors, its exit status into
# $status. Unlike bats' run it keeps them apart and keeps every byte.
capture() {
    status=0
    "$@" >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
    # shellcheck disable=SC2034 # read by the tests
    output=$(tr -d '\0' <"$BATS_TEST_TMPDIR/stdout")
    errors=$(tr -d '\0' <"$BATS_TEST_TMPDIR/stderr")
}

fail() {
    printf '%s\n' "$@" "status: ${status-}" "output: ${output-}" "errors: ${errors-}" >&2
    return 1
}

expect_status() {
    [ "$status" -eq "$1" ] || fail "expected exit status $1"
}

expect_output() {
    [[ $output == *"$1"* ]] || fail "expected in the output: $1"
}

expect_error() {
    [[ $errors == *"$1"* ]] || fail "expected in the messages: $1"
}

# json EXPRESSION: evaluates Python over the one JSON document of the last capture, `d`.
json() {
    python3 -c '
import json, sys
with open(sys.argv[1], "rb") as file:
    d = json.loads(file.read().decode("utf-8"))
value = eval(sys.argv[2])
print(value if isinstance(value, str) else json.dumps(value))' \
        "$BATS_TEST_TMPDIR/stdout" "$1"
}

# expect_json EXPRESSION: true for the document.
expect_json() {
    local found
    found=$(json "bool($1)") || fail "not exactly one JSON document, or not this: $1"
    [ "$found" = true ] || fail "expected of the document: $1"
}

# expect_json_error CODE: the document is an error with all its fields.
expect_json_error() {
    expect_json "list(d) == ['error'] and sorted(d['error']) == ['cause','code','hint','message','where']"
    expect_json "d['error']['code'] == '$1' and d['error']['message'] != ''"
}

# Runs a command as a user without rights, where that can be done.
as_nobody() {
    setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

need_nobody() {
    [ "$(id -u)" -eq 0 ] || skip "not root: cannot become another user"
    command -v setpriv >/dev/null || skip "no setpriv"
    # the program and the test's folder must be within nobody's reach
    as_nobody test -x "$TARS" || skip "the build folder cannot be reached by user nobody"
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" 2>/dev/null || true
    as_nobody test -x "$BATS_TEST_TMPDIR" || skip "the test's folder cannot be reached by user nobody"
}

# need_machines PROGRAM: a static program that runs in micro-VMs.
need_machines() {
    [ -x "$1" ] || skip "no compiler here that makes static programs"
    if ! "$TARS" exec --runtime microvm "$1" >/dev/null 2>"$BATS_TEST_TMPDIR/why"; then
        skip "$(head -n 1 "$BATS_TEST_TMPDIR/why")"
    fi
}

terminal() {
    TERM=xterm LC_ALL=C.UTF-8 python3 "$BATS_TEST_DIRNAME/terminal.py" "$@"
}
