# shellcheck shell=bash
# Sourced by the scripts beside it: counts checks and prints the closing line that tests/run reads.
# A script runs from the root of the tree; BUILD is the build folder, SCRATCH a folder of its own.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
ROOT=$PWD
BUILD=${TARS_BUILD:-$ROOT/build}
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT
export ROOT BUILD SCRATCH
passed=0
failed=0
skipped=0

pass() {
    passed=$((passed + 1))
    echo "  ok      $*"
}

fail() {
    failed=$((failed + 1))
    echo "  FAILED  $*"
}

skip() { # NAME REASON
    skipped=$((skipped + 1))
    echo "  skipped $1: $2"
}

# check NAME COMMAND…: passes when the command succeeds, else shows what it printed.
check() {
    local name=$1
    shift
    if "$@" >"$SCRATCH/output" 2>&1; then
        pass "$name"
    else
        fail "$name"
        tail -n 40 "$SCRATCH/output" | sed 's/^/    /'
    fi
}

# Prints the closing line, or with TARS_TEST_TALLY=FILE adds the counts there, and ends the script.
finish() {
    if [ -n "${TARS_TEST_TALLY:-}" ]; then
        echo "$passed $failed $skipped" >>"$TARS_TEST_TALLY"
    else
        echo "$passed passed, $failed failed, $skipped skipped"
    fi
    [ "$failed" -eq 0 ]
    exit
}
