#!/usr/bin/env bash
# Writes the manual page and the completions that the program generates into build/docs, and
# checks the links of the documents and the tests that the threat model names.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/check_links.py
tools/check_threat_model.py
mkdir -p build/docs
build/tars man >build/docs/tars.1
for shell in bash zsh fish; do
    build/tars completion "$shell" >"build/docs/completion.$shell"
done
if command -v groff >/dev/null; then
    groff -man -Tutf8 build/docs/tars.1 >build/docs/tars.txt
fi
ls -1 build/docs
