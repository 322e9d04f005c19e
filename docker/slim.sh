#!/bin/sh
# Makes an environment small: removes what unused.txt lists and symbol tables, and compiles those
# modules only that the server imports. Without their bytecode each start would compile them again,
# since the image's user cannot write there.
#   docker/slim.sh ENVIRONMENT
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"

grep -v '^\(#\|$\)' "$here/unused.txt" | while read -r pattern; do
    # shellcheck disable=SC2086 # a pattern is to be expanded
    rm -rf $pattern
done

# Half a gigabyte: these two ship theirs.
strip --strip-unneeded lib/python3*/site-packages/vllm/*.so lib/python3*/site-packages/torch/lib/*.so*

# Bytecode names its source's time, and not every tool keeps fractions of a second in a layer.
find lib -name '*.py' -exec touch -d 2026-01-01 {} +
bin/python -W ignore -c '
import server.app, server.loading, server.serve, server.start.serving
import vllm.v1.engine.async_llm, vllm.v1.engine.core, vllm.v1.worker.cpu_worker
'
