"""vLLM's load tool: its command line and its figures."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.vllm_bench import (
    PROGRAM,
    LoadToolFailed,
    build_command,
    parse_figures,
    run_vllm_bench,
)

URL = "http://127.0.0.1:8000/v1/chat/completions"

# Written by the tool of vLLM 0.32.0, without its lists.
RESULT: dict[str, Any] = {
    "date": "20261123-131149",
    "endpoint_type": "openai-chat",
    "backend": "openai-chat",
    "label": None,
    "model_id": "llava-tiny",
    "tokenizer_id": "model_store/llava-tiny",
    "num_prompts": 60,
    "request_rate": "inf",
    "burstiness": 1.0,
    "max_concurrency": 16,
    "duration": 0.3351601649992517,
    "completed": 60,
    "failed": 0,
    "total_input_tokens": 5940,
    "total_output_tokens": 1920,
    "request_throughput": 179.01888788046742,
    "request_goodput": None,
    "output_throughput": 5728.604412174957,
    "total_token_throughput": 23451.47431234123,
    "max_output_tokens_per_s": 1980.0,
    "max_concurrent_requests": 60,
    "rtfx": 0.0,
    "mean_ttft_ms": 2.7399282167607453,
    "median_ttft_ms": 2.684047500224551,
    "std_ttft_ms": 0.38743287516495295,
    "p50_ttft_ms": 2.684047500224551,
    "p99_ttft_ms": 3.765501430825679,
    "mean_itl_ms": 2.3562795078153913,
    "median_itl_ms": 2.346396999200806,
    "std_itl_ms": 0.14748649284738066,
    "p50_itl_ms": 2.346396999200806,
    "p99_itl_ms": 3.1109447011112934,
}
FIGURES = {
    "requests": 60.0,
    "requests_per_s": 179.01888788046742,
    "tokens_per_s": 5728.604412174957,
    "ttft_ms_p50": 2.684047500224551,
    "ttft_ms_p99": 3.765501430825679,
    "inter_token_ms_p50": 2.346396999200806,
    "inter_token_ms_p99": 3.1109447011112934,
}

# A fake tool: stores its arguments beside a result in which `LOST` requests failed.
FAKE_TOOL = f"""
import json, os, pathlib, sys
arguments = sys.argv[1:]
value = lambda name: arguments[arguments.index(name) + 1]
result = pathlib.Path(value("--result-dir"), value("--result-filename"))
result.with_suffix(".arguments").write_text(json.dumps(arguments))
offline = os.environ["HF_HUB_OFFLINE"] + os.environ["VLLM_NO_USAGE_STATS"]
result.with_suffix(".offline").write_text(offline)
recorded = json.loads({json.dumps(json.dumps(RESULT))})
recorded["completed"] = int(value("--num-prompts")) - LOST
recorded["total_output_tokens"] = 32 * recorded["completed"]
print("Error 0: Bad Request")
print("nanobind: leaked 4 instances!", file=sys.stderr)
result.write_text(json.dumps(recorded))
"""


@pytest.fixture(autouse=True)
def fake_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    set_program(monkeypatch, FAKE_TOOL.replace("LOST", "0"))


def set_program(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr("benchmarks.vllm_bench.PROGRAM", program)


def run(folder: Path, **prompts: int) -> dict[str, dict[str, float]]:
    requested = {name.replace("_", " "): count for name, count in prompts.items()}
    return run_vllm_bench(URL, "llava-tiny", Path("tokenizer"), folder, seed=7, prompts=requested)


def pairs(arguments: list[str]) -> dict[str, str]:
    """Pair each option with its value."""
    following = zip(arguments, [*arguments[1:], ""], strict=True)
    return {name: value for name, value in following if name.startswith("--")}


def test_the_command_asks_one_server_for_greedy_answers_of_a_fixed_length(tmp_path: Path) -> None:
    arguments = build_command(URL, "a-model", Path("tokenizer"), tmp_path / "result.json")
    assert arguments[:2] == [sys.executable, "-c"]
    assert pairs(arguments[3:]) == {
        "--backend": "openai-chat",
        "--base-url": "http://127.0.0.1:8000",
        "--endpoint": "/v1/chat/completions",
        "--model": "a-model",
        "--tokenizer": str(Path("tokenizer").resolve()),
        "--random-input-len": "64",
        "--random-output-len": "32",
        "--temperature": "0",
        "--ignore-eos": "--max-concurrency",
        "--max-concurrency": "16",
        "--num-warmups": "16",
        "--percentile-metrics": "ttft,itl",
        "--metric-percentiles": "50,99",
        "--disable-tqdm": "--save-result",
        "--save-result": "--result-dir",
        "--result-dir": str(tmp_path),
        "--result-filename": "result.json",
    }


def test_the_program_is_the_tool_behind_the_command() -> None:
    compile(PROGRAM, "program", "exec")
    assert "vllm.benchmarks.serve import add_cli_args, main" in PROGRAM


def test_a_result_becomes_figures() -> None:
    assert parse_figures(RESULT, 60, "") == FIGURES


def test_failed_requests_are_an_error_with_the_end_of_the_output() -> None:
    output = "\n".join([*(f"line {number}" for number in range(100)), "Error 0: Bad Request"])
    with pytest.raises(LoadToolFailed) as caught:
        parse_figures({**RESULT, "completed": 58, "failed": 2}, 60, output)
    lines = str(caught.value).splitlines()
    assert lines[0] == "2 of 60 requests failed:"
    assert lines[1:] == [*(f"line {number}" for number in range(61, 100)), "Error 0: Bad Request"]


def test_answers_that_broke_off_are_an_error() -> None:
    with pytest.raises(LoadToolFailed, match="1900 tokens instead of 60 times 32"):
        parse_figures({**RESULT, "total_output_tokens": 1900}, 60, "")


def test_each_run_has_its_data_set_and_its_number_of_prompts(tmp_path: Path) -> None:
    seen = run(tmp_path, XT_text=60, XI_images=20)
    assert seen == {"XT text": FIGURES, "XI images": {**FIGURES, "requests": 20.0}}
    text, images = (
        pairs(json.loads((tmp_path / f"{name}.arguments").read_text()))
        for name in ("XT_text", "XI_images")
    )
    assert (text["--dataset-name"], text["--num-prompts"]) == ("random", "60")
    assert (images["--dataset-name"], images["--num-prompts"]) == ("random-mm", "20")
    assert images["--random-mm-bucket-config"] == "{(480, 640, 1): 1.0}"
    assert images["--random-mm-base-items-per-request"] == "1"
    assert text["--seed"] == images["--seed"] == "7"
    assert (tmp_path / "XT_text.offline").read_text() == "11"


def test_a_run_with_failed_requests_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_program(monkeypatch, FAKE_TOOL.replace("LOST", "3"))
    with pytest.raises(LoadToolFailed) as caught:
        run(tmp_path, XT_text=60)
    assert str(caught.value) == "3 of 60 requests failed:\nError 0: Bad Request"


def test_a_tool_that_fails_raises_with_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_program(monkeypatch, "raise SystemExit('no such option')")
    with pytest.raises(LoadToolFailed, match="ended with 1:\nno such option"):
        run(tmp_path, XT_text=60)


def test_a_tool_that_does_not_end_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_program(monkeypatch, "import time; time.sleep(60)")
    monkeypatch.setattr("benchmarks.vllm_bench.TIMEOUT_S", 0.2)
    with pytest.raises(LoadToolFailed, match="had not ended"):
        run(tmp_path, XT_text=60)
