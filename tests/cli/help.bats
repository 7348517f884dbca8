#!/usr/bin/env bats
# Help, manual, reference and completions, all made from the tables of verbs and options.
# shellcheck disable=SC2016,SC2030,SC2031
load helper

setup_file() {
    own_home
}

every_verb() {
    "$TARS" help --json | python3 -c '
import json, sys
print("\n".join(v["name"] for v in json.load(sys.stdin)["verbs"]))'
}

@test "without a verb it lists the verbs" {
    capture "$TARS"
    expect_status 0
    expect_output "Usage: tars VERB"
    for verb in pull import list rm inspect run chat embed tokenize detokenize perplexity verify doctor \
        bench completion man; do
        expect_output "  $verb "
    done
    [ -z "$errors" ]
}

@test "every verb explains itself in three ways" {
    for verb in $(every_verb); do
        capture "$TARS" help "$verb"
        expect_status 0
        expect_output "Usage: tars $verb"
        by_help=$output
        capture "$TARS" "$verb" --help
        expect_status 0
        [ "$output" = "$by_help" ] || fail "tars $verb --help differs from tars help $verb"
        capture "$TARS" -h "$verb" --json
        expect_status 0
        expect_json "d['verbs'][0]['name'] == '$verb' and len(d['verbs']) == 1"
    done
}

@test "help lines stay within 80 columns when there is no terminal" {
    for verb in $(every_verb); do
        # examples are commands, which must not be broken
        longest=$("$TARS" help "$verb" | sed '/^Examples:/,$d' | LC_ALL=C.UTF-8 awk '{ if (length($0) > m) m = length($0) } END { print m }')
        [ "$longest" -le 80 ] || fail "help of $verb is $longest columns wide"
    done
}

@test "hidden verbs stay hidden" {
    capture "$TARS" help
    [[ $output != *internal* ]]
    capture "$TARS" --json internal-import
    expect_status 2
    expect_json_error usage
}

@test "an unknown verb suggests the nearest" {
    capture "$TARS" lisst
    expect_status 2
    expect_error 'there is no verb "lisst"'
    expect_error 'did you mean "tars list"?'
    capture "$TARS" help tokenise
    expect_status 2
    expect_error 'did you mean "tars tokenize"?'
}

@test "an unknown option suggests the nearest" {
    capture "$TARS" run x y --temprature 1
    expect_status 2
    expect_error "there is no option --temprature of tars run"
    expect_error "did you mean --temperature?"
    capture "$TARS" --ofline list
    expect_status 2
    expect_error "did you mean --offline?"
}

@test "an unknown choice suggests the nearest and lists all" {
    capture "$TARS" run x y --runtime nativ
    expect_status 2
    expect_error "expected one of auto, native, wasm, microvm, cuda"
    expect_error 'did you mean "native"?'
    capture "$TARS" completion bsh
    expect_status 2
    expect_error 'did you mean "bash"?'
}

@test "options stand anywhere, with = or a space, and -- ends them" {
    for words in "help --markdown" "--quiet help --markdown" "help --markdown -q" "help --markdown --"; do
        # shellcheck disable=SC2086 # words are meant to be split
        capture "$TARS" $words
        expect_status 0
        expect_output "# The command line of tars"
    done
    capture "$TARS" --home="$BATS_TEST_TMPDIR/a" list
    expect_status 0
    capture "$TARS" list --home "$BATS_TEST_TMPDIR/a"
    expect_status 0
    capture "$TARS" list -- --names
    expect_status 2
    expect_error 'one argument too many: "--names"'
}

@test "a missing value and a superfluous one are told" {
    capture "$TARS" run x y --seed
    expect_status 2
    expect_error "option --seed needs a value"
    capture "$TARS" run x y --seed --json
    expect_status 2
    expect_json_error usage
    capture "$TARS" list --names=yes
    expect_status 2
    expect_error "option --names takes no value"
}

@test "missing and superfluous arguments are told with the usage" {
    capture "$TARS" inspect
    expect_status 2
    expect_error "MODEL is missing"
    expect_error "usage: tars inspect [options] MODEL"
    capture "$TARS" inspect a b
    expect_status 2
    expect_error 'one argument too many: "b"'
}

@test "values are checked: whole numbers, ranges, sizes, durations" {
    while read -r option value; do
        capture "$TARS" run x y "$option" "$value"
        expect_status 2
        expect_error "option $option needs"
    done <<'VALUES'
--threads 0
--threads -1
--threads 1.5
--threads 99999999999999999999
--max-tokens 0
--context ten
--temperature -1
--temperature nan
--temperature 1e
--top-p 1.1
--seed -1
--seed 18446744073709551616
--timeout 5
--timeout 5minutes
--memory 64XB
--memory 99999999999999GB
VALUES
}

@test "version tells commit, compilers, runtimes and libraries" {
    capture "$TARS" --version
    expect_status 0
    expect_output "commit"
    expect_output "libcurl"
    first=$output
    capture "$TARS" version
    [ "$output" = "$first" ]
    capture "$TARS" --version --json
    expect_status 0
    expect_json "set(d) >= {'version','commit','arithmetic_version','compilers','runtimes','libraries'}"
    expect_json "'native' in d['runtimes'] and len(d['libraries']) >= 5"
}

@test "the reference in docs is the one the program makes" {
    diff -u "$ROOT/docs/cli.md" <("$TARS" help --markdown)
}

@test "the manual page is without warnings" {
    command -v groff >/dev/null || skip "no groff"
    capture "$TARS" man
    expect_status 0
    capture bash -c '"$TARS" man | groff -man -ww -z -Tutf8 2>&1'
    [ -z "$output" ] || fail "groff complains"
    capture bash -c '"$TARS" man | groff -man -Tutf8 -P-cbou'
    expect_output "perplexity"
    expect_output "EXIT STATUS"
}

@test "the bash completion parses and completes" {
    "$TARS" completion bash >"$BATS_TEST_TMPDIR/completion"
    bash -n "$BATS_TEST_TMPDIR/completion"
    complete_words() { # the last word is the one being typed
        bash -c 'source "$1"; shift; PATH=$(dirname "$TARS"):$PATH
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tars; printf "%s\n" "${COMPREPLY[@]}"' \
            bash "$BATS_TEST_TMPDIR/completion" "$@"
    }
    [ "$(complete_words tars tok)" = tokenize ]
    [ "$(complete_words tars run --runt)" = --runtime ]
    [ "$(complete_words tars run --runtime mic)" = microvm ]
    [ "$(complete_words tars run --kv-type = f3)" = f32 ]
    [ "$(complete_words tars completion z)" = zsh ]
    [ "$(complete_words tars list --na)" = --names ]
    complete_words tars help "" | grep -qx perplexity
}

@test "the zsh completion parses" {
    "$TARS" completion zsh >"$BATS_TEST_TMPDIR/_tars"
    head -n 1 "$BATS_TEST_TMPDIR/_tars" | grep -qx '#compdef tars'
    command -v zsh >/dev/null || skip "no zsh"
    zsh -n "$BATS_TEST_TMPDIR/_tars"
}

@test "the fish completion parses" {
    "$TARS" completion fish >"$BATS_TEST_TMPDIR/tars.fish"
    grep -q "complete -c tars" "$BATS_TEST_TMPDIR/tars.fish"
    command -v fish >/dev/null || skip "no fish"
    fish --no-execute "$BATS_TEST_TMPDIR/tars.fish"
}

@test "documents come as JSON too" {
    for words in "man" "help --markdown" "completion bash" "completion zsh" "completion fish"; do
        # shellcheck disable=SC2086 # words are meant to be split
        capture "$TARS" $words --json
        expect_status 0
        expect_json "list(d) == ['text'] and len(d['text']) > 1000"
    done
}
