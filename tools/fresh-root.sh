#!/usr/bin/env bash
# Runs a command in a clone of the current commit inside a root that holds nothing but git and
# make, to see what a newcomer sees. Needs root and debootstrap.
#
#   tools/fresh-root.sh SUITE DIRECTORY [COMMAND…]      (default: make test)
#   for example: tools/fresh-root.sh bookworm /var/tmp/fresh make demo
#   SUITE: bookworm (Debian 12), noble (Ubuntu 24.04), or another one that debootstrap knows
#
# The root is made at the first call and kept; the clone is made anew each time. What a machine
# needs to reach its package sources is handed in from outside and never part of the tree:
#   FRESH_ROOT_MIRROR    mirror of debootstrap (default: debootstrap's own)
#   FRESH_ROOT_KEYRING   keys that sign the suite (default: debootstrap's own; a Debian host has
#                        none for Ubuntu: see the package ubuntu-keyring)
#   FRESH_ROOT_SOURCES   file that becomes /etc/apt/sources.list
#   FRESH_ROOT_APT_CONF  file that is copied to /etc/apt/apt.conf.d
#   FRESH_ROOT_CA        bundle of certificate authorities for TLS
# Proxy settings and PIP_* variables of the environment are passed on.
set -euo pipefail

[ $# -ge 2 ] || {
    echo "usage: tools/fresh-root.sh SUITE DIRECTORY [COMMAND…]" >&2
    exit 2
}
suite=$1
root=$2
shift 2
[ $# -gt 0 ] || set -- make test
tree=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)

if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
    echo "fresh-root: needs root and debootstrap" >&2
    exit 5
fi

if [ ! -e "$root/.complete" ]; then
    echo "Making a root of $suite in $root"
    mkdir -p "$root"
    options=(--variant=minbase '--include=git,make' --force-check-gpg)
    [ -n "${FRESH_ROOT_KEYRING:-}" ] && options+=("--keyring=$FRESH_ROOT_KEYRING")
    script=()
    if [ "$suite" = noble ]; then
        options+=('--components=main,universe') # as an installed Ubuntu has them
        # Debian 12's debootstrap is older than noble; all releases of Ubuntu share one script.
        [ -e "${DEBOOTSTRAP_DIR:-/usr/share/debootstrap}/scripts/noble" ] || script=(gutsy)
    fi
    debootstrap "${options[@]}" "$suite" "$root" "${FRESH_ROOT_MIRROR:-}" "${script[@]}" \
        >"$root.log" 2>&1 || {
        tail -n 20 "$root.log" >&2
        exit 1
    }
    touch "$root/.complete"
fi
[ -n "${FRESH_ROOT_SOURCES:-}" ] && cp "$FRESH_ROOT_SOURCES" "$root/etc/apt/sources.list"
[ -n "${FRESH_ROOT_APT_CONF:-}" ] && cp "$FRESH_ROOT_APT_CONF" "$root/etc/apt/apt.conf.d/90outside"

environment=(HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
if [ -n "${FRESH_ROOT_CA:-}" ]; then
    cp "$FRESH_ROOT_CA" "$root/etc/outside-authorities.pem"
    for name in SSL_CERT_FILE PIP_CERT CURL_CA_BUNDLE REQUESTS_CA_BUNDLE; do
        environment+=("$name=/etc/outside-authorities.pem")
    done
fi
while IFS='=' read -r name value; do
    case $name in
    PIP_CERT) ;;
    http_proxy | https_proxy | no_proxy | HTTP_PROXY | HTTPS_PROXY | NO_PROXY | PIP_*)
        environment+=("$name=$value")
        ;;
    esac
done < <(env)

rm -rf "$root/root/tars"
git clone --quiet --no-hardlinks "$tree" "$root/root/tars"
for file in /etc/resolv.conf /etc/hosts; do
    [ -e "$file" ] && cp -L "$file" "$root$file"
done

# Mounts live in a namespace of their own and vanish with it.
# shellcheck disable=SC2016 # expanded by the inner shell
exec unshare --mount --pid --fork bash -c '
    set -e
    root=$1
    shift
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t sysfs sysfs "$root/sys"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    exec chroot "$root" env -i "$@"
' fresh-root "$root" "${environment[@]}" sh -c 'cd /root/tars && exec "$@"' sh "$@"
