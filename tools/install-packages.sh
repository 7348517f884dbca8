#!/usr/bin/env bash
# Installs what is missing of the named groups of Debian or Ubuntu packages; says nothing when
# nothing is missing. Proxy and certificate settings of the environment reach apt-get unchanged.
#
#   tools/install-packages.sh [--print] GROUP…
#   groups: build wasm test programs cross lint fuzz peers nightly
#   --print  only prints what is missing
#
# Packages of the groups wasm, programs, cross and nightly are left out with a note where the
# release lacks them; a missing package of any other group is an error.
set -euo pipefail

build=(gcc libc6-dev cmake ninja-build pkg-config git python3 python3-pip python3-venv
    ca-certificates libcurl4-openssl-dev libssl-dev libarchive-dev libsqlite3-dev
    libedit-dev libfyaml-dev)
test=(g++ bats tcl)
programs=(musl-tools bash-static)
wasm=(clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc)
cross=(gcc-mingw-w64-x86-64 "${wasm[@]}")
if [ "$(uname -m)" = x86_64 ]; then
    cross+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
fi
lint=(clang-format-19 clang-tidy-19 shellcheck)
fuzz=(clang-19 libclang-rt-19-dev lld-19)
peers=(g++ python3-dev)
nightly=(qemu-system-x86 busybox-static bats)

fail() {
    echo "install-packages: $*" >&2
    exit 1
}

installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

available() {
    local candidate
    candidate=$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p')
    [ -n "$candidate" ] && [ "$candidate" != "(none)" ]
}

installed busybox || programs+=(busybox-static) # which would take its place

print_only=no
required=()
optional=()
for group in "$@"; do
    case $group in
    --print) print_only=yes ;;
    build) required+=("${build[@]}") ;;
    test) required+=("${test[@]}") ;;
    wasm) optional+=("${wasm[@]}") ;;
    programs) optional+=("${programs[@]}") ;;
    cross) optional+=("${cross[@]}") ;;
    lint) required+=("${lint[@]}") ;;
    fuzz) required+=("${fuzz[@]}") ;;
    peers) required+=("${peers[@]}") ;;
    nightly) optional+=("${nightly[@]}") ;;
    *)
        fail "unknown group '$group': expected build, wasm, test, programs, cross, lint, fuzz," \
            "peers or nightly"
        ;;
    esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    [ "$print_only" = yes ] && exit 0
    for tool in cc cmake ninja pkg-config python3; do
        command -v "$tool" >/dev/null ||
            fail "no $tool, and no apt-get to install it with: install these by hand: ${required[*]}"
    done
    exit 0
fi

missing=()
for package in "${required[@]}" "${optional[@]}"; do
    installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$print_only" = yes ]; then
    echo "${missing[*]}"
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
        fail "missing packages: ${missing[*]} (neither root nor sudo here: have them installed)"
    keep=http_proxy,https_proxy,ftp_proxy,all_proxy,no_proxy,SSL_CERT_FILE,SSL_CERT_DIR
    as_root=(sudo "--preserve-env=$keep")
fi
run_apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 \
        -o Dpkg::Use-Pty=0 "$@"
}

echo "Installing packages: ${missing[*]}"
run_apt update || echo "install-packages: package lists could not be renewed; trying those at hand" >&2
wanted=()
for package in "${missing[@]}"; do
    if available "$package"; then
        wanted+=("$package")
    elif [[ " ${optional[*]} " == *" $package "* ]]; then
        echo "Not in this release, its checks will be skipped: $package"
    else
        fail "no package '$package' in this release (on Ubuntu: is 'universe' enabled?)"
    fi
done
[ ${#wanted[@]} -eq 0 ] && exit 0
run_apt install -y --no-install-recommends "${wanted[@]}" ||
    fail "apt-get could not install: ${wanted[*]} (its message is above)"
