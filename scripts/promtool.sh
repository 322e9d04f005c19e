#!/bin/sh
# Makes sure that there is a promtool for the tests of metrics and alerts; without one they are skipped.
# Only Debian and its kin are known: elsewhere it says what to install.
set -eu

have_promtool() {
    command -v promtool >/dev/null
}

if have_promtool; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "no promtool found; install Prometheus (Debian: apt install prometheus)" >&2
    exit 1
fi
# The package is unpacked, not installed: Prometheus itself need not run here.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
apt-get update -q
(cd "$folder" && apt-get download -q -o APT::Sandbox::User=root prometheus && dpkg-deb -x prometheus_*.deb files)
install -m 755 "$folder/files/usr/bin/promtool" /usr/local/bin/promtool
have_promtool
