#!/usr/bin/env python3
"""Runs clang-tidy over the files of a build and remembers the clean ones.

  tools/tidy.py [--build DIR] [--jobs N] [--under FOLDER]

A file is remembered by the digest of what the compiler sees of it (its preprocessed text), the
configuration and the version of clang-tidy, below the user's cache folder: a second run looks only
at what changed.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIDY = "clang-tidy-19"
DROPPED = ("-fprofile-update=atomic", "--coverage")


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = pathlib.Path(base) / "tars" / "tidy"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def words_of(entry):
    words = entry.get("arguments") or shlex.split(entry["command"])
    return [word for word in words if word not in DROPPED]


def digest_of(entry, salt):
    words = words_of(entry)
    out = words.index("-o")
    words = words[:out] + words[out + 2 :]
    words[words.index("-c")] = "-E"
    result = subprocess.run(words, cwd=entry["directory"], capture_output=True)
    if result.returncode != 0:
        return None
    text = result.stdout.replace(str(ROOT).encode(), b".")  # another clone's results count too
    return hashlib.sha256(salt + text).hexdigest()


def check(entry, build, salt, cache):
    """Returns the findings as text, "" when there are none."""
    digest = digest_of(entry, salt)
    if digest and (cache / digest).exists():
        return ""
    command = [TIDY, "-p", str(build), "--quiet", "--warnings-as-errors=*",
               "--extra-arg=-Wno-unknown-warning-option", entry["file"]]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode == 0:
        if digest:
            (cache / digest).touch()
        return ""
    return result.stdout + result.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--under", default="", help="only files below this folder of the tree")
    arguments = parser.parse_args()
    version = subprocess.run([TIDY, "--version"], capture_output=True, check=True).stdout
    salt = version + (ROOT / ".clang-tidy").read_bytes()
    database = json.loads((arguments.build / "compile_commands.json").read_text())
    under = str(ROOT / arguments.under)
    entries = {e["file"]: e for e in database
               if pathlib.Path(e["file"]).is_file() and e["file"].startswith(under)}.values()
    cache = cache_folder()
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=arguments.jobs) as pool:
        jobs = {pool.submit(check, e, arguments.build, salt, cache): e for e in entries}
        for job in concurrent.futures.as_completed(jobs):
            findings = job.result()
            if findings:
                failed += 1
                print(findings)
    print(f"clang-tidy: {len(entries)} files, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
