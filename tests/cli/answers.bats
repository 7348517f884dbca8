#!/usr/bin/env bats
# Answers of the tiny model: run, chat without a terminal, tokenize, detokenize, perplexity, embed.
# shellcheck disable=SC2016,SC2030,SC2031
load helper

setup_file() {
    import_tiny
    "$TARS" --quiet import "$ROOT/tests/data/models/arch/bert-mean.gguf" --name encoder >/dev/null
}

@test "run streams an answer and tells the speed" {
    capture "$TARS" run tiny "Hello" --max-tokens 8 --temperature 0
    expect_status 0
    [ -n "$output" ]
    expect_error "tokens/s"
    expect_error "first token after"
    first=$output
    capture "$TARS" run tiny Hello --max-tokens 8 --temperature 0 --quiet
    [ "$output" = "$first" ]
    [ -z "$errors" ]
}

@test "run --json is the document of the interface" {
    capture "$TARS" run tiny Hello --max-tokens 8 --temperature 0 --json
    expect_status 0
    expect_json "set(d['model']) == {'name','sha256','architecture','quantization'}"
    expect_json "d['model']['name'] == 'tiny' and len(d['model']['sha256']) == 64"
    expect_json "d['runtime'] == 'native' and d['isa'] in ('scalar','avx2','avx512','neon')"
    expect_json "1 <= len(d['tokens']) <= 8 and len(d['prompt_tokens']) > 1"
    expect_json "d['finish_reason'] in ('stop','length') and len(d['logits_hash']) == 64"
    expect_json "d['usage']['prompt_tokens'] == len(d['prompt_tokens'])"
    expect_json "d['usage']['completion_tokens'] == len(d['tokens'])"
    expect_json "d['usage']['wall_ms'] > 0 and d['usage']['time_to_first_token_ms'] > 0"
    expect_json "d['violations'] == [] and d['route']['choice'] == 'native' and d['route']['reason']"
}

@test "the same bits with any threads, batch, instructions and cache" {
    hash_of() {
        "$TARS" run tiny "The capital of France" --max-tokens 12 --seed 5 --json "$@" |
            python3 -c 'import json,sys; d = json.load(sys.stdin); print(d["logits_hash"], d["tokens"])'
    }
    expected=$(hash_of)
    [ -n "$expected" ]
    for words in "--threads 1" "--threads 2" "--threads 5" "--batch 1" "--batch 3" \
        "--force-isa scalar" "--force-isa scalar --threads 3 --batch 2" "--context 200"; do
        # shellcheck disable=SC2086 # words are meant to be split
        [ "$(hash_of $words)" = "$expected" ] || fail "another hash with $words"
    done
}

@test "a seed repeats an answer, and a drawn one is told" {
    capture "$TARS" run tiny Hello --max-tokens 16 --json
    seed=$(json "str(d['seed'])")
    tokens=$(json "d['tokens']")
    capture "$TARS" run tiny Hello --max-tokens 16 --json --seed "$seed"
    [ "$(json "d['tokens']")" = "$tokens" ]
}

@test "run --logits-hash ends standard output with the hash" {
    capture "$TARS" run tiny Hello --max-tokens 4 --seed 1 --logits-hash
    expect_status 0
    [[ $(tail -n 1 <<<"$output") =~ ^logits_hash:\ [0-9a-f]{64}$ ]]
}

@test "prompts come from standard input and files" {
    printf 'Once upon a time' >"$BATS_TEST_TMPDIR/prompt"
    expected=$("$TARS" run tiny "Once upon a time" --max-tokens 4 --seed 1 --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["prompt_tokens"])')
    for words in "run tiny -" "run tiny" "run tiny @$BATS_TEST_TMPDIR/prompt"; do
        # shellcheck disable=SC2086 # words are meant to be split
        capture "$TARS" $words --max-tokens 4 --seed 1 --json <"$BATS_TEST_TMPDIR/prompt"
        expect_status 0
        [ "$(json "d['prompt_tokens']" | tr -d ' ')" = "$(tr -d ' ' <<<"$expected")" ] || fail "other tokens with $words"
    done
    capture "$TARS" run tiny "@$BATS_TEST_TMPDIR/none"
    expect_status 5
}

@test "--raw leaves the chat template out, --system goes into it" {
    capture "$TARS" run tiny Hi --raw --max-tokens 1 --json
    raw=$(json "str(len(d['prompt_tokens']))")
    capture "$TARS" run tiny Hi --max-tokens 1 --json
    plain=$(json "str(len(d['prompt_tokens']))")
    capture "$TARS" run tiny Hi --system "Be short." --max-tokens 1 --json
    system=$(json "str(len(d['prompt_tokens']))")
    [ "$raw" -lt "$plain" ] && [ "$plain" -lt "$system" ]
    capture "$TARS" run tiny Hi --raw --system x
    expect_status 2
}

@test "--stop ends the answer before the text" {
    capture "$TARS" run tiny Hello --max-tokens 40 --seed 3 --json
    whole=$(json "d['text']")
    stop=$(json "d['text'][6:9]")
    [ -n "$stop" ] || skip "the answer is too short to stop in"
    capture "$TARS" run tiny Hello --max-tokens 40 --seed 3 --json --stop "$stop"
    expect_json "d['finish_reason'] == 'stop'"
    found=$(json "d['text']")
    [[ $found != *"$stop"* ]] && [[ $whole == "$found$stop"* ]]
    capture "$TARS" run tiny Hello --stop ""
    expect_status 2
}

@test "an empty prompt is refused with a hint" {
    capture "$TARS" run tiny "" --json
    expect_status 2
    expect_json_error usage
    expect_json "d['error']['hint'] != ''"
    capture "$TARS" run tiny - </dev/null
    expect_status 2
    capture "$TARS" run tiny </dev/null
    expect_status 2
}

@test "a prompt that is not UTF-8 is refused with the offset" {
    printf 'caf\xe9 au lait' >"$BATS_TEST_TMPDIR/latin1"
    capture "$TARS" run tiny "@$BATS_TEST_TMPDIR/latin1" --json
    expect_status 2
    expect_json_error malformed
    expect_json "'offset 3' in d['error']['message']"
    capture "$TARS" tokenize tiny - <"$BATS_TEST_TMPDIR/latin1"
    expect_status 2
    capture "$TARS" run tiny $'\xff'
    expect_status 2
}

@test "a prompt longer than the context is refused" {
    yes "the quick brown fox" | head -n 1000 >"$BATS_TEST_TMPDIR/long"
    capture "$TARS" run tiny "@$BATS_TEST_TMPDIR/long" --json
    expect_status 4
    expect_json_error context_exceeded
    capture "$TARS" run tiny "a much longer text than eight tokens can hold" --context 8
    expect_status 4
    capture "$TARS" run tiny hello --context 100000
    expect_status 2
}

@test "limits of memory and time are kept" {
    capture "$TARS" run tiny hello --memory 1KiB --json
    expect_status 4
    expect_json_error out_of_memory
    yes "the quick brown fox" | head -n 70 >"$BATS_TEST_TMPDIR/long"
    capture "$TARS" run tiny "@$BATS_TEST_TMPDIR/long" --force-isa scalar --threads 1 --timeout 1ms --json
    expect_status 4
    expect_json_error timeout
}

@test "what is not here says so with status 5" {
    for words in "--runtime cuda" "--force-isa amx" "--runtime native --isolation sandbox"; do
        # shellcheck disable=SC2086 # words are meant to be split
        capture "$TARS" run tiny hello $words --json
        expect_status 5
        expect_json_error unavailable
        expect_json "d['error']['hint'] != ''"
    done
}

@test "grammars are refused clearly" {
    for option in --grammar --json-schema; do
        capture "$TARS" run tiny hello "$option" file --json
        expect_status 2
        expect_json_error unsupported
    done
}

@test "an encoder is no chat partner and a decoder no encoder" {
    capture "$TARS" run encoder hello --json
    expect_status 2
    expect_json "'embed' in d['error']['hint']"
    capture "$TARS" embed tiny hello --json
    expect_status 2
    expect_json_error usage
}

@test "tokenize and detokenize are inverse" {
    text='Hello, wörld! 😀  two  spaces'
    capture "$TARS" tokenize tiny "$text" --json
    expect_status 0
    expect_json "len(d['ids']) == len(d['pieces']) and len(d['ids']) > 5"
    capture bash -c '"$TARS" tokenize tiny "$1" --ids --no-special | "$TARS" detokenize tiny - --json' bash "$text"
    expect_status 0
    [ "$(json "d['text']")" = "$text" ]
    ids=$("$TARS" tokenize tiny "$text" --ids)
    # shellcheck disable=SC2086 # ids are meant to be split
    [ "$("$TARS" detokenize tiny $ids)" = "$text" ]
}

@test "tokenize --special makes one token of a special one" {
    plain=$("$TARS" tokenize tiny '<|im_start|>' --no-special --ids | wc -w)
    special=$("$TARS" tokenize tiny '<|im_start|>' --no-special --special --ids | wc -w)
    [ "$special" -eq 1 ] && [ "$plain" -gt 1 ]
}

@test "detokenize refuses what is no id" {
    for id in x -1 4294967296 1.5; do
        capture "$TARS" detokenize tiny -- "$id"
        expect_status 2
    done
    capture "$TARS" detokenize tiny 100000000 --json
    [ "$status" -ne 0 ]
    expect_json "'error' in d"
    capture "$TARS" detokenize tiny - </dev/null
    expect_status 2
}

@test "perplexity scores half of each window" {
    yes "The capital of France is Paris." | head -n 60 >"$BATS_TEST_TMPDIR/text"
    capture "$TARS" perplexity tiny "$BATS_TEST_TMPDIR/text" --context 64 --json
    expect_status 0
    expect_json "d['perplexity'] > 1 and d['windows'] > 2"
    # the second half of each window but its first position, which has no prediction before it
    expect_json "d['windows'] * 30 <= d['tokens_scored'] <= d['windows'] * 32"
    first=$(json "d['perplexity']")
    capture "$TARS" perplexity tiny - --context 64 --json --threads 1 --force-isa scalar <"$BATS_TEST_TMPDIR/text"
    [ "$(json "d['perplexity']")" = "$first" ]
    capture "$TARS" perplexity tiny "$BATS_TEST_TMPDIR/text" --context 64
    expect_output "perplexity "
    echo short >"$BATS_TEST_TMPDIR/short"
    capture "$TARS" perplexity tiny "$BATS_TEST_TMPDIR/short"
    expect_status 2
}

@test "tokens and vectors are the same in a guest" {
    "$TARS" --version | grep -q "^runtimes.* wasm" || skip "no runtime wasm in this build"
    own_home
    for words in "tokenize tiny Zoë --json" "tokenize tiny <s>a --special" "detokenize tiny 5 9 70"; do
        # shellcheck disable=SC2086 # words are split on purpose
        capture "$TARS" $words
        expect_status 0
        expected=$output
        # shellcheck disable=SC2086
        capture "$TARS" $words --isolation sandbox
        expect_status 0
        [ "$output" = "$expected" ] || fail "$words: expected $expected"
    done
    capture "$TARS" embed encoder "a cat" ""
    expected=$output
    capture "$TARS" embed encoder "a cat" "" --runtime wasm
    expect_status 0
    [ "$output" = "$expected" ]
    capture "$TARS" embed encoder "a cat" --runtime wasm --json
    expect_json "d['runtime'] == 'wasm' and d['threads'] == 1"
    capture "$TARS" perplexity tiny "$ROOT/README.md" --runtime wasm
    expect_status 5
}

@test "embed gives one vector a text" {
    capture "$TARS" embed encoder "a cat" "a dog" "a cat" --json
    expect_status 0
    expect_json "len(d['embeddings']) == 3 and len(d['embeddings'][0]) == 64"
    expect_json "d['embeddings'][0] == d['embeddings'][2] and d['embeddings'][0] != d['embeddings'][1]"
    expect_json "abs(sum(x * x for x in d['embeddings'][0]) - 1) < 1e-5"
    expect_json "d['usage']['prompt_tokens'] > 3"
    capture "$TARS" embed encoder "a cat" --no-normalize --json
    expect_json "abs(sum(x * x for x in d['embeddings'][0]) - 1) > 1e-3"
    capture "$TARS" embed encoder "a cat" "a dog"
    [ "$(wc -l <<<"$output")" -eq 2 ] && [ "$(head -n 1 <<<"$output" | wc -w)" -eq 64 ]
}

@test "chat without a terminal answers each line" {
    capture "$TARS" chat tiny --max-tokens 6 --seed 1 --json <<<$'Hello\n\nAnd you?'
    expect_status 0
    expect_json "[m['role'] for m in d['messages']] in (['user','assistant','user','assistant'],)"
    expect_json "d['messages'][2]['content'] == 'And you?'"
    capture "$TARS" chat tiny --max-tokens 6 --seed 1 <<<$'Hello\nAnd you?'
    expect_status 0
    [ -n "$output" ]
    capture "$TARS" chat tiny --max-tokens 6 --system "Be short." --json <<<$'Hello\n/reset\nAgain'
    expect_json "[m['role'] for m in d['messages']] == ['system','user','assistant']"
    expect_json "d['messages'][1]['content'] == 'Again'"
    capture "$TARS" chat tiny <<<"/ressat"
    expect_status 2
    expect_error "did you mean /reset?"
}

@test "chat /save writes the conversation once" {
    capture "$TARS" chat tiny --max-tokens 4 <<<"Hello
/save $BATS_TEST_TMPDIR/talk.json"
    expect_status 0
    python3 -c 'import json,sys; assert len(json.load(open(sys.argv[1]))["messages"]) == 2' "$BATS_TEST_TMPDIR/talk.json"
    [ "$(stat -c %a "$BATS_TEST_TMPDIR/talk.json")" = 600 ]
    capture "$TARS" chat tiny --max-tokens 4 <<<"/save $BATS_TEST_TMPDIR/talk.json"
    expect_status 1
}

@test "a conversation gives the same bits as its messages at once" {
    capture "$TARS" chat tiny --max-tokens 5 --temperature 0 --logits-hash <<<$'One\nTwo'
    expect_status 0
    [ "$(grep -c '^logits_hash: ' <<<"$output")" -eq 2 ]
    first=$(grep '^logits_hash: ' <<<"$output" | head -n 1)
    [ "$("$TARS" run tiny One --max-tokens 5 --temperature 0 --logits-hash -q | tail -n 1)" = "$first" ]
}

@test "a reader that leaves ends the answer quietly" {
    set +o pipefail
    messages=$({ "$TARS" run tiny Hello --max-tokens 400 | head -c 1 >/dev/null; echo "${PIPESTATUS[0]}" >"$BATS_TEST_TMPDIR/status"; } 2>&1)
    [ "$(cat "$BATS_TEST_TMPDIR/status")" -eq 0 ]
    [ -z "$messages" ] || [[ $messages == *tokens/s* ]] || fail "$messages"
}
