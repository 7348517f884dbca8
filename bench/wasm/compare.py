#!/usr/bin/env python3
"""Matrix products on WebAssembly against a native table of this machine, interleaved.

  compare.py [--native TABLE] [--tables NAMES] [--types NAMES] [--rounds N] [--case NAMES]

Builds bench/wasm/products.c twice (presets release and wasm), runs one after the other N times and
prints the medians: native speed, and each guest table's speed as a ratio to it. `stream` reads
64 MiB of weights with one token, `cached` a matrix that fits the second cache, `prompt` is the
cached one with 64 tokens. Needs clang-19, wasi-libc and Wasmtime for Python.
"""

import argparse
import ctypes
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCES = ["src/engine", "src/engine/kernels", "src/base"]
BITS = {"Q4_0": 4.5, "Q4_1": 5, "Q8_0": 8.5, "Q4_K": 4.6, "Q6_K": 6.6, "F16": 16, "F32": 32}


def build(preset, build_folder, compiler, output):
    subprocess.run(["cmake", "--preset", preset], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(
        ["cmake", "--build", build_folder, "--target", "tars_base", "tars_engine"],
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
    )
    objects = []
    for part in ("tars_base", "tars_engine"):
        objects += sorted((ROOT / build_folder / "CMakeFiles" / f"{part}.dir").rglob("*.o*"))
    objects = [str(path) for path in objects if path.suffix in (".o", ".obj")]
    subprocess.run(
        compiler + ["-std=c17", "-O2", "-D_GNU_SOURCE", "-Iinclude", "-Isrc",
                    "bench/wasm/products.c", "-o", str(output)] + objects,
        cwd=ROOT, check=True,
    )


def forbid_huge_pages():
    """A model is mapped from a file, in small pages; anonymous memory may get huge ones, and not
    equally often on both sides."""
    PR_SET_THP_DISABLE = 41
    if ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0:
        print("compare.py: huge pages stay possible, streams may not compare", file=sys.stderr)


class Guest:
    def __init__(self, path):
        import wasmtime

        self.wasmtime = wasmtime
        self.engine = wasmtime.Engine(wasmtime.Config())
        self.module = wasmtime.Module.from_file(self.engine, str(path))

    def run(self, arguments):
        with tempfile.NamedTemporaryFile("r") as output:
            wasi = self.wasmtime.WasiConfig()
            wasi.argv = ["products"] + arguments
            wasi.stdout_file = output.name
            wasi.inherit_stderr()
            linker = self.wasmtime.Linker(self.engine)
            linker.define_wasi()
            store = self.wasmtime.Store(self.engine)
            store.set_wasi(wasi)
            try:
                linker.instantiate(store, self.module).exports(store)["_start"](store)
            except self.wasmtime.ExitTrap as end:
                if end.code:
                    sys.exit(end.code)
            return float(output.read())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--native", default="avx2")
    parser.add_argument("--tables", default="wasm,wasm_simd128")
    parser.add_argument("--types", default="Q4_0,Q4_1,Q8_0")
    parser.add_argument("--cases", default="stream,cached,prompt")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    tables = options.tables.split(",")
    forbid_huge_pages()
    with tempfile.TemporaryDirectory() as folder:
        native = pathlib.Path(folder) / "products"
        guest_path = pathlib.Path(folder) / "products.wasm"
        build("release", "build", ["cc"], native)
        build("wasm", "build/wasm",
              ["clang-19", "--target=wasm32-wasi", "-mno-bulk-memory", "-mno-reference-types"],
              guest_path)
        guest = Guest(guest_path)
        print(f"{'type':6}{'K':>6} {'case':8}{options.native + ' us':>12}" +
              "".join(f"{name:>15}" for name in tables))
        for name in options.types.split(","):
            for columns in (576, 1536):
                for case in options.cases.split(","):
                    cached = 512 * 1024 / (columns * BITS[name] / 8)
                    rows = 64 * 2**20 / (columns * BITS[name] / 8) if case == "stream" else cached
                    arguments = [name, str(columns), str(int(rows) // 16 * 16),
                                 "64" if case == "prompt" else "1", "60"]
                    native_ns, ratios = [], {table: [] for table in tables}
                    for _ in range(options.rounds):
                        before = float(subprocess.run(
                            [str(native), options.native] + arguments,
                            check=True, capture_output=True).stdout)
                        native_ns.append(before)
                        for table in tables:
                            ratios[table].append(before / guest.run([table] + arguments))
                    print(f"{name:6}{columns:6} {case:8}"
                          f"{statistics.median(native_ns) / 1000:12.1f}" +
                          "".join(f"{statistics.median(ratios[t]):15.2f}" for t in tables),
                          flush=True)


if __name__ == "__main__":
    os.environ.setdefault("CMAKE_COLOR_DIAGNOSTICS", "OFF")
    main()
