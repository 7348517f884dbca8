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
import json
import os
import pathlib
import re
import statistics
import sys

from shared import HERE, MODEL_NAME, ROOT, Tars, cache_folder, cell, cpu_facts, fetch_model, merge, run, say

PEER = "llama-cpp-python==0.3.36"
GENERATE_TOKENS = 128  # after a prompt of 32
PROMPT_MACS = 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536)  # a token of a long prompt
FIGURES = [  # name, unit, True when more is better
    ("prompt_512_tokens_per_second", "tokens/s", True),
    ("generation_tokens_per_second", "tokens/s", True),
    ("first_token_ms", "ms", False),
    ("ready_ms", "ms", False),
    ("private_bytes", "MB", False),
]
RATE_OF_ISA = {"avx2": "mac_i8_avx2", "avx512": "mac_i8_avx512_vnni", "amx": "mac_i8_amx"}


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


def model_files(arguments, cache, python):
    """{kind: file}; `python` is called for the interpreter when a file has to be made."""
    source = fetch_model(cache, arguments.model)
    files = {}
    for kind in arguments.models:
        files[kind] = source
        if kind != "Q4_1":
            files[kind] = source.parent / f"{MODEL_NAME}.{kind}.gguf"
            if not files[kind].exists():
                say(f"Making {files[kind].name}")
                part = files[kind].with_suffix(".part")
                run([python(), HERE / "llama_cpp_driver.py", "quantize", source, part, kind.lower()])
                part.rename(files[kind])
    return files


# ---- measuring -------------------------------------------------------------------------------


def measure_peer(python, file, threads, samples):
    text = run([python, HERE / "llama_cpp_driver.py", "measure", file, "--threads", threads,
                "--samples", samples, "--generate", GENERATE_TOKENS])
    return json.loads(text)


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
    files = model_files(arguments, cache, lambda: python)
    tars = None
    if not arguments.peer_only:
        force = [] if arguments.isa == "native" else ["--force-isa", arguments.isa]
        tars = Tars(arguments.tars, cache, GENERATE_TOKENS, force)
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
