#!/bin/sh
# Starts NVIDIA's multi-process service (MPS) for the processes of this container, then the server:
# the engine and the vision tower are two processes, and without MPS a GPU runs one at a time.
#   docker run --gpus all --entrypoint tini … llava-server -- /opt/llava/with_mps.sh --model …
set -eu
export CUDA_MPS_PIPE_DIRECTORY="${CUDA_MPS_PIPE_DIRECTORY:-/tmp/mps}"
export CUDA_MPS_LOG_DIRECTORY="${CUDA_MPS_LOG_DIRECTORY:-/tmp/mps}"
mkdir -p "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY"
# The NVIDIA container toolkit brings it, from the host's driver.
nvidia-cuda-mps-control -d
exec python3 -m server "$@"
