#!/usr/bin/env python3
"""Runs one WASI program: run_wasm.py PROGRAM [ARGUMENT…].

With Wasmtime's Python package when it is there, else with Node.js; run_wasm.py --which names the
one it would take and exits 1 when there is none. The program sees the source tree and $TMPDIR.
Wasmtime compiles with the deterministic relaxed SIMD of the specification when
TARS_WASM_DETERMINISTIC is set.
"""

import importlib.util
import os
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NODE = pathlib.Path(__file__).with_suffix(".mjs")


def folders():
    return [str(ROOT)] + ([os.environ["TMPDIR"]] if os.environ.get("TMPDIR") else [])


def run_wasmtime(program, arguments):
    import wasmtime

    config = wasmtime.Config()
    config.wasm_relaxed_simd = True
    if os.environ.get("TARS_WASM_DETERMINISTIC"):
        config.wasm_relaxed_simd_deterministic = True
    engine = wasmtime.Engine(config)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    wasi = wasmtime.WasiConfig()
    wasi.argv = [program] + arguments
    wasi.env = [(name, value) for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"]
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    for folder in folders():
        wasi.preopen_dir(folder, folder)
    store = wasmtime.Store(engine)
    store.set_wasi(wasi)
    module = wasmtime.Module.from_file(engine, program)
    instance = linker.instantiate(store, module)
    try:
        instance.exports(store)["_start"](store)
    except wasmtime.ExitTrap as end:
        return end.code
    return 0


def main():
    has_wasmtime = importlib.util.find_spec("wasmtime") is not None
    node = shutil.which("node")
    if sys.argv[1:] == ["--which"]:
        print("Wasmtime" if has_wasmtime else "Node.js" if node else "nothing")
        return 0 if has_wasmtime or node else 1
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if has_wasmtime and not os.environ.get("TARS_WASM_NODE"):
        return run_wasmtime(sys.argv[1], sys.argv[2:])
    if not node:
        print("run_wasm.py: neither Wasmtime for Python nor Node.js is here", file=sys.stderr)
        return 1
    os.execv(node, [node, "--no-warnings", str(NODE)] + sys.argv[1:])


sys.exit(main())
