#!/usr/bin/env python3
"""Compares two real models with other engines: token ids, first tokens, perplexity, embeddings;
and with itself: equal logits_hash for every instruction set and number of threads, receipts.

The models lie in $TARS_TEST_MODELS (tools/fetch_models.py puts them there); without them every
test is skipped. Prints the closing line that tests/run reads.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from script_tests import Skip, run_tests

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests/data/golden"
TARS = os.environ.get("TARS") or str(ROOT / "build/tars")
MODELS = pathlib.Path(os.environ.get("TARS_TEST_MODELS", "/nonexistent"))
SMOLLM2 = MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf"
MINILM = MODELS / "all-MiniLM-L6-v2"
GPL3 = pathlib.Path("/usr/share/common-licenses/GPL-3")
TEXT_BYTES = 20600
EMBEDDING_TOLERANCE = 1e-5
CLEAR_MARGIN = 0.5  # of logits; below it the engines may differ in the first token


def golden(name):
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def tars(*words, text=None, expect=0):
    """The JSON document of a verb."""
    command = [TARS, *map(str, words), "--json"]
    result = subprocess.run(command, input=text, capture_output=True, timeout=300)
    assert result.returncode == expect, (
        f"{' '.join(command)}: exit status {result.returncode}\n{result.stdout.decode()}"
        f"{result.stderr.decode()[-2000:]}"
    )
    return json.loads(result.stdout)


def need(path):
    if not path.exists():
        raise Skip(f"no {path.name} in {MODELS}: tools/fetch_models.py fetches it")


def test_import_smollm2():
    need(SMOLLM2)
    found = tars("import", SMOLLM2, "--name", "smollm2")
    expected = golden("smollm2-reference.json")["sha256"]
    assert found["sha256"] == expected, f"sha256 {found['sha256']}, expected {expected}"


def test_import_minilm():
    need(MINILM)
    tars("import", MINILM, "--name", "all-minilm")


def places():
    """Where models can be computed here: native first."""
    found = ["native"]
    for place in ("wasm", "microvm"):
        command = [TARS, "tokenize", "smollm2", "a", "--runtime", place]
        if subprocess.run(command, capture_output=True).returncode == 0:
            found.append(place)
    return found


def import_in(place, path):
    """The digest of the packed file, or None where imports are not read in that place."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "TARS_HOME": home}
        command = [TARS, "import", path, "--name", "x", "--in", place, "--json"]
        result = subprocess.run(command, capture_output=True, timeout=300, env=environment)
        if place != "native" and result.returncode == 5:
            return None
        assert result.returncode == 0, f"{place}: {result.stderr.decode()}"
        found = json.loads(result.stdout)
        assert found["sandbox"] == place
        return found["packed_sha256"]


def test_import_in_guest():
    need(SMOLLM2)
    need(MINILM)
    for path in (SMOLLM2, MINILM):
        digests = {place: import_in(place, path) for place in ("native", "wasm", "microvm")}
        seen = {place: digest for place, digest in digests.items() if digest}
        if len(seen) == 1:
            raise Skip("no guests here")
        assert len(set(seen.values())) == 1, f"{path.name}: {digests}"
        print(f"    {path.name} equal: {' '.join(seen)}")


def test_token_ids():
    need(SMOLLM2)
    here = places()
    for item in golden("smollm2-tokens.json")["items"]:
        options = ["--special"] if item["parse_special"] else []
        for place in here:
            options_here = [*options, "--runtime", place]
            found = tars("tokenize", "smollm2", "-", *options_here, text=item["text"].encode())["ids"]
            assert found == item["ids"], f"{place}, {item['text']!r}: {found}, expected {item['ids']}"


def test_first_tokens():
    need(SMOLLM2)
    for item in golden("smollm2-reference.json")["prompts"]:
        found = tars("run", "smollm2", item["prompt"], "--raw", "--temperature", "0", "--max-tokens", "1")
        assert found["prompt_tokens"] == item["prompt_ids"], f"prompt ids {found['prompt_tokens']}"
        (first, logit), (_, second) = item["quantised"]["top5"][:2]
        if logit - second > CLEAR_MARGIN:
            assert found["tokens"][:1] == [first], f"{item['prompt']!r}: {found['tokens']}, expected {first}"


def test_equal_bits():
    need(SMOLLM2)
    words = ["run", "smollm2", "The capital of France is", "--raw", "--temperature", "0", "--max-tokens", "8"]
    expected, seen = None, []
    for isa in ("scalar", "avx2", "avx512", "amx", "neon"):
        for threads in ("1", "2", "3"):
            command = [TARS, *words, "--force-isa", isa, "--threads", threads, "--json"]
            result = subprocess.run(command, capture_output=True, timeout=300)
            if result.returncode == 5:
                break  # not on this CPU
            assert result.returncode == 0, f"{isa}, {threads}: {result.stdout.decode()}"
            found = json.loads(result.stdout)["logits_hash"]
            expected = expected or found
            assert found == expected, f"{isa}, {threads} threads: {found}, expected {expected}"
            seen.append(f"{isa}×{threads}")
    for isa in ("", "wasm", "wasm_simd128", "scalar"):  # a fresh guest each
        command = [TARS, *words, "--runtime", "wasm", "--json"] + (["--force-isa", isa] if isa else [])
        result = subprocess.run(command, capture_output=True, timeout=300)
        if result.returncode in (2, 5):
            continue  # no such runtime in this build, or no such kernels in the guest
        assert result.returncode == 0, f"wasm, {isa}: {result.stdout.decode()}"
        found = json.loads(result.stdout)
        assert found["logits_hash"] == expected, f"wasm, {isa}: {found['logits_hash']}, expected {expected}"
        assert found["runtime"] == "wasm", found["runtime"]
        seen.append(f"wasm:{found['isa']}")
    for isa in ("scalar", "avx2", "avx512"):
        for threads in ("1", "2", "3"):
            command = [TARS, *words, "--runtime", "microvm", "--force-isa", isa, "--threads", threads, "--json"]
            result = subprocess.run(command, capture_output=True, timeout=300)
            if result.returncode == 5:
                break  # no machines here, or not on this CPU
            assert result.returncode == 0, f"microvm, {isa}: {result.stdout.decode()}"
            found = json.loads(result.stdout)
            where = (found["runtime"], found["isa"])
            assert where == ("microvm", isa), f"{where}, expected microvm with {isa}"
            assert found["logits_hash"] == expected, f"{where}: {found['logits_hash']}, expected {expected}"
            seen.append(f"microvm:{isa}×{threads}")
    assert len(seen) >= 3, f"only {seen} ran"
    print(f"    equal: {' '.join(seen)}")


def test_perplexity():
    need(SMOLLM2)
    need(GPL3)
    reference = golden("smollm2-reference.json")["perplexity"]
    low, high = (float(word) for word in reference["accept"].split(" to "))
    with tempfile.NamedTemporaryFile() as file:
        file.write(GPL3.read_bytes()[:TEXT_BYTES])
        file.flush()
        found = tars("perplexity", "smollm2", file.name, "--context", "512")
    assert low <= found["perplexity"] <= high, f"{found['perplexity']}, expected {low} to {high}"
    assert found["tokens_scored"] == 2040 and found["windows"] == 8, f"{found}"
    print(f"    perplexity {found['perplexity']:.3f}, llama.cpp {reference['q4_1_quantised']}")


def test_embeddings():
    need(MINILM)
    worst, here = 0.0, places()
    for item in golden("minilm-embeddings.json")["items"]:
        text = item["text"].encode()
        found = tars("tokenize", "all-minilm", "-", text=text)["ids"]
        assert found[: len(item["ids"])] == item["ids"] or len(found) > 256, (
            f"{item['text']!r}: {found}, expected {item['ids']}"
        )
        vector = tars("embed", "all-minilm", "-", text=text)["embeddings"][0]
        for place in here[1:]:
            guest = tars("embed", "all-minilm", "-", "--runtime", place, text=text)["embeddings"][0]
            assert guest == vector, f"{item['text']!r}: other numbers in {place}"
        assert len(vector) == len(item["embedding"])
        worst = max([worst] + [abs(a - b) for a, b in zip(vector, item["embedding"])])
    assert worst <= EMBEDDING_TOLERANCE, f"differs by {worst}, at most {EMBEDDING_TOLERANCE}"
    print(f"    largest difference {worst:.2e}")


def test_receipt():
    need(SMOLLM2)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "receipt.json")
        tars("run", "smollm2", "Name a colour.", "--max-tokens", "12", "--receipt", path)
        assert tars("verify", path)["match"] is True
        receipt = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        receipt["tokens"][3] += 1
        pathlib.Path(path).write_text(json.dumps(receipt), encoding="utf-8")
        assert tars("verify", path, expect=1)["match"] is False


TESTS = [
    test_import_smollm2, test_import_minilm, test_import_in_guest, test_token_ids, test_first_tokens, test_equal_bits,
    test_perplexity, test_embeddings, test_receipt,
]


def main():
    with tempfile.TemporaryDirectory() as home:
        os.environ["TARS_HOME"] = home
        return run_tests(TESTS)


if __name__ == "__main__":
    sys.exit(main())
