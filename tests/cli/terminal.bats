#!/usr/bin/env bats
# On a terminal: Ctrl-C, editing, history, progress.
# shellcheck disable=SC2016,SC2030,SC2031
load helper

setup_file() {
    import_tiny
    yes "The quick brown fox jumps over the lazy dog." | head -n 20000 >"$BATS_FILE_TMPDIR/text"
}

@test "without a prompt on a terminal the usage is told" {
    capture terminal -- "$TARS" run tiny
    expect_output "PROMPT is missing"
    expect_output "[exit 2]"
}

@test "Ctrl-C ends long work with status 130 and leaves the terminal whole" {
    capture terminal wait:scoring sleep:0.5 'keys:\x03' -- \
        "$TARS" perplexity tiny "$BATS_FILE_TMPDIR/text" --force-isa scalar --threads 1
    expect_output "[exit 130]"
    expect_output "[echo on]"
}

@test "Ctrl-C ends an answer, what there is stays" {
    # The tiny model is quick: a key may come too early or too late. One try must hit an answer.
    for delay in 0.1 0.15 0.2 0.25 0.3 0.4 0.5 0.05; do
        capture terminal "sleep:$delay" 'keys:\x03' -- "$TARS" run tiny "Once upon a time" --max-tokens 450 \
            --force-isa scalar --threads 1 --temperature 1
        expect_output "[echo on]"
        if [[ $output == *"[exit 130]"* ]]; then
            expect_output "tokens/s"
            return 0
        fi
    done
    skip "every answer ended before the key came"
}

@test "an interrupt without a terminal is status 130 too" {
    "$TARS" perplexity tiny "$BATS_FILE_TMPDIR/text" --force-isa scalar --threads 1 --json \
        >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr" 3>&- &
    pid=$!
    sleep 0.7
    kill -INT "$pid"
    status=0
    wait "$pid" || status=$?
    expect_status 130
    expect_json_error cancelled
}

@test "a progress bar is drawn on a terminal and removed" {
    capture terminal --columns 100 'wait:%' sleep:0.5 'keys:\x03' -- \
        "$TARS" perplexity tiny "$BATS_FILE_TMPDIR/text" --force-isa scalar --threads 1
    [[ $output == *"▕"* ]] || fail "no bar"
    [[ $output == *$'\r\e[K'* ]] || fail "the bar was not removed"
    capture terminal sleep:0.5 'keys:\x03' -- "$TARS" -q perplexity tiny "$BATS_FILE_TMPDIR/text" --force-isa scalar --threads 1
    [[ $output != *"▕"* ]] || fail "a bar in spite of --quiet"
}

@test "no progress when standard error is no terminal" {
    head -n 200 "$BATS_FILE_TMPDIR/text" >"$BATS_TEST_TMPDIR/text"
    capture "$TARS" perplexity tiny "$BATS_TEST_TMPDIR/text" --context 64
    expect_status 0
    [ -z "$errors" ] || fail "messages without a terminal"
}

@test "chat: lines are edited, commands work, Ctrl-D leaves" {
    capture terminal 'wait:> ' 'keys:/hxx\x7f\x7felp\r' 'wait:Ctrl-D' 'wait:> ' 'keys:Hello\r' 'wait:tokens/s' 'wait:> ' \
        'keys:\x04' -- "$TARS" -v chat tiny --max-tokens 4
    expect_output "/reset"
    expect_output "[exit 0]"
    expect_output "[echo on]"
}

@test "chat: Ctrl-C drops the line and does not leave" {
    capture terminal 'wait:> ' 'keys:abc' 'wait:abc' 'keys:\x03' 'wait:> ' 'keys:\x03' 'wait:> ' 'keys:\x03' \
        'wait:> ' 'keys:\x03' 'wait:> ' 'keys:/help\r' 'wait:Ctrl-D' 'wait:> ' 'keys:\x04' -- "$TARS" chat tiny
    expect_output "[exit 0]"
    expect_output "[echo on]"
    [[ $output != *"never shown"* ]] || fail "the chat stopped listening"
}

@test "chat: lines are remembered for their owner alone" {
    capture terminal 'wait:> ' 'keys:remember me\r' 'wait:tokens/s' 'wait:> ' 'keys:\x04' -- "$TARS" -v chat tiny --max-tokens 2
    [ "$(stat -c %a "$TARS_HOME/chat_history")" = 600 ]
    grep -qx "remember me" "$TARS_HOME/chat_history"
    # the key for the line before
    capture terminal 'wait:> ' 'keys:\x1b[A' 'wait:remember me' 'keys:\x03' 'wait:> ' 'keys:\x04' -- "$TARS" chat tiny
    expect_output "[exit 0]"
    [[ $output != *"never shown"* ]] || fail "the line was forgotten"
}

@test "chat: characters beyond ASCII can be typed" {
    capture terminal 'wait:> ' 'keys:\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\r' 'wait:tokens/s' 'wait:> ' 'keys:\x04' -- \
        "$TARS" -v chat tiny --max-tokens 2
    expect_output "[exit 0]"
    grep -qx "ä€😀" "$TARS_HOME/chat_history"
}
