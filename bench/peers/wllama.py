#!/usr/bin/env python3
"""Runs tars in its runtime wasm and wllama interleaved on the same files and prints their ratios.

  wllama.py [--rounds N] [--samples N] [--prompt N] [--generate N] [--models Q4_1,Q4_0,Q8_0]
            [--model FILE] [--node FILE] [--tars FILE] [--peer-only] [--output FILE]

The peer is the npm package @wllama/wllama, llama.cpp compiled to WebAssembly with SIMD, run by node
(version 20 or later) through wllama.mjs. It is 2.3.1, whose engine multiplies with the instruction
i32x4.dot_i16x8_s; those of 2.3.3, 2.3.7, 2.4.0 and 3.13.0 hold none of them, and 2.3.7 takes about
twice the time. Both programs have one thread and the files of llama_cpp.py, whose peer makes Q4_0
and Q8_0 where they are not there yet. Each round measures, for each file, first wllama and then
tars; the table gives the median over all rounds (best in brackets). The peer's clock counts the
evaluation of tokens alone, tars's also the choice of each next token. Everything is kept below the
cache folder. Exit status 5 when the peer cannot be had or does not run; then the reason is printed.
"""

import argparse
import base64
import hashlib
import io
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile

import llama_cpp
from shared import HERE, ROOT, Tars, cache_folder, cell, cpu_facts, merge, say

PACKAGE = "@wllama/wllama"
VERSION = "2.3.1"
INTEGRITY = "sha512-4PxA9YwynAc/GfYV2NoHZexT0pOdmQiPqRxTjf5rIE/JZly0vWE3uLofRLw5Ehuz5E/RwruQm5z7/wBykFObUQ=="
MEMBERS = ("package.json", "LICENCE", "esm/index.js", "esm/single-thread/wllama.wasm")
NODE_MAJOR = 20  # the first whose files can be opened as a Blob
TIMEOUT_S = 3600


def unavailable(reason):
    print(f"unavailable: {reason}")
    sys.exit(5)


def output_of(command):
    """Standard output; what cannot be run or fails makes the peer unavailable."""
    try:
        result = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                                timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        unavailable(error)
    if result.returncode != 0:
        unavailable(f"{command[0]} failed ({result.returncode}): {result.stderr.strip()[-2000:]}")
    return result.stdout


# ---- the peer --------------------------------------------------------------------------------


def check_node(node):
    found = shutil.which(node)
    if not found:
        unavailable(f"{node} is not there; node {NODE_MAJOR} or later runs the peer")
    version = output_of([found, "--version"]).strip()
    if int(version.lstrip("v").split(".")[0]) < NODE_MAJOR:
        unavailable(f"{found} is {version}, node {NODE_MAJOR} or later is needed")
    return found


def fetch_package(cache):
    """The folder of the package; its archive is fetched by npm once and checked before it is read."""
    folder = cache / "wllama" / VERSION
    if (folder / "complete").exists():
        return folder
    npm = shutil.which("npm")
    if not npm:
        unavailable("npm is not there; it fetches the peer")
    say(f"Fetching {PACKAGE} {VERSION}")
    with tempfile.TemporaryDirectory() as place:
        output_of([npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--pack-destination", place])
        content = next(pathlib.Path(place).glob("*.tgz")).read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != INTEGRITY:
        unavailable(f"{PACKAGE} {VERSION} has integrity {found}, expected {INTEGRITY}")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in MEMBERS:
            target = folder / member
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.extractfile(f"package/{member}").read())
    (folder / "complete").touch()
    return folder


# ---- measuring -------------------------------------------------------------------------------


def measure_all(arguments, node, package, files, tars):
    """({kind: {"peer": {name: [values]}, "tars": {…}}}, what the peer says of itself)"""
    everything, peer = {}, {}
    for turn in range(arguments.rounds):
        for kind, file in files.items():
            say(f"round {turn + 1} of {arguments.rounds}: {kind}")
            row = everything.setdefault(kind, {"peer": {}, "tars": {}})
            peer = json.loads(output_of(
                [node, HERE / "wllama.mjs", package, file, "--prompt", arguments.prompt,
                 "--generate", arguments.generate, "--samples", arguments.samples]))
            merge(row["peer"], peer.pop("figures"))
            if tars:
                merge(row["tars"], tars.bench(kind, 1, arguments.samples))
    return everything, peer


def print_table(everything, names):
    print(f"{'':18}{'tars median (best)':>18} {'peer median (best)':>18}  ratio")
    for name in names:
        print(f"{name} [tokens/s]")
        for kind, row in everything.items():
            ours, theirs = row["tars"].get(name, []), row["peer"][name]
            ratio = f"{statistics.median(ours) / statistics.median(theirs):6.2f}" if ours else ""
            print(f"  {kind:16}{cell(ours, True, 1)} {cell(theirs, True, 1)} {ratio}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=3, help="of each figure in a round")
    parser.add_argument("--prompt", type=int, default=512, help="tokens of the long prompt")
    parser.add_argument("--generate", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--models", default="Q4_1,Q4_0,Q8_0", type=lambda t: t.split(","))
    parser.add_argument("--model", type=pathlib.Path, help="another Q4_1 file")
    parser.add_argument("--venv", type=pathlib.Path, help="environment that holds the quantiser already")
    parser.add_argument("--node", default="node", help="the program node")
    parser.add_argument("--tars", type=pathlib.Path, default=ROOT / "build" / "tars")
    parser.add_argument("--peer-only", action="store_true", help="measure the peer alone")
    parser.add_argument("--output", type=pathlib.Path, help="JSON file (default: in the cache folder)")
    parser.set_defaults(isa="native")  # for the quantiser
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    cache = cache_folder()
    cpu, cpu_flags = cpu_facts()
    node = check_node(arguments.node)
    package = fetch_package(cache)
    files = llama_cpp.model_files(
        arguments, cache, lambda: llama_cpp.peer_python(arguments, cache, cpu_flags))
    tars = None
    if not arguments.peer_only:
        tars = Tars(arguments.tars, cache, arguments.generate,
                    ["--runtime", "wasm", "--prompt", arguments.prompt])
        tars.import_files(files)
    everything, peer = measure_all(arguments, node, package, files, tars)
    print(f"{cpu}; one thread; peer {PACKAGE} {VERSION}, node {peer['node']}")
    print_table(everything,
                [f"prompt_{arguments.prompt}_tokens_per_second", "generation_tokens_per_second"])
    output = arguments.output or cache / "wllama.json"
    output.write_text(json.dumps({
        "machine": {"cpu": cpu},
        "peer": {"package": PACKAGE, "version": VERSION, "integrity": INTEGRITY, **peer},
        "results": [{"model": kind, "threads": 1, **row} for kind, row in everything.items()],
    }, indent=1))
    say(f"Written: {output}")


if __name__ == "__main__":
    main()
