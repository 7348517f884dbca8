#!/usr/bin/env python3
"""Makes the files of this folder that come from other programs (see README.md).

Needs Python with gguf, numpy, sentencepiece, tokenizers, unicodedata2==15.1.0 and
llama-cpp-python. The texts are random but for a fixed seed; characters that Unicode 15.1 does not
assign are left out, because the programs disagree about them.

    make_cases.py vocab MODEL.gguf OUT.vocab COMMENT
    make_cases.py spm-train TEXT OUT.vocab       train a small SentencePiece vocabulary
    make_cases.py split OUT.json                 pieces by the regular expressions of the models
    make_cases.py peer VOCAB OUT.json            ids by llama.cpp
    make_cases.py wordpiece tokenizer.json OUT.json    ids by Hugging Face tokenizers
"""
import json
import os
import random
import sys
import tempfile

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
POOLS = ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "  \t\n\r \n",
         "'\"!?.,;:-_()[]{}<>|/\\@#$%^&*+=~`", "äöüßéèñçøåłžşğıİ", "абвгдежзАБВГ", "αβγδΩΣς",
         "日本語中文字한국어ひらカナ", "١٢٣४५६Ⅷ½²㊿", "\u00a0\u2003\u3000\u2028\u0085\u1680",
         "\u0301\u0308\u0323\u200d\ufe0f\u093f", "😀🚀👨‍👩‍👧🇩🇪", "\x00\x01\x7f\x1c\x0b\x0c", "ﬁſKÅ"]
WORDS = ["'s", "'S", "'t", "'re", "'RE", "'ve", "'m", "'ll", "'LL", "'d", "'ſ", "don't", "it's",
         " the", " of", "ing", "hello", "World", "  ", "\n\n", "\r\n", "   ", "▁", "foo_bar", "<s>",
         "</s>", "##ing", "<0x0A>", "size_t", "return", "Straße", "<|user|>", "<|end|>"]


def random_text(rng, words, length):
    import unicodedata2
    assert unicodedata2.unidata_version == "15.1.0"
    parts = []
    for _ in range(rng.randint(1, length)):
        kind = rng.random()
        if kind < 0.3:
            parts.append(rng.choice(WORDS + words))
        elif kind < 0.9:
            pool = rng.choice(POOLS[:5] if rng.random() < 0.6 else POOLS)
            parts.append("".join(rng.choice(pool) for _ in range(rng.randint(1, 4))))
        else:
            character = "\ue000"
            while unicodedata2.category(character) in ("Cn", "Co", "Cs"):
                character = chr(rng.randrange(rng.choice([0x110000, 0x3000, 0x800])))
            parts.append(character)
        if rng.random() < 0.3:
            parts.append(" ")
    return "".join(parts)


def write_json(path, source, items):
    with open(path, "w", encoding="ascii", newline="\n") as out:
        out.write('{"source": ' + json.dumps(source) + ',\n"items": [\n')
        out.write(",\n".join(json.dumps(item) for item in items) + "\n]}\n")


def escape(text):
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def unescape(text):
    return (text.replace("\\\\", "\0").replace("\\n", "\n").replace("\\r", "\r")
            .replace("\0", "\\"))


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


def read_vocab(path):
    settings, tokens, types, scores, merges = {}, [], [], [], []
    lines = iter(open(path, encoding="utf-8", newline="\n").read().split("\n"))
    for line in lines:
        key, _, value = line.partition(" ")
        if key == "tokens":
            for _ in range(int(value)):
                kind, _, text = next(lines).partition(" ")
                if settings["model"] == "llama":
                    score, _, text = text.partition(" ")
                    scores.append(float(score))
                types.append(int(kind))
                tokens.append(unescape(text))
        elif key == "merges":
            merges = [next(lines) for _ in range(int(value))]
        elif value and key != "#":
            settings[key] = value
    return settings, tokens, types, scores, merges


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


def spm_train(text, path):
    import sentencepiece
    own = ["<|user|>", "<|end|>", "\n\n"]
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "m")
        sentencepiece.SentencePieceTrainer.train(
            input=text, model_prefix=prefix, vocab_size=1600, model_type="bpe", byte_fallback=True,
            character_coverage=0.999, normalization_rule_name="identity", split_digits=True,
            remove_extra_whitespaces=False, allow_whitespace_only_pieces=True,
            user_defined_symbols=own, max_sentence_length=100000)
        model = sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")
    tokens, types, scores = [], [], []
    for i in range(model.vocab_size()):
        tokens.append(model.id_to_piece(i))
        scores.append(model.get_score(i))
        types.append(2 if model.is_unknown(i) else 3 if model.is_control(i) else
                     6 if model.is_byte(i) else 4 if tokens[-1] in own else 1)
    settings = {"model": "llama", "bos": 1, "eos": 2, "unk": 0, "add_bos": 1, "add_eos": 0,
                "add_space_prefix": 1}
    write_vocab(path, "SentencePiece BPE vocabulary trained on this project's own texts", settings,
                tokens, types, scores, None)


def split(path):
    from tokenizers import Regex, pre_tokenizers

    def cut(pattern):
        return pre_tokenizers.Split(Regex(pattern), "isolated")

    digits = pre_tokenizers.Digits(individual_digits=True)
    rules = {"gpt-2": cut(GPT2), "llama-bpe": cut(LLAMA3), "qwen2": cut(QWEN2),
             "smollm": pre_tokenizers.Sequence([digits, cut(GPT2)])}
    rng = random.Random(1)
    items = []
    for pre, rule in rules.items():
        for _ in range(100):
            text = random_text(rng, [], 12)
            lengths = [len(text[a:b].encode()) for _, (a, b) in rule.pre_tokenize_str(text)]
            items.append({"pre": pre, "text": text, "lengths": lengths})
    write_json(path, "Hugging Face tokenizers: Split with the models' regular expressions", items)


def write_gguf(path, settings, tokens, types, scores, merges):
    import gguf
    out = gguf.GGUFWriter(path, "llama")
    out.add_context_length(128)
    out.add_embedding_length(64)
    out.add_block_count(1)
    out.add_feed_forward_length(64)
    out.add_head_count(1)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_tokenizer_model(settings["model"])
    if "pre" in settings:
        out.add_tokenizer_pre(settings["pre"])
    out.add_token_list(tokens)
    out.add_token_types(types)
    if scores:
        out.add_token_scores(scores)
    if merges:
        out.add_token_merges(merges)
    for name, key in (("bos", "bos_token_id"), ("eos", "eos_token_id"),
                      ("unk", "unknown_token_id")):
        if name in settings:
            out.add_uint32("tokenizer.ggml." + key, int(settings[name]))
    for name, key in (("add_bos", "add_bos_token"), ("add_eos", "add_eos_token"),
                      ("add_space_prefix", "add_space_prefix")):
        if name in settings:
            out.add_bool("tokenizer.ggml." + key, settings[name] == "1")
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.close()


def peer(vocab_path, path):
    import llama_cpp
    settings, tokens, types, scores, merges = read_vocab(vocab_path)
    with tempfile.TemporaryDirectory() as folder:
        model_path = os.path.join(folder, "m.gguf")
        write_gguf(model_path, settings, tokens, types, scores, merges)
        parameters = llama_cpp.llama_model_default_params()
        parameters.vocab_only = True
        model = llama_cpp.llama_model_load_from_file(model_path.encode(), parameters)
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    specials = [token for token, kind in zip(tokens, types) if kind in (3, 4)]
    rng = random.Random(2)
    items = []
    for _ in range(250):
        text = random_text(rng, specials, 14)
        raw = text.encode()
        buffer = (llama_cpp.llama_token * (4 * len(raw) + 8))()
        parse = rng.random() < 0.5
        count = llama_cpp.llama_tokenize(vocabulary, raw, len(raw), buffer, len(buffer), True, parse)
        items.append({"text": text, "parse_special": parse, "ids": list(buffer[:count])})
    write_json(path, f"llama-cpp-python {llama_cpp.__version__}, llama_tokenize with add_special "
               f"and {os.path.basename(vocab_path)}", items)


def wordpiece(tokenizer_path, path):
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_file(tokenizer_path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    rng = random.Random(3)
    items = []
    while len(items) < 250:
        text = random_text(rng, ["é", "naïve", "Ångström", "unbelievably", "中文"], 14)
        # characters newer than the library's tables
        if all(ord(c) < 0x600 or 0x2000 <= ord(c) < 0x2e00 or 0x3000 <= ord(c) < 0xa000 or
               0x1f300 <= ord(c) < 0x1f700 for c in text):
            items.append({"text": text, "ids": tokenizer.encode(text).ids})
    write_json(path, f"Hugging Face tokenizers {tokenizers.__version__} with the tokenizer.json of "
               "all-MiniLM-L6-v2", items)


VERBS = {"vocab": vocab, "spm-train": spm_train, "split": split, "peer": peer,
         "wordpiece": wordpiece}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in VERBS:
        sys.exit(__doc__)
    VERBS[sys.argv[1]](*sys.argv[2:])
