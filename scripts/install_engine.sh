#!/bin/sh
# Installs the pinned engine into an interpreter's environment; set-up and the CPU image use it.
#   scripts/install_engine.sh PYTHON cpu|cuda [options of pip install …]
set -eu
python=$1
accelerator=$2
shift 2
requirements=$(dirname "$0")/../requirements
torch_index=https://download.pytorch.org/whl/cpu

fail() {
    printf 'set-up failed: %s\n' "$1" >&2
    exit 1
}

# The requirement files name every package, so pip has nothing to resolve.
pip_install() {
    "$python" -m pip install --disable-pip-version-check --no-deps "$@"
}

# PyPI has no CPU build of torch, though a configured mirror may; else PyTorch's own index is asked
# for this one package.
install_cpu_torch() {
    torch=$(grep '^torch==' "$requirements/cpu.txt")
    pip_install "$@" "$torch" 2>/dev/null && return
    echo "$torch is not in the configured package sources; asking PyTorch's own"
    pip_install "$@" --index-url "$torch_index" "$torch" || fail "could not install $torch"
}

[ "$accelerator" != cpu ] || install_cpu_torch "$@"
pip_install "$@" -r "$requirements/$accelerator.txt"
