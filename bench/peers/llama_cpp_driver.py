#!/usr/bin/env python3
"""Measures llama.cpp inside this process through the C interface of llama-cpp-python.

Called by llama_cpp.py in the peer's own virtual environment; prints one JSON document. Only the
time inside the C calls is counted: the interpreter's start and the import of the Python package
are left out everywhere, which favours the peer in `ready_ms` and `first_token_ms`.

  llama_cpp_driver.py measure FILE.gguf --threads N [--samples K] [--generate N]
  llama_cpp_driver.py quantize IN.gguf OUT.gguf q4_0|q8_0
  llama_cpp_driver.py info
"""

import argparse
import ctypes
import glob
import importlib.util
import json
import os
import sys
import time

sys.path.pop(0)  # llama_cpp.py beside this file is not the package of that name

PROMPT_TOKENS = 512
SHORT_PROMPT_TOKENS = 32
CONTEXT_TOKENS = 1024
FILE_TYPES = {"q4_0": 2, "q4_1": 3, "q8_0": 7}  # llama_ftype


def private_bytes():
    """Memory that no other process could share: dirty private pages."""
    total = 0
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith(("Private_Dirty:", "Private_Hugetlb:")):
                total += int(line.split()[1]) * 1024
    return total


def load_library():
    """Loads the shared libraries; returns the module and the milliseconds that loading them took."""
    for name in ("numpy", "jinja2", "diskcache"):  # what the package imports besides
        __import__(name)
    folder = os.path.join(os.path.dirname(importlib.util.find_spec("llama_cpp").origin), "lib")
    start = time.perf_counter()
    ctypes.CDLL(glob.glob(os.path.join(folder, "libllama.so"))[0], mode=ctypes.RTLD_GLOBAL)
    load_ms = (time.perf_counter() - start) * 1e3
    import llama_cpp.llama_cpp as api

    return api, load_ms


def silence(api):
    callback = api.llama_log_callback(lambda level, text, user: None)
    api.llama_log_set(callback, None)
    return callback  # must outlive every call


def open_model(api, path, threads):
    model_params = api.llama_model_default_params()
    model_params.n_gpu_layers = 0
    model = api.llama_model_load_from_file(path.encode(), model_params)
    if not model:
        sys.exit(f"llama.cpp cannot load {path}")
    context_params = api.llama_context_default_params()
    context_params.n_ctx = CONTEXT_TOKENS
    context_params.n_batch = PROMPT_TOKENS
    context_params.n_ubatch = PROMPT_TOKENS
    context_params.n_threads = threads
    context_params.n_threads_batch = threads
    context = api.llama_init_from_model(model, context_params)
    if not context:
        sys.exit("llama.cpp cannot make a context")
    return model, context


def tokens_of(count, vocabulary):
    """A fixed sequence of ordinary ids; the same arithmetic for any text."""
    state, ids = 1, []
    for _ in range(count):
        state = (1103515245 * state + 12345) % 2**31
        ids.append(100 + state % (vocabulary - 200))
    return (ctypes.c_int32 * count)(*ids)


class Timer:
    def __init__(self, api, context):
        self.api, self.context = api, context

    def clear(self):
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)

    def decode(self, array, first, count):
        """Milliseconds of one llama_decode of `count` tokens from `first` on."""
        pointer = ctypes.cast(ctypes.byref(array, 4 * first), ctypes.POINTER(ctypes.c_int32))
        batch = self.api.llama_batch_get_one(pointer, count)
        start = time.perf_counter()
        status = self.api.llama_decode(self.context, batch)
        self.api.llama_synchronize(self.context)
        elapsed = (time.perf_counter() - start) * 1e3
        if status != 0:
            sys.exit(f"llama_decode failed with {status}")
        return elapsed


def measure(arguments):
    before = private_bytes()
    api, load_ms = load_library()
    callback = silence(api)
    start = time.perf_counter()
    api.llama_backend_init()
    model, context = open_model(api, arguments.file, arguments.threads)
    ready_ms = load_ms + (time.perf_counter() - start) * 1e3
    vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))
    ids = tokens_of(PROMPT_TOKENS + arguments.generate, vocabulary)
    timer = Timer(api, context)
    first_ms = ready_ms + timer.decode(ids, 0, SHORT_PROMPT_TOKENS)
    prompt, generation = [], []
    for _ in range(arguments.samples):
        timer.clear()
        prompt.append(PROMPT_TOKENS / timer.decode(ids, 0, PROMPT_TOKENS) * 1e3)
    for _ in range(arguments.samples):
        timer.clear()
        timer.decode(ids, 0, SHORT_PROMPT_TOKENS)
        total = sum(timer.decode(ids, SHORT_PROMPT_TOKENS + i, 1) for i in range(arguments.generate))
        generation.append(arguments.generate / total * 1e3)
    memory = private_bytes() - before
    del callback
    return {
        "prompt_512_tokens_per_second": prompt,
        "generation_tokens_per_second": generation,
        "first_token_ms": [first_ms],
        "ready_ms": [ready_ms],
        "private_bytes": [memory],
    }


def quantize(arguments):
    api, _ = load_library()
    callback = silence(api)
    api.llama_backend_init()
    params = api.llama_model_quantize_default_params()
    params.ftype = FILE_TYPES[arguments.type]
    params.allow_requantize = True
    status = api.llama_model_quantize(
        arguments.input.encode(), arguments.output.encode(), ctypes.byref(params)
    )
    del callback
    if status != 0:
        sys.exit(f"llama_model_quantize failed with {status}")
    return {"output": arguments.output}


def info(_arguments):
    api, _ = load_library()
    import llama_cpp

    return {"version": llama_cpp.__version__, "system": api.llama_print_system_info().decode()}


def main():
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("measure")
    verb.add_argument("file")
    verb.add_argument("--threads", type=int, required=True)
    verb.add_argument("--samples", type=int, default=3)
    verb.add_argument("--generate", type=int, default=128)
    verb.set_defaults(run=measure)
    verb = verbs.add_parser("quantize")
    verb.add_argument("input")
    verb.add_argument("output")
    verb.add_argument("type", choices=FILE_TYPES)
    verb.set_defaults(run=quantize)
    verbs.add_parser("info").set_defaults(run=info)
    arguments = parser.parse_args()
    print(json.dumps(arguments.run(arguments)))


if __name__ == "__main__":
    main()
