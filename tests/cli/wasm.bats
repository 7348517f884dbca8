#!/usr/bin/env bats
# tars wasm: looking at modules, validating, keeping and removing them.
load helper

# bytes FILE HEX…: a file of these bytes.
bytes() {
    python3 -c 'import sys; open(sys.argv[1], "wb").write(bytes.fromhex("".join(sys.argv[2:])))' "$@"
}

setup_file() {
    local folder=$BATS_FILE_TMPDIR
    # func () as _start, one memory that is exported
    bytes "$folder/small.wasm" 0061736d01000000 010401600000 03020100 0503010001 \
        07130206 6d656d6f7279 0200 06 5f7374617274 0000 0a040102000b \
        001a 046e616d65 0113 01 00 10 7275 6e 1b5b33316d 0a 2e2e2e2e2e2e2e
    # the same with a body that leaves nothing where an i32 is expected, and a name for it
    bytes "$folder/invalid.wasm" 0061736d01000000 01050160 00017f 03020100 0a040102000b \
        000d 046e616d65 0106 01 00 03 616e73
    bytes "$folder/import.wasm" 0061736d01000000 010401600000 020701 0178 0179 0000 \
        03020100 070a01 06 5f7374617274 0001 0a040102000b
    bytes "$folder/component.wasm" 0061736d0d000100
    bytes "$folder/order.wasm" 0061736d01000000 030100 020100
    printf '(module)\n' >"$folder/text.wat"
    cat >"$folder/wait.c" <<'C'
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argv;
    puts("hello");
    fflush(stdout);
    return argc > 1 ? (int)sleep(20) : 0;
}
C
    clang-19 --target=wasm32-wasi -O1 -o "$folder/wait.wasm" "$folder/wait.c" 2>/dev/null || true
}

setup() {
    export TARS_HOME=$BATS_TEST_TMPDIR/home
    cd "$BATS_FILE_TMPDIR"
}

# Skips where modules cannot be validated.
need_wasmtime() {
    capture "$TARS" wasm validate small.wasm
    [ "$status" -ne 5 ] || skip "no Wasmtime here: $errors"
}

need_program() {
    need_wasmtime
    [ -s wait.wasm ] || skip "no compiler for WASI here"
}

@test "inspect shows a module, and its names cannot drive a terminal" {
    capture "$TARS" wasm inspect small.wasm
    expect_status 0
    expect_output 'run\u{1b}[31m\u{a}'
    expect_output "memory 1.. pages"
    expect_output "no problems found"
    [[ $output != *$'\033'* ]] || fail "expected no control characters"
    capture "$TARS" wasm inspect --json small.wasm
    expect_status 0
    expect_json "d['imports'] == [] and d['functions'] == 1 and d['problems'] == []"
    expect_json "[(e['name'], e['kind'], e['type']) for e in d['exports']] == [('memory', 'memory', 'memory 1.. pages'), ('_start', 'function', 'func ()')]"
    expect_json "d['memories'][0]['min_pages'] == 1 and d['memories'][0]['max_pages'] is None"
    expect_json "d['start'] is None and d['tables'] == [] and d['custom_sections'] == [{'name': 'name', 'bytes': 21}]"
    expect_json "d['sha256'] == __import__('hashlib').sha256(open('small.wasm', 'rb').read()).hexdigest()"
    expect_json "d['bytes'] == len(open('small.wasm', 'rb').read())"
    # shellcheck disable=SC2016 # the inner shell expands it
    capture bash -c '"$1" wasm inspect --json - <import.wasm' - "$TARS"
    expect_json "d['imports'] == [{'module': 'x', 'name': 'y', 'kind': 'function', 'type': 'func ()', 'index': 0}]"
}

@test "inspect tells what is wrong, and shows what stands before it" {
    capture "$TARS" wasm inspect --json order.wasm
    expect_status 2
    expect_json "d['problems'][0]['code'] == 'malformed' and 'import section behind the function' in d['problems'][0]['message']"
    expect_json "d['problems'][0]['where'] == 'byte 11, import section' and not d['features_complete']"
    capture "$TARS" wasm inspect order.wasm
    expect_status 2
    expect_output "1 problem"
}

@test "what is no module is told as what it looks like" {
    local action
    for action in inspect validate load; do
        capture "$TARS" wasm "$action" text.wat
        expect_status 2
        expect_error "text format"
        expect_error "wat2wasm"
        capture "$TARS" wasm "$action" --json "$TARS"
        expect_status 2
        expect_json_error malformed
        capture "$TARS" wasm "$action" --json component.wasm
        expect_status 2
        expect_json_error unsupported
        expect_json "'component' in d['error']['message']"
        capture "$TARS" wasm "$action" --json no-such-file.wasm
        expect_status 5
        expect_json_error not_found
    done
}

@test "validate names the place of what is wrong" {
    need_wasmtime
    expect_status 0
    capture "$TARS" wasm validate --json small.wasm
    expect_json "d['valid'] and d['bytes'] > 0 and len(d['sha256']) == 64"
    capture "$TARS" wasm validate --json invalid.wasm
    expect_status 2
    expect_json_error malformed
    expect_json "d['error']['where'].startswith('byte ') and d['error']['where'].endswith('function 0 ans')"
    capture "$TARS" wasm validate order.wasm
    expect_status 2
    expect_error "byte 11, import section"
}

@test "a module is loaded, listed, run by its name and unloaded" {
    need_program
    capture "$TARS" wasm list --json
    expect_json "d == {'modules': []}"
    capture "$TARS" wasm load --json wait.wasm --name tool
    expect_status 0
    expect_json "d['name'] == 'tool' and d['state'] == 'loaded' and not d['was_loaded']"
    local digest
    digest=$(json "d['sha256']")
    [ "$(stat -c %a "$TARS_HOME/modules/$digest.wasm")" = 600 ] || fail "expected mode 600"
    [ "$(find "$TARS_HOME/cache" -type f | wc -l)" -eq 1 ] || fail "expected compiled code"
    capture "$TARS" wasm load --json wait.wasm --name tool
    expect_json "d['was_loaded']"
    capture "$TARS" exec --runtime wasm tool
    expect_status 0
    expect_output hello
    capture "$TARS" wasm list --json
    expect_json "[(m['name'], m['state'], m['runs'], m['sha256']) for m in d['modules']] == [('tool', 'loaded', 1, '$digest')]"
    [ "$(find "$TARS_HOME/cache" -type f | wc -l)" -eq 1 ] || fail "expected the run to take the code"
    capture "$TARS" wasm unload --json "${digest:0:12}"
    expect_status 0
    expect_json "[m['name'] for m in d['removed']] == ['tool']"
    [ "$(find "$TARS_HOME/cache" "$TARS_HOME/modules" -type f ! -name .lock ! -name .synced | wc -l)" -eq 0 ] ||
        fail "expected nothing to be left: $(find "$TARS_HOME" -type f)"
    capture "$TARS" exec --json --runtime wasm tool
    expect_status 5
    expect_json_error not_found
}

@test "a module that executes is not unloaded, and is loaded again when its process is killed" {
    need_program
    "$TARS" --quiet wasm load wait.wasm
    "$TARS" exec --runtime wasm wait long >/dev/null &
    local id=$! i
    for ((i = 0; i < 100; i++)); do
        capture "$TARS" wasm list --json
        [ "$(json "d['modules'][0]['state']")" != executing ] || break
        sleep 0.1
    done
    expect_json "d['modules'][0]['state'] == 'executing'"
    capture "$TARS" wasm unload --json wait
    expect_status 1
    expect_json_error conflict
    expect_json "'executing' in d['error']['message'] and 'unloaded' in d['error']['message']"
    kill -KILL "$id"
    wait "$id" || true
    capture "$TARS" wasm list --json
    expect_json "d['modules'][0]['state'] == 'loaded'"
    capture "$TARS" wasm unload wait
    expect_status 0
}

@test "a module that cannot be used is in error with its reason" {
    need_program
    capture "$TARS" wasm load --json import.wasm
    expect_status 2
    expect_json_error unsupported
    capture "$TARS" wasm list --json
    expect_json "d['modules'][0]['state'] == 'error' and '\"y\"' in d['modules'][0]['reason']"
    capture "$TARS" wasm unload import
    expect_status 0
    capture "$TARS" wasm load invalid.wasm
    expect_status 2
    capture "$TARS" wasm list --json
    expect_json "d == {'modules': []}"
}

@test "a changed module is not run, a changed artifact is compiled anew" {
    need_program
    "$TARS" --quiet wasm load wait.wasm
    local artifact module
    artifact=$(find "$TARS_HOME/cache" -type f)
    printf x | dd of="$artifact" bs=1 seek=4000 conv=notrunc status=none
    capture "$TARS" exec --runtime wasm wait
    expect_status 0
    expect_output hello
    expect_error "compiled anew"
    capture "$TARS" exec --runtime wasm wait
    [ "$errors" = "" ] || fail "expected the new code to be taken"
    module=$(find "$TARS_HOME/modules" -name '*.wasm')
    printf x | dd of="$module" bs=1 seek=4000 conv=notrunc status=none
    capture "$TARS" exec --json --runtime wasm wait
    expect_status 1
    expect_json_error corrupt
    capture "$TARS" wasm list --json
    expect_json "d['modules'][0]['state'] == 'error' and 'digest' in d['modules'][0]['reason']"
    capture "$TARS" wasm load wait.wasm
    expect_status 0
    capture "$TARS" exec --runtime wasm wait
    expect_status 0
}

@test "two loads of one file at once are fine" {
    need_program
    "$TARS" --quiet wasm load wait.wasm &
    local id=$!
    capture "$TARS" --quiet wasm load wait.wasm
    expect_status 0
    wait "$id"
    capture "$TARS" wasm list --json
    expect_json "[m['state'] for m in d['modules']] == ['loaded']"
}

@test "a load that is killed leaves no half module" {
    need_program
    local i
    for i in 0.01 0.03 0.06 0.1; do
        "$TARS" --quiet wasm load wait.wasm &
        local id=$!
        sleep "$i"
        kill -KILL "$id" 2>/dev/null || true
        wait "$id" || true
        capture "$TARS" wasm list --json
        expect_json "[m['state'] for m in d['modules']] in ([], ['loaded'])"
        "$TARS" --quiet wasm unload wait 2>/dev/null || true
    done
    capture "$TARS" wasm load wait.wasm
    expect_status 0
}

@test "wrong words are told" {
    capture "$TARS" wasm inspct small.wasm
    expect_status 2
    expect_error 'did you mean "inspect"'
    capture "$TARS" wasm inspect
    expect_status 2
    expect_error "tars wasm inspect FILE"
    capture "$TARS" wasm list small.wasm
    expect_status 2
    capture "$TARS" wasm inspect small.wasm --name x
    expect_status 2
    capture "$TARS" wasm load small.wasm --name "a b"
    expect_status 2
    capture "$TARS" wasm load - --json </dev/null
    expect_status 2
    capture "$TARS" wasm unload nothing
    expect_status 5
}

@test "the examples of the document run" {
    need_program
    cd "$BATS_TEST_TMPDIR"
    sed -n '/^```sh$/,/^```$/{/^```/!p}' "$ROOT/docs/wasm.md" >examples.sh
    [ -s examples.sh ] || fail "expected examples in docs/wasm.md"
    mkdir -p bin
    ln -sf "$TARS" bin/tars
    capture env PATH="$BATS_TEST_TMPDIR/bin:$PATH" bash -euo pipefail examples.sh
    expect_status 0
    expect_output "hello, you"
}
