#!/usr/bin/env bats
# The store through the command line: import, pull, list, rm, inspect, and what can be wrong with it.
# shellcheck disable=SC2016,SC2030,SC2031
load helper

setup_file() {
    import_tiny
}

# A store of one test's own with the tiny model in it.
fresh_home() {
    export TARS_HOME=$BATS_TEST_TMPDIR/home
    cp -a "$BATS_FILE_TMPDIR/home" "$TARS_HOME"
}

blob_of() {
    find "$TARS_HOME/models/blobs" -name '*.tars' | head -n 1
}

@test "import prints name, digest and size" {
    export TARS_HOME=$BATS_TEST_TMPDIR/home
    capture "$TARS" import "$TINY" --json
    expect_status 0
    expect_json "d['model'] == 'tiny' and d['packed_bytes'] > 100000"
    [ "$(json "d['sha256']")" = "$(sha256sum "$TINY" | cut -d' ' -f1)" ]
    capture "$TARS" import "$TINY" --name other.name-2
    expect_status 0
    expect_output "other.name-2  llama"
}

@test "import again changes nothing, another model under the name is refused" {
    fresh_home
    capture "$TARS" import "$TINY" --name tiny
    expect_status 0
    capture "$TARS" import "$ROOT/tests/data/models/arch/llama-mha.gguf" --name tiny --json
    expect_status 1
    expect_json_error conflict
    capture "$TARS" import "$ROOT/tests/data/models/arch/llama-mha.gguf" --name tiny --replace
    expect_status 0
}

@test "import checks a digest that is given" {
    fresh_home
    capture "$TARS" import "$TINY" --name checked --sha256 "$(sha256sum "$TINY" | cut -d' ' -f1)"
    expect_status 0
    capture "$TARS" import "$TINY" --name wrong --sha256 "$(printf '%064d' 0)" --json
    expect_status 1
    expect_json_error mismatch
    capture "$TARS" import "$TINY" --sha256 abc
    expect_status 2
    capture "$TARS" list --names
    [[ $output != *wrong* ]]
}

@test "import refuses names that leave the store" {
    for name in ../evil /etc/x a/b .hidden "" "a b"; do
        capture "$TARS" import "$TINY" --name "$name"
        expect_status 2
    done
}

@test "import refuses folders without a model, pipes and devices" {
    mkdir "$BATS_TEST_TMPDIR/empty"
    capture "$TARS" import "$BATS_TEST_TMPDIR/empty"
    [ "$status" -ne 0 ]
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    capture timeout 10 "$TARS" import "$BATS_TEST_TMPDIR/fifo"
    expect_status 2
    capture timeout 10 "$TARS" import /dev/zero
    expect_status 2
}

@test "import leaves nothing behind when a file is refused" {
    fresh_home
    before=$(cd "$TARS_HOME" && find . -type f ! -name '*.sqlite*' ! -name '.lock' | sort)
    for file in cut-in-data nan-weight tokens-missing big-endian; do
        capture "$TARS" import "$ROOT/tests/data/hostile/$file.gguf"
        [ "$status" -ne 0 ] || fail "$file was imported"
        [ -n "$errors" ]
    done
    after=$(cd "$TARS_HOME" && find . -type f ! -name '*.sqlite*' ! -name '.lock' | sort)
    [ "$before" = "$after" ] || fail "left behind: $after"
}

# Whether imports are read there: else they end with UNAVAILABLE and the reason.
reads_in() {
    capture "$TARS" import "$TINY" --name probe --replace --in "$1" --json
    "$TARS" rm probe >"$BATS_TEST_TMPDIR/removed" 2>&1 || true
    [ "$status" -eq 0 ] && return 0
    expect_status 5
    expect_json_error unavailable
    expect_json "'runtime $1 is unavailable' in d['error']['message']"
    return 1
}

@test "import reads the file where it is told to, with one result" {
    export TARS_HOME=$BATS_TEST_TMPDIR/home
    capture "$TARS" import "$TINY" --name a --in native --json
    expect_status 0
    expect_json "d['sandbox'] == 'native'"
    packed=$(json "d['packed_sha256']")
    capture "$TARS" import "$TINY" --name again --in native --json
    expect_status 0
    expect_json "'sandbox' not in d" # nothing was read
    capture "$TARS" import "$TINY" --name b --in rubber
    expect_status 2
    for place in wasm microvm; do
        "$TARS" rm a
        "$TARS" rm again || true
        reads_in "$place" || continue
        capture "$TARS" import "$TINY" --name a --in "$place" --json
        expect_status 0
        [ "$(json "d['packed_sha256']")" = "$packed" ]
        expect_json "d['sandbox'] == '$place'"
    done
    if "$TARS" --version | grep -q "^runtimes.* wasm"; then
        [ -n "$(ls "$TARS_HOME/cache")" ]
    fi
}

@test "import takes the strongest place there is and tells which" {
    export TARS_HOME=$BATS_TEST_TMPDIR/home
    strongest=native
    reads_in wasm && strongest=wasm
    reads_in microvm && strongest=microvm
    capture "$TARS" import "$TINY" --name a
    expect_status 0
    [[ $output == *"read in $strongest"* ]]
    "$TARS" rm a
    capture "$TARS" import "$TINY" --name a --in auto --json
    expect_status 0
    expect_json "d['sandbox'] == '$strongest'"
}

@test "import does without virtual machines, as a user without rights" {
    need_nobody
    [ -e /dev/kvm ] || skip "no /dev/kvm"
    as_nobody test -w /dev/kvm && skip "anybody may use /dev/kvm"
    cp "$TINY" "$BATS_TEST_TMPDIR/tiny.gguf"
    export TARS_HOME=$BATS_TEST_TMPDIR/home
    mkdir "$TARS_HOME"
    chown 65534 "$TARS_HOME" "$BATS_TEST_TMPDIR/tiny.gguf"
    capture as_nobody "$TARS" import "$BATS_TEST_TMPDIR/tiny.gguf" --name a --in microvm --json
    expect_status 5
    expect_json_error unavailable
    expect_json "'no permission on /dev/kvm' in d['error']['message'] and '--in' in d['error']['hint']"
    capture as_nobody "$TARS" import "$BATS_TEST_TMPDIR/tiny.gguf" --name a --json
    expect_status 0
    expect_json "d['sandbox'] in ('wasm', 'native')"
}

@test "pull takes a local file and a file of a server" {
    export TARS_HOME=$BATS_TEST_TMPDIR/home
    capture "$TARS" pull "$TINY" --name local --json
    expect_status 0
    expect_json "d['model'] == 'local'"
    mkdir "$BATS_TEST_TMPDIR/www"
    cp "$TINY" "$BATS_TEST_TMPDIR/www/served.gguf"
    python3 -u -m http.server 0 --bind 127.0.0.1 --directory "$BATS_TEST_TMPDIR/www" \
        >"$BATS_TEST_TMPDIR/server" 2>&1 3>&- &
    server=$!
    for _ in $(seq 100); do
        port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$BATS_TEST_TMPDIR/server")
        [ -n "$port" ] && break
        sleep 0.1
    done
    capture "$TARS" pull "http://127.0.0.1:$port/served.gguf" --json
    kill "$server"
    expect_status 0
    expect_json "d['model'] == 'served'"
    capture "$TARS" pull "http://127.0.0.1:$port/none.gguf" --json
    expect_status 1
    expect_json_error network
}

@test "pull suggests a name of the catalogue" {
    fresh_home
    cp "$ROOT/models/catalogue.yaml" "$TARS_HOME/"
    capture "$TARS" pull smollm3
    [ "$status" -ne 0 ]
    expect_error "smollm2"
}

@test "list shows a table, names and JSON" {
    capture "$TARS" list
    expect_status 0
    expect_output "NAME"
    expect_output "tiny"
    capture "$TARS" list --names
    [ "$output" = tiny ]
    capture "$TARS" list --json
    expect_json "len(d['models']) == 1 and d['models'][0]['model'] == 'tiny'"
    expect_json "d['models'][0]['architecture'] == 'llama' and d['models'][0]['context_length'] == 512"
}

@test "the bash completion knows the models" {
    "$TARS" completion bash >"$BATS_TEST_TMPDIR/completion"
    found=$(bash -c 'source "$1"; PATH=$(dirname "$TARS"):$PATH; COMP_WORDS=(tars run ti); COMP_CWORD=2; _tars
        printf "%s\n" "${COMPREPLY[@]}"' bash "$BATS_TEST_TMPDIR/completion")
    [ "$found" = tiny ]
}

@test "rm removes names and suggests the nearest" {
    fresh_home
    capture "$TARS" rm tinny
    expect_status 5
    expect_error "tiny"
    capture "$TARS" rm tiny --json
    expect_status 0
    expect_json "d['removed'] == ['tiny']"
    [ -z "$(blob_of)" ] || fail "the packed file is still there"
    capture "$TARS" rm tiny
    expect_status 5
}

@test "a model is found by name, by name@digest and by path" {
    digest=$(sha256sum "$TINY" | cut -c1-12)
    for model in tiny "tiny@$digest" "$(blob_of)"; do
        capture "$TARS" tokenize "$model" hello --ids
        expect_status 0
        [ -n "$output" ]
    done
    capture "$TARS" tokenize tiny@000000000000 hello
    expect_status 5
    capture "$TARS" tokenize tinny hello
    expect_status 5
    expect_error "tiny"
}

@test "inspect shows a file and the same of its packed model" {
    capture "$TARS" inspect "$TINY" --json
    expect_status 0
    expect_json "d['format'] == 'gguf' and d['version'] == 3 and d['problems'] == []"
    expect_json "d['metadata']['general.architecture'] == 'llama' and len(d['tensors']) == 38"
    expect_json "set(d['tensors'][0]) == {'name','type','shape','bytes'}"
    first=$(json "[d['metadata'], d['tensors']]")
    capture "$TARS" inspect tiny --json
    expect_status 0
    [ "$(json "[d['metadata'], d['tensors']]")" = "$first" ]
    capture "$TARS" inspect tiny
    expect_status 0
    expect_output "38 tensors"
    expect_output "no problems found"
}

@test "inspect reads every hostile file and names the problems" {
    for file in "$ROOT"/tests/data/hostile/*.gguf; do
        name=$(basename "$file")
        capture timeout 10 "$TARS" inspect "$file" --json
        case $status in 0 | 2 | 4) ;; *) fail "$name" ;; esac
        expect_json "set(d) >= {'format','version','metadata','tensors','problems'}"
        expect_json "(d['problems'] == []) == ($status == 0)"
        capture timeout 10 "$TARS" inspect "$file"
        case $status in 0 | 2 | 4) ;; *) fail "$name" ;; esac
    done
}

@test "inspect says when there is nothing" {
    capture "$TARS" inspect "$BATS_TEST_TMPDIR/none.gguf" --json
    expect_status 5
    expect_json_error not_found
}

@test "a truncated packed file is told and not used" {
    fresh_home
    chmod u+w "$(blob_of)"
    truncate -s -4096 "$(blob_of)"
    capture "$TARS" run tiny hello --json
    expect_status 1
    expect_json_error corrupt
    capture "$TARS" list --names
    expect_status 0
}

@test "a changed packed file is told and not used" {
    fresh_home
    chmod u+w "$(blob_of)"
    size=$(stat -c %s "$(blob_of)")
    printf 'XXXX' | dd of="$(blob_of)" bs=1 seek=$((size / 2)) conv=notrunc status=none
    capture "$TARS" tokenize tiny hello
    expect_status 1
    capture "$TARS" doctor --json
    expect_status 1
    expect_json "any(c['status'] == 'fail' and 'tiny' in c['name'] for c in d['checks'])"
}

@test "an unreadable packed file is told, as a user without rights" {
    need_nobody
    fresh_home
    chmod 000 "$(blob_of)"
    chown -R 65534:65534 "$TARS_HOME"
    capture as_nobody "$TARS" tokenize tiny hello
    expect_status 5
    expect_error "ermission"
    expect_error "hint:"
}

@test "a store of another user is told, as a user without rights" {
    need_nobody
    fresh_home
    chmod 700 "$TARS_HOME"
    capture as_nobody "$TARS" list --json
    [ "$status" -ne 0 ]
    expect_json "'error' in d"
}

@test "a full disk leaves the store whole" {
    mkdir "$BATS_TEST_TMPDIR/small"
    mount -t tmpfs -o size=96k tmpfs "$BATS_TEST_TMPDIR/small" 2>/dev/null || skip "cannot mount a small file system"
    export TARS_HOME=$BATS_TEST_TMPDIR/small
    capture "$TARS" import "$TINY" --name tiny --json
    left=$(find "$TARS_HOME" -name '*.tars' | wc -l)
    capture_list=$("$TARS" list --names 2>/dev/null)
    umount "$BATS_TEST_TMPDIR/small"
    expect_status 1
    expect_json_error disk_full
    [ "$left" -eq 0 ] && [ -z "$capture_list" ] || fail "half written: $left $capture_list"
}

@test "a limit of file sizes leaves the store whole" {
    export TARS_HOME=$BATS_TEST_TMPDIR/home
    "$TARS" import "$ROOT/tests/data/models/arch/llama-mha.gguf" --name first >/dev/null
    capture bash -c 'ulimit -f 100; exec "$TARS" import "$TINY" --name second --json'
    [ "$status" -ne 0 ] && [ "$status" -lt 6 ] || fail "expected a documented exit status"
    expect_json "'error' in d"
    [ "$("$TARS" list --names)" = first ]
}
