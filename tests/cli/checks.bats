#!/usr/bin/env bats
# doctor and bench.
# shellcheck disable=SC2016,SC2030,SC2031
load helper

setup_file() {
    import_tiny
}

@test "doctor finds nothing wrong with a good store" {
    capture "$TARS" doctor --json
    expect_status 0
    expect_json "all(set(c) == {'name','status','detail','fix'} for c in d['checks'])"
    expect_json "all(c['status'] in ('ok','warn','fail','unavailable') for c in d['checks'])"
    expect_json "all(c['detail'] for c in d['checks'])"
    expect_json "not any(c['status'] == 'fail' for c in d['checks'])"
    expect_json "{'cpu','threads','memory','disk','store','digest: tiny','pages: tiny','keys','runtime: native','pip','network'} <= {c['name'] for c in d['checks']}"
    expect_json "next(c for c in d['checks'] if c['name'] == 'runtime: native')['status'] == 'ok'"
    expect_json "next(c for c in d['checks'] if c['name'] == 'runtime: cuda')['status'] == 'unavailable'"
    capture "$TARS" doctor
    expect_output "runtime: wasm"
}

@test "a program found through PATH takes no library from the current folder" {
    mkdir "$BATS_TEST_TMPDIR/decoys"
    cd "$BATS_TEST_TMPDIR/decoys"
    printf 'no library\n' >libtars-wasmtime.so
    : >tars
    PATH=$(dirname "$TARS"):$PATH capture tars doctor --json
    expect_json "not any('decoys' in c['detail'] for c in d['checks'])"
    if "$TARS" --version | grep -q "^runtimes.* wasm"; then
        expect_json "next(c for c in d['checks'] if c['name'] == 'runtime: wasm')['status'] == 'ok'"
    fi
}

@test "doctor works without a store and makes none" {
    TARS_HOME=$BATS_TEST_TMPDIR/none capture "$TARS" doctor --json
    expect_status 0
    [ ! -e "$BATS_TEST_TMPDIR/none" ]
}

@test "doctor fails on a key that others can read" {
    cp -a "$TARS_HOME" "$BATS_TEST_TMPDIR/home"
    export TARS_HOME=$BATS_TEST_TMPDIR/home
    "$TARS" -q run tiny hello --max-tokens 2 --receipt "$BATS_TEST_TMPDIR/receipt" >/dev/null
    chmod 644 "$TARS_HOME/keys/signing.key"
    capture "$TARS" doctor --json
    expect_status 1
    expect_json "next(c for c in d['checks'] if c['name'] == 'keys')['status'] == 'fail'"
}

@test "doctor makes a damaged index anew when asked" {
    cp -a "$TARS_HOME" "$BATS_TEST_TMPDIR/home"
    export TARS_HOME=$BATS_TEST_TMPDIR/home
    head -c 5000 /dev/zero >"$TARS_HOME/models/index.sqlite"
    rm -f "$TARS_HOME/models/index.sqlite-wal" "$TARS_HOME/models/index.sqlite-shm"
    capture "$TARS" list
    expect_status 1
    expect_error "doctor --repair"
    capture "$TARS" doctor --json
    expect_status 1
    expect_json "next(c for c in d['checks'] if c['name'] == 'store')['status'] == 'fail'"
    capture "$TARS" doctor --repair --json
    expect_status 0
    expect_json "'made anew' in next(c for c in d['checks'] if c['name'] == 'store')['detail']"
    expect_json "next(c for c in d['checks'] if c['name'] == 'digest: tiny')['status'] == 'ok'"
    [ -e "$TARS_HOME/models/index.sqlite.damaged" ]
    capture "$TARS" run tiny hello --max-tokens 2
    expect_status 0
}

@test "bench llm measures the five figures" {
    capture "$TARS" bench llm --model tiny --threads 1,2 --prompt 64 --generate 4 --count 2 --json
    expect_status 0
    expect_json "set(d['machine']) >= {'features','isa','n_cpus'}"
    expect_json "len(d['results']) == 10"
    expect_json "{r['name'] for r in d['results']} == {'prompt_64_tokens_per_second','generation_tokens_per_second','first_token_ms','ready_ms','private_bytes'}"
    expect_json "all(set(r) == {'name','unit','median','p95','p99','best','samples','threads','model'} for r in d['results'])"
    expect_json "all(r['median'] > 0 and r['samples'] == 2 and r['model'] == 'tiny' for r in d['results'])"
    expect_json "{r['threads'] for r in d['results']} == {1, 2}"
    expect_json "all(r['best'] >= r['median'] >= r['p95'] for r in d['results'] if r['unit'] == 'tokens/s')"
    expect_json "all(r['best'] <= r['median'] <= r['p95'] for r in d['results'] if r['unit'] == 'ms')"
}

@test "bench takes the store's only model and prints a table" {
    capture "$TARS" bench llm --threads 1 --prompt 16 --generate 4 --count 1
    expect_status 0
    expect_output "ready_ms"
    expect_output "private_bytes"
}

@test "bench start measures sandboxed engines" {
    if "$TARS" --version | grep -q "^runtimes.* wasm"; then
        capture "$TARS" bench start --model tiny --count 3 --json
        expect_status 0
        expect_json "'wasm_engine_start_us' in [r['name'] for r in d['results']]"
        expect_json "d['results'][0]['samples'] == 3 and d['results'][0]['median'] > 0"
        capture "$TARS" bench llm --model tiny --runtime wasm --prompt 16 --generate 4 --count 1 --json
        expect_status 0
        expect_json "{r['threads'] for r in d['results']} == {1}"
    else
        capture "$TARS" bench start --model tiny
        expect_status 5
    fi
}

@test "bench start measures micro-VMs" {
    capture "$TARS" bench start --model tiny --runtime microvm --count 2 --json
    if [ "$status" -ne 0 ]; then
        expect_status 5
        skip "$(head -1 <<<"$output$errors")"
    fi
    for name in exit_us engine_boot_us engine_clone_us engine_start_us engine_reset_us engine_destroy_us \
        engine_first_touch_us engines_100_idle_private pool_start_us pool_token_us pool_requests; do
        expect_json "'microvm_$name' in [r['name'] for r in d['results']] + [r['name'] for r in d['unavailable']]"
    done
    expect_json "all(r['reason'] for r in d['unavailable'])"
}

@test "bench refuses wrong lists of threads and unknown kinds" {
    for list in 0 "1,,2" "1," x "1,99999" ""; do
        capture "$TARS" bench llm --model tiny --threads "$list"
        expect_status 2
    done
    capture "$TARS" bench lln
    expect_status 2
    expect_error "llm"
    for kind in transform http trace agents; do
        capture "$TARS" bench "$kind"
        expect_status 5
    done
}
