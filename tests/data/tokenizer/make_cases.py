#!/usr/bin/env python3
"""Makes the files of this folder that come from other programs. See README.md.

    make_cases.py vocab MODEL.gguf OUT.vocab
"""
import sys


def escape(text):
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def write_vocab(path, comment, settings, tokens, types, scores, merges):
    """One setting a line, then `TYPE [SCORE ]TEXT` a token, then the merges as they are."""
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.write(f"# {comment}\n")
        for key, value in settings.items():
            out.write(f"{key} {value}\n")
        out.write(f"tokens {len(tokens)}\n")
        for i, token in enumerate(tokens):
            score = f"{scores[i]:g} " if scores else ""
            out.write(f"{types[i]} {score}{escape(token)}\n")
        if merges:
            out.write(f"merges {len(merges)}\n")
            out.writelines(merge + "\n" for merge in merges)


def vocab(source, path, comment):
    import gguf
    fields = gguf.GGUFReader(source).fields

    def get(key):
        field = fields.get("tokenizer.ggml." + key)
        return field.contents() if field else None

    settings = {"model": get("model")}
    keys = {"pre": "pre", "bos": "bos_token_id", "eos": "eos_token_id", "unk": "unknown_token_id",
            "pad": "padding_token_id", "add_bos": "add_bos_token", "add_eos": "add_eos_token",
            "add_space_prefix": "add_space_prefix"}
    for name, key in keys.items():
        value = get(key)
        if value is not None:
            settings[name] = int(value) if not isinstance(value, str) else value
    write_vocab(path, comment, settings, get("tokens"), get("token_type"), get("scores"),
                get("merges"))


if __name__ == "__main__":
    if sys.argv[1] == "vocab":
        vocab(*sys.argv[2:5])
