#!/bin/sh
# Sets up and tests the checkout on another Python: that of a Debian release, installed into a folder.
#   scripts/python_check.sh 3.13 [pytest's arguments]     needs root, debootstrap and 20 GiB
# Repeating it uses the folder again. The environment may set:
#   PYTHON_CHECK_ROOT  where the folder lies (default: /var/tmp/llava-python-check)
#   MIRROR             Debian's mirror (default: this machine's)
#   BIND               folders to mount there too, such as one of wheels that pip's settings name
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "$1" >&2
    exit 1
}

find_mirror() {
    # shellcheck disable=SC2016  # expanded by apt-get
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1
}

version=${1:-}
[ $# = 0 ] || shift
case $version in
    3.11) suite=bookworm ;;
    3.13) suite=trixie ;;
    3.14) suite=forky ;;
    *) fail "say 3.11, 3.13 or 3.14; no release of Debian has another" ;;
esac
[ "$(id -u)" = 0 ] || fail "only root can install a Debian into a folder"
command -v debootstrap >/dev/null || fail "no debootstrap found; install it (Debian: apt install debootstrap)"

root=${PYTHON_CHECK_ROOT:-/var/tmp/llava-python-check}/$suite
packages=python3,python3-venv,make,gcc,g++,libnuma1,ca-certificates,git,procps
if [ ! -f "$root/.complete" ]; then
    mkdir -p "$root"
    # An older debootstrap has no steps for a newer release: those of Debian's newest hold.
    debootstrap --variant=minbase --include="$packages" "$suite" "$root" \
        "${MIRROR:-$(find_mirror)}" /usr/share/debootstrap/scripts/sid
    touch "$root/.complete"
fi

# The machine's own way to its package sources: certificates, pip's settings, name servers.
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
for settings in /etc/pip.conf "$HOME/.config/pip/pip.conf"; do
    [ ! -f "$settings" ] || install -D -m 644 "$settings" "$root$(echo "$settings" | sed "s|^$HOME|/root|")"
done

# What git knows of, changes included, replaces the last copy; .venv stays.
mkdir -p "$root/src"
find "$root/src" -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
git ls-files --cached --others --exclude-standard -z | xargs -0 tar -cf - | tar -C "$root/src" -xf -

cat >"$root/check.sh" <<'END'
set -eu
cd /src
python3 -V | grep -q " $version" || { echo "this Debian has $(python3 -V)" >&2; exit 1; }
make setup ACCELERATOR=cpu PYTHON=python3
exec .venv/bin/python -m pytest "$@"
END

# In a namespace its mounts end with it, and so do its processes.
export root version BIND="${BIND:-}" HOME=/root
# shellcheck disable=SC2016  # expanded by the shell that is started
exec unshare --mount --pid --fork --kill-child sh -euc '
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --rbind /sys "$root/sys"
    mount -t tmpfs tmpfs "$root/tmp"
    for folder in $BIND; do
        mkdir -p "$root$folder"
        mount --bind "$folder" "$root$folder"
    done
    exec chroot "$root" sh /check.sh "$@"' sh "$@"
