#!/usr/bin/env bats
# Receipts: what `run` writes, `verify` recomputes.
# shellcheck disable=SC2016,SC2030,SC2031
load helper

setup_file() {
    import_tiny
    export RECEIPT=$BATS_FILE_TMPDIR/receipt.json
    "$TARS" -q run tiny "The capital of France" --max-tokens 12 --seed 9 --receipt "$RECEIPT" >/dev/null
}

# edit EXPRESSION: a copy of the receipt after the Python statement, over `d`.
edit() {
    python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
exec(sys.argv[3])
json.dump(d, open(sys.argv[2], "w"), separators=(",", ":"), sort_keys=True, ensure_ascii=False)' \
        "$RECEIPT" "$BATS_TEST_TMPDIR/edited.json" "$1"
}

# forge EXPRESSION: the same, signed again with the store's own key, as a dishonest owner would.
forge() {
    python3 - "$RECEIPT" "$BATS_TEST_TMPDIR/edited.json" "$1" "$TARS_HOME/keys/signing.key" <<'PYTHON'
import base64, hashlib, json, os, subprocess, sys, tempfile
source, target, change, key = sys.argv[1:]
d = json.load(open(source))
exec(change)
digests = d.get("digests")
if digests is not None:
    raw = b"".join(bytes.fromhex(x) for x in digests)
    d["logits_hash"] = hashlib.sha256(raw).hexdigest()
old = d.pop("signature")
text = json.dumps(d, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
with tempfile.TemporaryDirectory() as folder:
    message = os.path.join(folder, "m")
    open(message, "wb").write(text)
    signature = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", message],
                               check=True, capture_output=True).stdout
d["signature"] = signature.hex() if all(c in "0123456789abcdef" for c in old) else base64.b64encode(signature).decode()
open(target, "w").write(json.dumps(d, separators=(",", ":"), sort_keys=True, ensure_ascii=False))
PYTHON
}

@test "a receipt matches, with other threads and instructions too" {
    for words in "" "--threads 1" "--threads 3" "--force-isa scalar" "--model tiny"; do
        # shellcheck disable=SC2086 # words are meant to be split
        capture "$TARS" verify "$RECEIPT" $words --json
        expect_status 0
        expect_json "d['match'] is True and d['first_difference'] is None and d['reason'] == ''"
    done
    capture "$TARS" verify "$RECEIPT"
    expect_output "match: "
}

@test "a receipt holds what the interface says" {
    capture cat "$RECEIPT"
    expect_json "len(d['logits_hash']) == 64 and len(d['signature']) > 60"
    expect_json "'tars' not in d or True"
}

@test "the key is made at first use and only its owner can read it" {
    [ "$(stat -c %a "$TARS_HOME/keys/signing.key")" = 600 ]
}

@test "a changed receipt does not match" {
    edit 'd["seed" if "seed" in d else "created_unix_s"] = 1'
    capture "$TARS" verify "$BATS_TEST_TMPDIR/edited.json" --json
    expect_status 1
    expect_json "d['match'] is False and d['reason'] != ''"
}

@test "a forged digest is found at its token" {
    command -v openssl >/dev/null || skip "no openssl program"
    forge 'd["digests"][4] = "00" * 32' || skip "the receipt cannot be forged from outside"
    capture "$TARS" verify "$BATS_TEST_TMPDIR/edited.json" --json
    expect_status 1
    expect_json "d['match'] is False and d['first_difference'] == 4"
}

@test "a forged token is found, the last one too" {
    command -v openssl >/dev/null || skip "no openssl program"
    forge 'd["tokens"][-1] = (d["tokens"][-1] + 1) % 499' || skip "the receipt cannot be forged from outside"
    capture "$TARS" verify "$BATS_TEST_TMPDIR/edited.json" --json
    expect_status 1
    expect_json "d['match'] is False and isinstance(d['first_difference'], int)"
}

@test "another arithmetic version is named" {
    command -v openssl >/dev/null || skip "no openssl program"
    forge 'd["arithmetic_version"] = 99' || skip "the receipt cannot be forged from outside"
    capture "$TARS" verify "$BATS_TEST_TMPDIR/edited.json"
    expect_status 1
    expect_output "arithmetic version 99"
}

@test "without the model it says which one is missing" {
    TARS_HOME=$BATS_TEST_TMPDIR/empty capture "$TARS" verify "$RECEIPT" --json
    expect_status 5
    expect_json_error not_found
    expect_json "'tiny' in d['error']['where']"
}

@test "what is no receipt is told" {
    echo '{}' >"$BATS_TEST_TMPDIR/empty.json"
    capture "$TARS" verify "$BATS_TEST_TMPDIR/empty.json"
    expect_status 2
    capture "$TARS" verify "$BATS_TEST_TMPDIR/none.json"
    expect_status 5
    capture "$TARS" verify "$TINY" --json
    expect_status 2
    expect_json_error malformed
}

@test "a receipt that cannot be written is an error" {
    capture "$TARS" run tiny hello --max-tokens 2 --receipt "$BATS_TEST_TMPDIR/none/receipt.json"
    expect_status 5
}
