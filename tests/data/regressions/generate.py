#!/usr/bin/env python3
"""Writes the files of this folder: one for each class of flaw that was published for a GGUF reader.

Run it here; it needs nothing but Python. The bytes depend on nothing else. manifest.json says what
each file is about, an advisory of that class and which layer must refuse it.
"""
import json
import struct

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
SCALAR = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B",
          U64: "Q", I64: "q", F64: "d"}


def text(value, length=None):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data) if length is None else length) + data


def scalar(kind, value):
    return struct.pack("<" + SCALAR[kind], value)


def key(name, kind, value):
    body = text(value) if kind == STRING else scalar(kind, value)
    return text(name) + struct.pack("<I", kind) + body


def array(name, kind, values, count=None):
    body = b"".join(text(v) if kind == STRING else scalar(kind, v) for v in values)
    count = len(values) if count is None else count
    return text(name) + struct.pack("<IIQ", ARRAY, kind, count) + body


def tensor(name, dims, kind, offset, n_dims=None):
    n_dims = len(dims) if n_dims is None else n_dims
    return (text(name) + struct.pack("<I", n_dims) + b"".join(struct.pack("<Q", d) for d in dims)
            + struct.pack("<IQ", kind, offset))


def gguf(keys=(), tensors=(), data=64, n_keys=None, n_tensors=None, version=3, align=32):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors) if n_tensors is None else n_tensors,
                                 len(keys) if n_keys is None else n_keys)
    head += b"".join(keys) + b"".join(tensors)
    return head + bytes(-len(head) % align) + bytes(data)


ARCH = key("general.architecture", STRING, "llama")
SOUND = tensor("a", [8], 0, 0)
TOKENS = ["<unk>", "<s>", "</s>", "a"]

FILES = [
    # name, class, published as, layer, what the reader says, bytes
    ("n-kv", "n_kv", "CVE-2024-23605", "container", "keys are announced",
     gguf([ARCH], [SOUND], n_keys=2**60 + 1)),
    ("n-tensors", "n_tensors", "CVE-2024-21836", "container", "tensors are announced",
     gguf([ARCH], [SOUND], n_tensors=2**58 + 1)),
    ("string-length", "string length + 1 wraps", "CVE-2024-23496", "container",
     "18446744073709551615 bytes",
     gguf([ARCH, text("x") + struct.pack("<I", STRING) + text("y", 2**64 - 1)], [SOUND])),
    ("string-length-key", "key length + 1 wraps", "CVE-2024-23496", "container",
     "18446744073709551615 bytes", gguf([text("x", 2**64 - 1) + struct.pack("<IB", U8, 1)])),
    ("string-length-sum", "position + length wraps", "CVE-2024-23496", "container",
     "18446744073709551584 bytes",
     gguf([text("x") + struct.pack("<I", STRING) + text("y", 2**64 - 32)], [SOUND])),
    ("array-strings", "array count x 16 wraps", "CVE-2024-21825", "container", "array elements",
     gguf([array("x", STRING, ["y"], 2**60 + 1)], [SOUND])),
    ("array-numbers", "array count x 8 wraps", "CVE-2024-21825", "container", "array elements",
     gguf([array("x", F64, [1.0], 2**61 + 1)], [SOUND])),
    ("array-of-arrays", "recursion over nested arrays", "", "container", "array of arrays",
     gguf([text("x") + struct.pack("<I", ARRAY) + struct.pack("<IQ", ARRAY, 1) * 300
           + struct.pack("<IQB", U8, 1, 7)])),
    ("n-dims-5", "more dimensions than the table holds", "CVE-2024-21802", "container",
     "5 dimensions", gguf([ARCH], [tensor("a", [1, 1, 1, 1, 8], 0, 0)])),
    ("dims-product", "product of dimensions wraps", "CVE-2026-33298", "container",
     "exceed", gguf([ARCH], [tensor("a", [1152, 2**42 + 1, 2**11, 2**6], 0, 0)])),
    ("dims-bytes", "elements x bytes wraps to a small size", "GHSA-96jg-mvhq-q7q7", "container",
     "exceed", gguf([ARCH], [tensor("a", [4, 2**60 + 4], 0, 0)])),
    ("dims-negative", "negative dimension", "CVE-2024-21802", "container", "63 bits",
     gguf([ARCH], [tensor("a", [8, 2**64 - 1], 0, 0)])),
    ("dims-63-bits", "product that is negative as a signed number", "CVE-2024-21802", "container",
     "63 bits", gguf([ARCH], [tensor("a", [2**62, 2], 24, 0)])),
    ("bool-2", "bool that is neither 0 nor 1", "", "container", "a bool is 2",
     gguf([text("x") + struct.pack("<IB", BOOL, 2)], [SOUND])),
    ("bool-in-array", "bool in an array that is neither 0 nor 1", "", "container", "a bool is 255",
     gguf([array("x", BOOL, [1, 0, 255])], [SOUND])),
    ("alignment-0", "division by alignment 0", "CVE-2025-0317", "container", "the alignment is 0",
     gguf([key("general.alignment", U32, 0)], [SOUND])),
    ("alignment-2-63", "alignment 2^63 in 64 bits", "", "container", "of type uint64",
     gguf([key("general.alignment", U64, 2**63)], [SOUND])),
    ("alignment-2-31", "padding to 2^31", "", "container", "the alignment is 2147483648",
     gguf([key("general.alignment", U32, 2**31)], [SOUND])),
    ("alignment-int32", "alignment of another type", "", "container", "of type int32",
     gguf([key("general.alignment", I32, 32)], [SOUND])),
    ("alignment-48", "alignment that is no power of two", "", "container", "the alignment is 48",
     gguf([key("general.alignment", U32, 48)], [SOUND], align=48)),
    ("padding", "size that padding wraps to 0 (2^64 - 16 bytes)", "", "container",
     "outside the file",
     gguf([ARCH], [tensor("a", [64], 0, 0), tensor("b", [4, 2**30 - 1, 2**30 + 1], 0, 256)], 320)),
    ("padding-elements", "size that padding wraps to 0 (2^64 - 4 bytes)", "", "container",
     "outside the file",
     gguf([ARCH], [tensor("a", [2**62 - 1], 0, 0), tensor("b", [8], 0, 32)])),
    ("size-sum", "sum of all sizes wraps", "CVE-2025-53630", "container", "outside the file",
     gguf([ARCH], [tensor("a", [2**61], 0, 0), tensor("b", [2**61], 0, 2**63),
                   tensor("c", [8], 0, 0)])),
    ("data-range", "data behind the end of the file", "", "container",
     "outside the file", gguf([ARCH], [tensor("a", [8], 0, 64)])),
    ("data-offset-wraps", "data offset + tensor offset wraps", "", "container",
     "outside the file", gguf([ARCH], [tensor("a", [8], 0, 2**64 - 32)])),
    ("data-offset-misaligned", "misaligned data", "", "container", "no multiple",
     gguf([ARCH], [tensor("a", [8], 0, 4)])),
    ("overlap", "two tensors share bytes", "", "container", "overlaps",
     gguf([ARCH], [tensor("a", [16], 0, 0), tensor("b", [8], 0, 32)])),
    ("type-negative", "tensor type as a negative index", "", "container", "tensor type 4294967295",
     gguf([ARCH], [tensor("a", [8], 2**32 - 1, 0)])),
    ("type-removed", "division by the block size 0 of a removed type", "", "container",
     "tensor type 36", gguf([ARCH], [tensor("a", [8], 36, 0)])),
    ("four-bytes", "file that ends after the magic", "CVE-2024-39720", "container", "ends inside",
     b"GGUF"),
    ("key-empty", "null pointer from an empty key", "", "container", "0 bytes",
     gguf([key("", U8, 1)])),
    ("dup-key", "the same key twice", "", "container", "twice", gguf([ARCH, ARCH], [SOUND])),
    ("dup-tensor", "the same tensor twice", "", "container", "twice",
     gguf([ARCH], [SOUND, tensor("a", [8], 0, 32)])),
    ("no-keys", "null pointers from missing keys", "CVE-2024-41130", "model", "", gguf([], [SOUND])),
    ("block-count-0", "division by block_count 0", "CVE-2024-8063", "model", "",
     gguf([ARCH, key("llama.block_count", U32, 0)], [SOUND])),
    ("block-count-huge", "array of 2^32 - 1 layers", "CVE-2025-0315", "model", "",
     gguf([ARCH, key("llama.block_count", U32, 2**32 - 1)], [SOUND])),
    ("tokens-without-scores", "null pointer from missing scores", "", "tokenizer", "",
     gguf([ARCH, key("tokenizer.ggml.model", STRING, "llama"),
           array("tokenizer.ggml.tokens", STRING, TOKENS)], [SOUND])),
    ("byte-token-minus", "byte token <0x-1>", "", "tokenizer", "",
     gguf([ARCH, key("tokenizer.ggml.model", STRING, "llama"),
           array("tokenizer.ggml.tokens", STRING, TOKENS + ["<0x-1>"]),
           array("tokenizer.ggml.scores", F32, [0.0] * 5),
           array("tokenizer.ggml.token_type", I32, [2, 3, 3, 1, 6])], [SOUND])),
    ("empty-strings", "many empty strings: memory must stay in proportion", "CVE-2025-0315",
     "tokenizer", "", gguf([ARCH, array("tokenizer.ggml.tokens", STRING, [""] * 400)], [SOUND])),
]


def main():
    manifest = []
    for name, what, published, stage, says, data in FILES:
        with open(name + ".gguf", "wb") as out:
            out.write(data)
        manifest.append({"file": name + ".gguf", "what": what, "published": published,
                         "stage": stage, "says": says})
    with open("manifest.json", "w", encoding="utf-8") as out:
        json.dump({"files": manifest}, out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()
