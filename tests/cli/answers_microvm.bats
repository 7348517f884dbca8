#!/usr/bin/env bats
# Answers of the tiny model in virtual machines: run, chat, tokenize and embed with --runtime microvm
# and --isolation microvm. What a model must not do there is in tests/escape.
# shellcheck disable=SC2031
load helper

setup_file() {
    import_tiny
    "$TARS" --quiet import "$ROOT/tests/data/models/arch/bert-mean.gguf" --name encoder >/dev/null
}

# Skips where there are no machines.
setup() {
    own_home
    capture "$TARS" run tiny hello --max-tokens 1 --runtime microvm
    [ "$status" -ne 5 ] || skip "$(printf '%s' "$errors" | head -n 1)"
    expect_status 0
}

@test "the same bits as native, with any threads and instructions" {
    local words expected
    expected=$("$TARS" run tiny "The capital of France" --max-tokens 12 --seed 5 --json --runtime native |
        python3 -c 'import json,sys; d = json.load(sys.stdin); print(d["logits_hash"], d["tokens"])')
    for words in "--runtime microvm" "--isolation microvm" "--runtime microvm --threads 1" \
        "--runtime microvm --threads 2" "--runtime microvm --threads 3" "--runtime microvm --force-isa scalar" \
        "--runtime microvm --force-isa avx2" "--runtime microvm --force-isa avx512 --threads 2"; do
        # shellcheck disable=SC2086 # words are meant to be split
        capture "$TARS" run tiny "The capital of France" --max-tokens 12 --seed 5 --json $words
        [ "$status" -ne 5 ] || [[ $words != *avx* ]] || continue # not on this CPU
        expect_status 0
        expect_json "d['runtime'] == 'microvm' and d['isa'] in ('scalar', 'avx2', 'avx512')"
        [ "$(json "d['logits_hash'] + ' ' + str(d['tokens'])")" = "$expected" ] || fail "$words: expected $expected"
    done
}

@test "the document says where it was computed" {
    capture "$TARS" run tiny Hello --max-tokens 8 --temperature 0 --isolation microvm --threads 2 --json
    expect_status 0
    expect_json "d['runtime'] == 'microvm' and d['route']['choice'] == 'microvm' and d['violations'] == []"
    expect_json "len(d['logits_hash']) == 64 and 1 <= len(d['tokens']) <= 8"
    expect_json "d['usage']['memory_peak_bytes'] > 0 and d['usage']['start_ms'] > 0"
}

@test "an answer streams, and its receipt is verified by native" {
    capture "$TARS" run tiny Hello --max-tokens 8 --temperature 0 --runtime microvm --receipt "$BATS_TEST_TMPDIR/r.json"
    expect_status 0
    [ -n "$output" ] || fail "expected an answer"
    [ "$output" = "$("$TARS" --quiet run tiny Hello --max-tokens 8 --temperature 0)" ] || fail "expected native's text"
    capture "$TARS" verify "$BATS_TEST_TMPDIR/r.json" --json
    expect_status 0
    expect_json "d['match']"
}

@test "chat keeps to its machine turn by turn" {
    local turns="one\ntwo words\nthree more words\n"
    # shellcheck disable=SC2059,SC2016 # the text is made to be a format; the inner shell expands it
    capture bash -c 'printf "$2" | "$1" chat tiny --max-tokens 6 --temperature 0 --runtime microvm' - "$TARS" "$turns"
    expect_status 0
    local there=$output
    # shellcheck disable=SC2059,SC2016
    capture bash -c 'printf "$2" | "$1" chat tiny --max-tokens 6 --temperature 0 --runtime native' - "$TARS" "$turns"
    expect_status 0
    [ "$output" = "$there" ] || fail "expected the same as in a machine: $there"
}

@test "tokens and vectors are native's" {
    local runtime verb
    for verb in tokenize embed; do
        for runtime in native microvm; do
            capture "$TARS" "$verb" "$([ "$verb" = embed ] && echo encoder || echo tiny)" "Zwei Hunde, ein Haus" --json --runtime "$runtime"
            expect_status 0
            json "d['ids'] if '$verb' == 'tokenize' else d['embeddings']" >"$BATS_TEST_TMPDIR/$verb.$runtime"
        done
        cmp "$BATS_TEST_TMPDIR/$verb.native" "$BATS_TEST_TMPDIR/$verb.microvm" || fail "$verb: other numbers"
    done
}

@test "limits, refusals and failures have their exit status" {
    capture "$TARS" run tiny hello --runtime microvm --memory 1KiB --json
    expect_status 4
    expect_json_error out_of_memory
    capture "$TARS" run tiny hello --runtime microvm --memory 4GiB --json
    expect_status 0
    yes "the quick brown fox" | head -n 70 >"$BATS_TEST_TMPDIR/long"
    capture "$TARS" run tiny "@$BATS_TEST_TMPDIR/long" --runtime microvm --force-isa scalar --timeout 1ms --json
    expect_status 4
    expect_json_error timeout
    capture "$TARS" run tiny hello --runtime microvm --force-isa neon --json
    expect_status 5
    expect_json_error unavailable
    capture "$TARS" run tiny hello --runtime wasm --isolation microvm --json
    expect_status 5
    expect_json_error unavailable
    capture "$TARS" run encoder hello --runtime microvm --json
    expect_status 2
    capture "$TARS" perplexity tiny "@$BATS_TEST_TMPDIR/long" --runtime microvm --json
    [ "$status" -ne 0 ] || fail "expected that machines compute no perplexity"
}

@test "without /dev/kvm the runtime says so with status 5" {
    local words
    unshare -m true 2>/dev/null || skip "no mount namespaces for this user"
    for words in "--runtime microvm" "--isolation microvm"; do
        # shellcheck disable=SC2086,SC2016 # words are meant to be split; the inner shell expands
        capture unshare -m sh -c 'mount -t tmpfs none /dev && exec "$@"' - "$TARS" run tiny hello $words --json
        expect_status 5
        expect_json_error unavailable
        expect_json "'kvm' in d['error']['message'] and d['error']['hint'] != ''"
    done
    # shellcheck disable=SC2016
    capture unshare -m sh -c 'mount -t tmpfs none /dev && exec "$@"' - "$TARS" run tiny hello --max-tokens 2 --json
    expect_status 0
    expect_json "d['runtime'] == 'native'"
}
