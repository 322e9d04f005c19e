"""Cause and remedy of errors as vLLM 0.32 and PyTorch word them."""

import logging
import os

import pytest

from server.engine.start_failure import explain_start_failure
from server.engine.vllm.failure_report import FailureReport, FailureReporter

ERRORS = [
    (
        "ValidationError: 1 validation error for ModelConfig\n  Value error, User-specified"
        " max_model_len (100000) is greater than the derived max_model_len"
        " (max_position_embeddings=2048.0 or model_max_length=None in model's config.json).",
        "max-model-len 100000 exceeds this model's 2048: lower --max-model-len",
    ),
    (
        "ValueError: To serve at least one request with the model's max seq len (4096), (2.0 GiB KV"
        " cache is needed, which is larger than the available KV cache memory (1.5 GiB). Based on",
        "the KV cache of 1.5 GiB is too small for a context of 4096 tokens, which takes 2.0 GiB:"
        " lower --max-model-len, or raise --gpu-memory-utilization (on a CPU --cpu-kv-cache-gib)",
    ),
    (
        "ValueError: No available memory for the cache blocks. Try increasing",
        "the weights leave no GPU memory for the KV cache: raise --gpu-memory-utilization, or take"
        " a larger GPU",
    ),
    (
        "ValueError: Free memory on device cuda:0 (3.21/79.1 GiB) on startup is less than desired"
        " GPU memory utilization (0.85, 67.2 GiB).",
        "only 3.21/79.1 GiB of GPU memory is free: end other processes on the GPU, or lower"
        " --gpu-memory-utilization",
    ),
    (
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.",
        "the GPU's memory is too small: lower --gpu-memory-utilization (the vision tower needs the"
        " rest), --max-model-len or --vision-batch-size",
    ),
    (
        "AcceleratorError: CUDA error: CUDA-capable device(s) is/are busy or unavailable",
        "the GPU takes one process only (EXCLUSIVE_PROCESS), and the engine and the vision tower"
        " are two: start NVIDIA's MPS, or allow several (nvidia-smi -c DEFAULT)",
    ),
    (
        "RuntimeError: Failed to infer device type, please set the environment variable",
        "no GPU found: use --accelerator cpu, and the engine for CPUs (make setup ACCELERATOR=cpu)",
    ),
    ("ModuleNotFoundError: No module named 'vllm'", "no engine is installed (vllm is missing)"),
    (
        "ValueError: Model architectures ['FooForCausalLM'] are not supported for now.",
        "the engine does not support the architecture ['FooForCausalLM']",
    ),
    ("SafetensorError: Error while deserializing header", "the weights are damaged"),
    (
        "RuntimeError: start (0) + length (1536) exceeds dimension size (768).",
        "the weights do not fit config.json (RuntimeError: start (0) + length (1536) exceeds",
    ),
    (
        "PermissionError: [Errno 13] Permission denied: '/models/x/model.safetensors'",
        "/models/x/model.safetensors cannot be read: give this user permission to read it",
    ),
    ("OSError: [Errno 28] No space left on device", "a disk or /dev/shm is full"),
    ("OSError: [Errno 12] Cannot allocate memory", "this machine's memory is too small"),
    ("InductorError: CppCompileError: C++ compile error", "the engine cannot compile its kernels"),
]


@pytest.mark.parametrize(("text", "said"), ERRORS)
def test_known_causes(text: str, said: str) -> None:
    explained = explain_start_failure(text)
    assert explained.startswith(said)
    assert "\n" not in explained


def test_an_unknown_cause_is_its_own_first_line() -> None:
    explained = explain_start_failure("\nLookupError: lost\nand more" + "x" * 9999)
    assert explained == (
        "the model could not be loaded: LookupError: lost (--log-level debug shows where)"
    )


def test_a_child_reports_its_first_error_to_the_server() -> None:
    report = FailureReport()
    try:
        assert report.read() is None
        reporter = FailureReporter(os.environ["_LLAVA_ENGINE_REPORT"], is_silent=False)
        for message in ("something else", "EngineCore failed to start.", "Worker failed to start."):
            error = LookupError(message)
            reporter.emit(
                logging.LogRecord("vllm", 40, "", 0, message, (), (LookupError, error, None))
            )
        assert report.read() == "LookupError: EngineCore failed to start."
    finally:
        report.close()
    assert "_LLAVA_ENGINE_REPORT" not in os.environ
