#!/usr/bin/env python3
"""Writes tests/data/models/tiny.gguf: a llama model of about 0.3 M random parameters with a
byte-level BPE tokenizer and a ChatML template, so that tests need no network.

Deterministic: the same file on every machine, standard library only."""

import math
import struct
import sys
from collections import Counter

N_EMBD, N_FF, N_LAYERS, N_HEADS, N_KV_HEADS, CONTEXT = 64, 160, 4, 4, 2, 512
N_MERGES = 250
TEXT = """
The quick brown fox jumps over the lazy dog. A model answers in two commands: it is fetched,
checked, packed and run. What is the capital of France? The capital of France is Paris. Once upon
a time there was a small engine that gave the same bits everywhere, with any number of threads,
at any batch size, with the cache on or off. You are a helpful assistant. Write a short answer.
Numbers: 0 1 2 3 4 5 6 7 8 9 10 100 1000. def fibonacci(n): return n if n < 2 else f(n - 1) + f(n - 2)
"""
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
F32, Q4_1, Q8_0 = 0, 3, 8


class Random:
    """splitmix64; gaussian() by the sum of twelve uniforms."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & (2**64 - 1)
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        return z ^ (z >> 31)

    def gaussian(self):
        return sum((self.next() >> 11) / 2.0**53 for _ in range(12)) - 6.0


def byte_letters():
    """GPT-2's map from bytes to printable characters."""
    shown = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    letters = {}
    extra = 0
    for byte in range(256):
        if byte in shown:
            letters[byte] = chr(byte)
        else:
            letters[byte] = chr(256 + extra)
            extra += 1
    return letters


def train_merges(text, letters):
    words = Counter()
    for word in text.replace("\n", " ").split(" "):
        if word:
            words[tuple(letters[b] for b in (" " + word).encode())] += 1
    merges = []
    for _ in range(N_MERGES):
        pairs = Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        merged = Counter()
        for word, count in words.items():
            out, i = [], 0
            while i < len(word):
                if word[i : i + 2] == best:
                    out.append(best[0] + best[1])
                    i += 2
                else:
                    out.append(word[i])
                    i += 1
            merged[tuple(out)] += count
        words = merged
    return merges


def text_bytes(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value_bytes(kind, value):
    if kind == STRING:
        return text_bytes(value)
    if kind == ARRAY:
        element, items = value
        return struct.pack("<IQ", element, len(items)) + b"".join(
            value_bytes(element, item) for item in items
        )
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}[kind], value)


def half(x):
    return struct.pack("<e", x)


def quantise(row, kind):
    if kind == F32:
        return struct.pack("<%df" % len(row), *row)
    out = b""
    for i in range(0, len(row), 32):
        block = row[i : i + 32]
        if kind == Q8_0:
            d = max(abs(v) for v in block) / 127
            out += half(d) + struct.pack("<32b", *(round(v / d) for v in block))
        else:
            low = min(block)
            d = (max(block) - low) / 15
            q = [min(15, max(0, round((v - low) / d))) for v in block]
            out += half(d) + half(low) + bytes(q[j] | q[j + 16] << 4 for j in range(16))
    return out


def main(path):
    letters = byte_letters()
    merges = train_merges(TEXT, letters)
    tokens = SPECIALS + [letters[b] for b in range(256)] + [a + b for a, b in merges]
    types = [3] * len(SPECIALS) + [1] * (len(tokens) - len(SPECIALS))
    n_vocab = len(tokens)
    keys = [
        ("general.architecture", STRING, "llama"),
        ("general.name", STRING, "tiny"),
        ("llama.block_count", UINT32, N_LAYERS),
        ("llama.context_length", UINT32, CONTEXT),
        ("llama.embedding_length", UINT32, N_EMBD),
        ("llama.feed_forward_length", UINT32, N_FF),
        ("llama.attention.head_count", UINT32, N_HEADS),
        ("llama.attention.head_count_kv", UINT32, N_KV_HEADS),
        ("llama.attention.layer_norm_rms_epsilon", FLOAT32, 1e-5),
        ("llama.rope.dimension_count", UINT32, N_EMBD // N_HEADS),
        ("llama.rope.freq_base", FLOAT32, 10000.0),
        ("tokenizer.ggml.model", STRING, "gpt2"),
        ("tokenizer.ggml.pre", STRING, "gpt-2"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
        ("tokenizer.ggml.token_type", ARRAY, (INT32, types)),
        ("tokenizer.ggml.merges", ARRAY, (STRING, [a + " " + b for a, b in merges])),
        ("tokenizer.ggml.bos_token_id", UINT32, 1),
        ("tokenizer.ggml.eos_token_id", UINT32, 2),
        ("tokenizer.ggml.add_bos_token", BOOL, False),
        ("tokenizer.chat_template", STRING, TEMPLATE),
    ]
    random = Random(2)
    tensors = []

    def matrix(name, columns, rows, kind):
        scale = 1.0 / math.sqrt(columns)
        data = b"".join(
            quantise([random.gaussian() * scale for _ in range(columns)], kind)
            for _ in range(rows)
        )
        tensors.append((name, [columns, rows], kind, data))

    def vector(name, n):
        tensors.append((name, [n], F32, struct.pack("<%df" % n, *([1.0] * n))))

    matrix("token_embd.weight", N_EMBD, n_vocab, Q8_0)
    vector("output_norm.weight", N_EMBD)
    kv = N_EMBD // N_HEADS * N_KV_HEADS
    for i in range(N_LAYERS):
        vector("blk.%d.attn_norm.weight" % i, N_EMBD)
        matrix("blk.%d.attn_q.weight" % i, N_EMBD, N_EMBD, Q4_1)
        matrix("blk.%d.attn_k.weight" % i, N_EMBD, kv, Q4_1)
        matrix("blk.%d.attn_v.weight" % i, N_EMBD, kv, Q8_0)
        matrix("blk.%d.attn_output.weight" % i, N_EMBD, N_EMBD, Q4_1)
        vector("blk.%d.ffn_norm.weight" % i, N_EMBD)
        matrix("blk.%d.ffn_gate.weight" % i, N_EMBD, N_FF, Q4_1)
        matrix("blk.%d.ffn_up.weight" % i, N_EMBD, N_FF, Q4_1)
        matrix("blk.%d.ffn_down.weight" % i, N_FF, N_EMBD, Q8_0)

    header = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(keys))
    for name, kind, value in keys:
        header += text_bytes(name) + struct.pack("<I", kind) + value_bytes(kind, value)
    offset = 0
    for name, dims, kind, data in tensors:
        header += text_bytes(name) + struct.pack("<I", len(dims))
        header += struct.pack("<%dQ" % len(dims), *dims) + struct.pack("<IQ", kind, offset)
        offset += (len(data) + 31) // 32 * 32
    body = header + bytes(-len(header) % 32)
    for _, _, _, data in tensors:
        body += data + bytes(-len(data) % 32)
    with open(path, "wb") as file:
        file.write(body)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "tests/data/models/tiny.gguf")
