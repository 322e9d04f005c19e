"""Why a model does not load: the cause and remedy of errors that vLLM and PyTorch raise."""

import re
from typing import Final


class EngineStartError(Exception):
    """The engine cannot start; the message gives the operator cause and remedy."""


# Patterns of errors and the messages that replace them; `\1` is the first group.
CAUSES: Final = tuple(
    (re.compile(pattern, re.S | re.I), text)
    for pattern, text in (
        (
            r"max_model_len \((\d+)\) is greater than the derived max_model_len \(.*?=\s*(\d+)",
            r"max-model-len \1 exceeds this model's \2: lower --max-model-len",
        ),
        (
            r"max seq len \((\d+)\), \(?([\d.]+ GiB) KV.*?available KV cache memory"
            r" \(([\d.]+ GiB)\)",
            r"the KV cache of \3 is too small for a context of \1 tokens, which takes \2: lower"
            r" --max-model-len, or raise --gpu-memory-utilization (on a CPU --cpu-kv-cache-gib)",
        ),
        (
            r"Available memory on node \d+ \(([^)]*)\).*?requested memory for kv \(([^)]*)\)",
            r"only \1 of memory is free, less than the KV cache of \2: lower --cpu-kv-cache-gib",
        ),
        (
            r"No available memory for the cache blocks",
            "the weights leave no GPU memory for the KV cache: raise --gpu-memory-utilization, or"
            " take a larger GPU",
        ),
        (
            r"Free memory on device \S+ \(([^)]*)\) on startup is less than desired",
            r"only \1 of GPU memory is free: end other processes on the GPU, or lower"
            r" --gpu-memory-utilization",
        ),
        (
            r"out of memory|not enough GPU memory",
            "the GPU's memory is too small: lower --gpu-memory-utilization (the vision tower needs"
            " the rest), --max-model-len or --vision-batch-size",
        ),
        (
            r"device\(s\) is/are busy or unavailable",
            "the GPU takes one process only (EXCLUSIVE_PROCESS), and the engine and the vision"
            " tower are two: start NVIDIA's MPS, or allow several (nvidia-smi -c DEFAULT)",
        ),
        (
            r"Failed to infer device type|No CUDA GPUs are available|Found no NVIDIA driver"
            r"|Torch not compiled with CUDA|no CUDA-capable device",
            "no GPU found: use --accelerator cpu, and the engine for CPUs (make setup"
            " ACCELERATOR=cpu)",
        ),
        (
            r"No module named '(vllm|torch)\b.*",
            r"no engine is installed (\1 is missing): run make setup",
        ),
        (
            r"Model architectures (\[.*?\]) are not supported",
            r"the engine does not support the architecture \1: docs/models.md lists what is"
            r" supported",
        ),
        (
            r"(SafetensorError|HeaderTooLarge|MetadataIncompleteBuffer|InvalidHeader)",
            "the weights are damaged: pull or copy them again (llava-server models verify names"
            " the files)",
        ),
        (
            r"([^\n]*(?:exceeds dimension size|size mismatch|shape mismatch"
            r"|Attempted to load weight|KeyError: '[\w.]*(?:weight|bias))[^\n]*)",
            r"the weights do not fit config.json (\1): use the configuration that belongs to them",
        ),
        (
            r"Permission denied: '?([^'\n]+)'?",
            r"\1 cannot be read: give this user permission to read it",
        ),
        (
            r"No space left on device",
            "a disk or /dev/shm is full: free some space, or give the container --shm-size 2g",
        ),
        (
            r"Cannot allocate memory|std::bad_alloc|MemoryError|not enough memory",
            "this machine's memory is too small: lower --cpu-kv-cache-gib or --max-model-len, or"
            " take a smaller model",
        ),
        (
            r"(InductorError|CppCompileError|InvalidCxxCompiler).*",
            "the engine cannot compile its kernels: check the C++ compiler, or use --enforce-eager",
        ),
    )
)


def describe_error(error: BaseException) -> str:
    """Return an exception's type and message."""
    return f"{type(error).__name__}: {error}"


def find_cause(text: str) -> str | None:
    """Return cause and remedy for an error's type and message, None if unknown."""
    for pattern, explanation in CAUSES:
        if match := pattern.search(text):
            return match.expand(explanation)
    return None


def explain_start_failure(text: str) -> str:
    """Return cause and remedy in one line; for an unknown error, its own first line."""
    return find_cause(text) or f"the model could not be loaded: {_cut_first_line(text)}"


def _cut_first_line(text: str) -> str:
    line = next(filter(None, map(str.strip, text.splitlines())), "an unknown error")
    return f"{line[:500]} (--log-level debug shows where)"
