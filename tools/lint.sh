#!/usr/bin/env bash
# Formatting, clang-tidy, shell scripts, layers and style. Each is one line of the result; the last
# line is "N passed, N failed, N skipped". With TARS_TEST_TALLY=FILE the counts go there instead.
. "$(dirname "$0")/../tests/project/lib.sh"

formatting() {
    git ls-files -z '*.c' '*.h' | xargs -0 clang-format-19 --dry-run -Werror
}
shell_scripts() {
    {
        git ls-files -z '*.sh'
        printf '.ci/run\0'
    } | xargs -0 shellcheck -x -P SCRIPTDIR -e SC2317
}
python_scripts() {
    git ls-files -z '*.py' tests/run | xargs -0 -n 1 python3 -c \
        'import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])'
}
tidy() {
    cmake --preset release >/dev/null || return 1
    # headers written by the build must be there before their users are looked at
    if grep -q tars_build_info build/build.ninja; then
        cmake --build build --target tars_build_info >/dev/null || return 1
    fi
    tools/tidy.py --build build --under src
}

check "style and layers (tools/check_style.py)" tools/check_style.py
check "formatting (clang-format)" formatting
check "shell scripts (shellcheck)" shell_scripts
check "Python scripts parse" python_scripts
check "links of the documents (tools/check_links.py)" tools/check_links.py
check "tests of the threat model (tools/check_threat_model.py)" tools/check_threat_model.py
check "static analysis of src (clang-tidy)" tidy
finish
