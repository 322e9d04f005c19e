#!/bin/sh
# Makes sure that there is a Chromium for the tests of the page; without one they are skipped.
# Only Debian and its kin are known: elsewhere it says what to install.
set -eu

have_chromium() {
    command -v chromium >/dev/null
}

if have_chromium; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "no chromium found; install it (Debian: apt install chromium)" >&2
    exit 1
fi
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium
have_chromium
