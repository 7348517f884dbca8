#!/usr/bin/env bats
# tars audit, and what the other verbs record.
# shellcheck disable=SC2030,SC2031,SC2154
load helper

setup_file() {
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" 2>/dev/null || true
    local source=$BATS_TEST_DIRNAME/../data/sandbox/guest.c
    cc -O1 -pthread -static -o "$BATS_FILE_TMPDIR/guest" "$source" 2>/dev/null || true
}

setup() {
    export TARS_HOME=$BATS_TEST_TMPDIR/home XDG_CONFIG_HOME=$BATS_TEST_TMPDIR/xdg
    unset TARS_CONFIG_DIR TARS_ENVIRONMENT TARS_LOG_LEVEL
    GUEST=$BATS_FILE_TMPDIR/guest
    LOG=$TARS_HOME/audit/audit-000001.log
}

need_guest() {
    [ "$(uname)" = Linux ] || skip "process sandboxes are Linux's"
    [ -x "$GUEST" ] || skip "no compiler here that makes static programs"
}

# deny [SETTING…]: a run that the configuration refuses; two records.
deny() {
    capture "$TARS" exec --runtime native --set deployment.security.maximum.isolation=microvm "$@" \
        /bin/true
}

verify() {
    capture "$TARS" audit verify --json "$@"
}

# records EXPRESSION: of the log's lines `r`.
records() {
    python3 -c '
import json, sys
r = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
print(json.dumps(eval(sys.argv[2])))' "$LOG" "$1"
}

expect_records() {
    [ "$(records "bool($1)")" = true ] || fail "expected of the records: $1" "$(cat "$LOG")"
}

@test "without a log there is none to verify" {
    verify
    expect_status 5
    expect_json_error not_found
    [ ! -e "$TARS_HOME" ]
}

@test "a denial is recorded with the configuration that led to it" {
    deny
    expect_status 3
    expect_records "[x['kind'] for x in r] == ['log.started', 'key.created', 'configuration.changed', 'security.denied']"
    expect_records "r[3]['subject'] == '/bin/true' and r[3]['runtime'] == 'native' and r[3]['action'] == 'blocked'"
    expect_records "r[2]['attributes']['set'] == 'deployment.security.maximum.isolation'"
    deny
    expect_records "len(r) == 5"
    verify
    expect_status 0
    expect_json "d['valid'] and d['records'] == 5 and d['first_bad'] is None and d['signed_to'] == 5"
    capture "$TARS" audit verify
    expect_output "valid: 5 records"
}

@test "violations of a program are recorded" {
    need_guest
    capture "$TARS" exec --json --profile strict "$GUEST" socket
    [ "$status" -ne 5 ] || skip "no process sandbox here: $errors"
    expect_json "any(v['name'] == 'socket' for v in d['violations'])"
    expect_records "any(x['kind'] == 'security.syscall' and x['attributes']['name'] == 'socket' and x['profile'] == 'strict' for x in r)"
    capture "$TARS" exec --json --timeout 100ms "$GUEST" loop
    if [ "$status" -eq 4 ]; then
        expect_records "any(x['kind'] == 'security.limit' and x['action'] == 'killed' for x in r)"
    fi
    capture "$TARS" audit verify
    expect_status 0
}

@test "imports, removals and receipts are recorded" {
    "$TARS" --quiet import "$TINY" --name tiny >/dev/null
    capture "$TARS" run tiny hello --max-tokens 2 --temperature 0 --receipt "$BATS_TEST_TMPDIR/r.json"
    expect_status 0
    capture "$TARS" verify "$BATS_TEST_TMPDIR/r.json"
    expect_status 0
    python3 -c 'import json, sys; r = json.load(sys.stdin); r["signature"] = "0" * 128; print(json.dumps(r, sort_keys=True))' \
        <"$BATS_TEST_TMPDIR/r.json" >"$BATS_TEST_TMPDIR/s.json"
    capture "$TARS" verify "$BATS_TEST_TMPDIR/s.json"
    expect_status 1
    capture "$TARS" import "$TINY" --name other --sha256 "$(printf '0%.0s' {1..64})"
    if [ "$status" -eq 1 ]; then
        expect_records "any(x['kind'] == 'security.tamper' for x in r)"
    fi
    capture "$TARS" rm tiny
    expect_records "any(x['kind'] == 'model.imported' and x['subject'] == 'tiny' and len(x['attributes']['sha256']) == 64 for x in r)"
    expect_records "any(x['kind'] == 'key.used' and x['attributes']['purpose'] == 'receipt' for x in r)"
    expect_records "any(x['kind'] == 'security.signature' for x in r)"
    expect_records "r[-1]['kind'] == 'model.removed' and r[-1]['subject'] == 'tiny'"
    verify
    expect_status 0
}

@test "what was changed is named" {
    deny
    deny
    cp "$LOG" "$BATS_TEST_TMPDIR/copy"
    sed -i '4s/native/niavte/' "$LOG"
    verify
    expect_status 1
    expect_json "not d['valid'] and d['first_bad'] == 4 and d['line'] == 4 and d['file'] == 'audit-000001.log'"
    capture "$TARS" audit verify
    expect_status 1
    expect_output "not valid: record 4 (audit-000001.log, line 4"
    capture "$TARS" audit show --json
    expect_status 1
    expect_json "not d['valid'] and [x['sequence'] for x in d['records']] == [1, 2, 3]"
    sed -i 2d "$LOG"
    verify
    expect_json "d['first_bad'] == 2 and 'missing' in d['reason']"
    head -n 3 "$BATS_TEST_TMPDIR/copy" >"$LOG"
    verify
    expect_json "d['first_bad'] == 4 and 'missing' in d['reason']"
    cp "$BATS_TEST_TMPDIR/copy" "$LOG"
    rm "$TARS_HOME/audit/head"
    verify
    expect_status 1
    expect_json "d['file'] == 'head'"
}

@test "a log that was put back is found by what was kept" {
    deny
    cp -a "$TARS_HOME/audit" "$BATS_TEST_TMPDIR/old"
    deny
    capture "$TARS" audit verify
    local kept=${output##*signed by key}
    kept=$(tail -n 1 <<<"$kept")
    verify --expect "$kept"
    expect_status 0
    rm -r "$TARS_HOME/audit"
    cp -a "$BATS_TEST_TMPDIR/old" "$TARS_HOME/audit"
    verify
    expect_status 0
    verify --expect "$kept"
    expect_status 1
    expect_json "d['first_bad'] == 5"
    verify --expect 5
    expect_status 2
}

@test "a log is proven elsewhere with the public key" {
    command -v openssl >/dev/null || skip "no openssl here"
    deny
    openssl pkey -in "$TARS_HOME/keys/signing.key" -pubout -out "$BATS_TEST_TMPDIR/public.pem"
    mv "$TARS_HOME/audit" "$BATS_TEST_TMPDIR/elsewhere"
    rm -r "$TARS_HOME"
    verify "$BATS_TEST_TMPDIR/elsewhere"
    expect_status 5
    verify --key "$BATS_TEST_TMPDIR/public.pem" "$BATS_TEST_TMPDIR/elsewhere"
    expect_status 0
    verify --key "$BATS_TEST_TMPDIR/public.pem" "$BATS_TEST_TMPDIR/elsewhere/audit-000001.log"
    expect_json "d['valid'] and d['records'] == 4"
    verify --key "$BATS_TEST_DIRNAME/helper.bash" "$BATS_TEST_TMPDIR/elsewhere"
    expect_json_error malformed
    [ ! -e "$TARS_HOME" ]
}

@test "show chooses by kind, severity, time and number" {
    deny
    capture "$TARS" audit show --json --kind security
    expect_json "[x['kind'] for x in d['records']] == ['security.denied'] and d['valid']"
    capture "$TARS" audit show --json --severity warning
    expect_json "all(x['severity'] != 'info' for x in d['records']) and len(d['records']) == 3"
    capture "$TARS" audit show --json --last 1
    expect_json "[x['sequence'] for x in d['records']] == [4]"
    capture "$TARS" audit show --json --until 2020-01-01
    expect_json "d['records'] == []"
    capture "$TARS" audit show --json --since 2020-01-01T00:00
    expect_json "len(d['records']) == 4"
    capture "$TARS" audit show
    expect_output "security.denied  blocked  /bin/true"
    capture "$TARS" audit show --since yesterday
    expect_status 2
    capture "$TARS" audit verify --kind security
    expect_status 2
    capture "$TARS" audit shwo
    expect_status 2
    expect_error 'did you mean "show"?'
}

@test "what a program is called cannot drive a terminal or forge a record" {
    local name
    name=$BATS_TEST_TMPDIR/$'a\e[2J\n{"sequence":9}'
    capture "$TARS" exec --set deployment.security.maximum.isolation=microvm "$name"
    expect_status 3
    [ "$(wc -l <"$LOG")" -eq 4 ]
    expect_records "r[3]['subject'].endswith('a\x1b[2J\n{\"sequence\":9}')"
    verify
    expect_status 0
    capture "$TARS" audit show
    [[ $output != *$'\e'* ]] || fail "an escape came through"
}

@test "secrets are left out" {
    capture "$TARS" pull "http://me:planted@127.0.0.1:1/f.gguf?token=planted"
    deny --set "deployment.audit.on_failure=refuse"
    capture "$TARS" pull "http://me:planted@example.com/f.gguf?token=planted"
    expect_status 3
    ! grep -r planted "$TARS_HOME/audit" || fail "a secret was recorded"
    expect_records "any('[redacted]@example.com' in x['subject'] for x in r)"
    capture "$TARS" pull "http://example.com/f.gguf?pin=1234" \
        --set 'deployment.tracing.redact=["pin"]'
    ! grep -r 1234 "$TARS_HOME/audit"/*.log | grep pin= || fail "a secret was recorded"
}

@test "a log can be switched off, and lie elsewhere" {
    deny --set deployment.audit.enabled=false
    expect_status 3
    [ ! -e "$TARS_HOME/audit" ]
    deny
    deny --set deployment.audit.enabled=false
    expect_records "r[-1]['kind'] == 'configuration.changed' and 'deployment.audit.enabled' in r[-1]['attributes']['set']"
    rm -r "$TARS_HOME/audit"
    deny --set deployment.audit.folder="$BATS_TEST_TMPDIR/place"
    [ -s "$BATS_TEST_TMPDIR/place/audit-000001.log" ]
    [ ! -e "$TARS_HOME/audit" ]
    verify --set deployment.audit.folder="$BATS_TEST_TMPDIR/place"
    expect_status 0
}

@test "files are ended when they are full, and kept as configured" {
    local setting=(--set deployment.audit.rotate_mb=64KiB --set deployment.audit.keep=1
        --set deployment.audit.checkpoint_records=1)
    deny "${setting[@]}"
    for _ in 1 2 3; do # a full file each time
        python3 - "$TARS" "${setting[@]}" <<'PY'
import subprocess, sys
name = "x" * 4000
for i in range(16):
    subprocess.run([sys.argv[1], "exec", "--set", "deployment.security.maximum.isolation=microvm",
                    *sys.argv[2:], name], stderr=subprocess.DEVNULL)
PY
    done
    verify
    expect_status 0
    expect_json "d['first'] > 1 and d['valid']"
    [ ! -e "$LOG" ]
    [ "$(find "$TARS_HOME/audit" -name 'audit-*.log' | wc -l)" -eq 2 ]
}

@test "what cannot be recorded is told, or refused where that is configured" {
    need_nobody
    deny
    chmod 700 "$TARS_HOME"
    mkdir "$BATS_TEST_TMPDIR/closed"
    chmod 555 "$BATS_TEST_TMPDIR/closed"
    capture as_nobody env TARS_HOME="$BATS_TEST_TMPDIR/closed" "$TARS" exec \
        --set deployment.security.maximum.isolation=microvm /bin/true
    expect_status 3
    expect_error "the audit log lacks 2 records"
    capture as_nobody env TARS_HOME="$BATS_TEST_TMPDIR/closed" "$TARS" exec --json \
        --set deployment.audit.on_failure=refuse /bin/true
    expect_json "'cannot be recorded' in d['error']['message']"
    capture as_nobody env TARS_HOME="$BATS_TEST_TMPDIR/closed" "$TARS" exec --json /bin/true
    [[ $errors != *"audit log"* ]] || fail "nothing was to be recorded"
}

@test "a full disk refuses the work where that is configured" {
    need_guest
    mkdir -p "$BATS_TEST_TMPDIR/disk"
    mount -t tmpfs -o size=32k none "$BATS_TEST_TMPDIR/disk" 2>/dev/null || skip "nothing can be mounted here"
    local folder=$BATS_TEST_TMPDIR/disk/audit
    deny --set deployment.audit.folder="$folder"
    dd if=/dev/zero of="$BATS_TEST_TMPDIR/disk/full" bs=1k 2>/dev/null || true
    local ended=0
    for _ in $(seq 40); do
        capture "$TARS" exec --json --set deployment.audit.folder="$folder" \
            --set deployment.audit.on_failure=refuse "$GUEST" exit 0
        [ "$status" -eq 0 ] || { ended=1 && break; }
    done
    [ "$ended" -eq 1 ] || fail "the disk was never full"
    expect_json_error disk_full
    capture "$TARS" exec --set deployment.audit.folder="$folder" "$GUEST" exit 0
    expect_error "the audit log lacks"
    expect_status 0
    verify "$folder"
    expect_status 0
    umount "$BATS_TEST_TMPDIR/disk"
}
