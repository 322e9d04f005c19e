#!/bin/sh
# Creates .venv with the server, its engine and the tools for tests and checks. Safe to repeat, and
# to repeat after an interruption. The environment may set:
#   PYTHON       the interpreter to build on (default: the first of python3, python3.11 to python3.14
#                that is one of Python 3.11 to 3.14)
#   ACCELERATOR  cpu or cuda (default: what the last set-up used, else cuda where nvidia-smi works)
set -eu
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/.setup
log=$venv/setup.log
# Of the log's end, where a step fails: pip's error and what led to it.
shown_lines=20

fail() {
    printf 'set-up failed: %s\n' "$1" >&2
    exit 1
}

step() {
    printf '[%s/4] %s\n' "$1" "$2"
}

accelerator() {
    if [ -n "${ACCELERATOR:-}" ]; then
        echo "$ACCELERATOR"
    elif [ -f "$stamp" ]; then
        cut -d ' ' -f 1 "$stamp"
    elif nvidia-smi -L >/dev/null 2>&1; then
        echo cuda
    else
        echo cpu
    fi
}

# Runs a command with its output in the log; NAME says what was to be installed.
logged() {
    name=$1
    shift
    "$@" >>"$log" 2>&1 && return
    tail -n "$shown_lines" "$log" >&2
    fail "could not install $name; the whole log is $PWD/$log"
}

# What is installed is decided by these; when one changes, set-up runs again.
fingerprint() {
    cat scripts/setup.sh scripts/install_engine.sh pyproject.toml "requirements/$1.txt" requirements/train.txt \
        requirements/evaluation.txt requirements/ray.txt requirements/dev.txt | cksum | tr ' ' -
}

# As requires-python in pyproject.toml.
suitable() {
    "$1" -c 'import sys
version = sys.version_info[:3]
sys.exit(not (3, 11) <= version < (3, 15) or version == (3, 14, 1))' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" >/dev/null || fail "PYTHON=$PYTHON does not exist"
        suitable "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11, 3.12, 3.13 or 3.14 (but 3.14.1)"
        echo "$PYTHON"
        return
    fi
    for candidate in python3 python3.11 python3.12 python3.13 python3.14; do
        if suitable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.11, 3.12, 3.13 or 3.14 found; install one (Debian: apt install python3 python3-venv) or run make setup PYTHON=/path/to/python"
}

check_machine() {
    [ "$(uname -s)" = Linux ] || fail "the engine runs on Linux only"
    "$1" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$1 cannot create virtual environments; install its venv module (Debian: apt install python3-venv)"
    if [ "$2" = cpu ]; then
        [ "$(uname -m)" != x86_64 ] || grep -qw avx2 /proc/cpuinfo ||
            fail "this processor has no AVX2 instructions; the engine needs them"
        "$1" -c 'import ctypes; ctypes.CDLL("libnuma.so.1")' 2>/dev/null ||
            fail "no libnuma found; the engine is linked with it (Debian: apt install libnuma1)"
    fi
    if [ "$2" = cuda ]; then
        command -v gcc >/dev/null || fail "no gcc found; the engine compiles its kernels with it (Debian: apt install gcc)"
        "$1" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
            fail "$1 has no Python.h; the engine compiles against it (Debian: apt install python3-dev)"
    fi
    free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
    have=$(du -sk "$venv" 2>/dev/null | awk '{ print int($1 / 1048576) }')
    [ $((free + ${have:-0})) -ge "$3" ] || fail "$free GiB are free here, the installation takes up to $3 GiB"
}

# An environment with the other accelerator's engine is of no use: both install the same package.
reusable_venv() {
    suitable "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1 &&
        { [ ! -f "$stamp" ] || [ "$(cut -d ' ' -f 1 "$stamp")" = "$1" ]; }
}

create_venv() {
    reusable_venv "$2" || "$1" -m venv --clear "$venv"
    echo "$2 incomplete" >"$stamp"
    : >"$log"
    # An interrupted pip leaves packages without a RECORD, which the next pip would take as complete.
    for package in "$venv"/lib/python*/site-packages/*.dist-info; do
        [ -f "$package/RECORD" ] || rm -rf "$package"
    done
}

# The requirement files name every package, so pip has nothing to resolve.
pip_install() {
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-deps "$@"
}

install_engine() {
    logged "the engine" scripts/install_engine.sh "$venv/bin/python" "$1"
}

install_server() {
    logged "the tools" pip_install -r requirements/train.txt -r requirements/evaluation.txt \
        -r requirements/ray.txt -r requirements/dev.txt
    # Without isolation the build uses the setuptools just installed and downloads no other.
    logged "the server" pip_install --no-build-isolation -e .
}

accelerator=$(accelerator)
case $accelerator in
    cpu) gib=6 ;;
    cuda) gib=16 ;;
    *) fail "ACCELERATOR=$accelerator is neither cpu nor cuda" ;;
esac
wanted="$accelerator $(fingerprint "$accelerator")"
if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

step 1 "checking this machine"
python=$(find_python)
check_machine "$python" "$accelerator" "$gib"
step 2 "creating $venv with $("$python" -V)"
create_venv "$python" "$accelerator"
step 3 "installing the engine for $accelerator (some minutes; in another terminal, tail -f $log shows how far)"
install_engine "$accelerator"
step 4 "installing the server and its tools"
install_server
echo "$wanted" >"$stamp"
echo "$venv is ready"
