#!/bin/sh
# Creates .clients with the API's clients that tests/clients runs, each as its lock file pins it.
# Needs .venv, npm and Node 20 or newer. Safe to repeat, and to repeat after an interruption.
set -eu
cd "$(dirname "$0")/.."

pins=tests/clients/python/requirements.txt
locks=tests/clients/node
home=.clients
stamp=$home/.setup

fail() {
    printf 'setting up the clients failed: %s\n' "$1" >&2
    exit 1
}

# What is installed is decided by these; when one changes, set-up runs again.
fingerprint() {
    {
        .venv/bin/python -V
        cat scripts/clients.sh "$pins" "$locks/package.json" "$locks/package-lock.json"
    } | cksum | tr ' ' -
}

install_python_clients() {
    .venv/bin/python -m venv --clear "$home/python"
    # The pins name every package, so pip has nothing to resolve.
    "$home/python/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps -r "$pins"
}

# Programs are reached by a link beside node_modules, where Node looks for what they import.
install_node_clients() {
    mkdir -p "$home/node"
    cp "$locks/package.json" "$locks/package-lock.json" "$home/node"
    ln -sfn ../../tests/clients/programs "$home/node/programs"
    (cd "$home/node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel error)
}

[ -x .venv/bin/python ] || fail "there is no .venv; run make setup first"
command -v npm >/dev/null || fail "no npm found (Debian: apt install npm)"
command -v node >/dev/null || fail "no node found (Debian: apt install nodejs)"
node -e 'process.exitCode = parseInt(process.versions.node) < 20 ? 1 : 0' ||
    fail "node is $(node --version); the clients need version 20 or newer"

wanted=$(fingerprint)
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
rm -f "$stamp"
echo "installing the clients that tests/clients runs (some minutes)"
install_python_clients
install_node_clients
echo "$wanted" >"$stamp"
echo "$home is ready"
