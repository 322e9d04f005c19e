"""vLLM's `RequestOutput` and `CompletionOutput` as the server's `EngineOutput`."""

import time
from typing import Any

import pytest
from vllm.logprobs import Logprob
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.v1.metrics.stats import RequestStateStats

from server.engine.base import EngineOutput, TokenLogprob
from server.engine.vllm.outputs import measure_first_token_s, read_outputs
from server.errors import EngineUnavailable, InvalidRequest


def completion(index: int = 0, **fields: Any) -> CompletionOutput:
    defaults: dict[str, Any] = {
        "text": "a cat",
        "token_ids": [7, 8],
        "cumulative_logprob": None,
        "logprobs": None,
    }
    return CompletionOutput(index, **(defaults | fields))


def request_output(*completions: CompletionOutput, **fields: Any) -> RequestOutput:
    defaults: dict[str, Any] = {
        "request_id": "r",
        "prompt": None,
        "prompt_token_ids": [1, 2, 3],
        "prompt_logprobs": None,
        "finished": False,
    }
    return RequestOutput(outputs=list(completions), **(defaults | fields))


def read(output: RequestOutput, *, has_grammar: bool = False) -> list[EngineOutput]:
    return list(read_outputs(output, 0.25, has_grammar=has_grammar))


def test_a_completion_in_progress() -> None:
    (output,) = read(request_output(completion(), num_cached_tokens=2))
    assert output == EngineOutput(
        text="a cat",
        num_tokens=2,
        finish_reason=None,
        first_token_s=0.25,
        num_cached_tokens=2,
        token_ids=[7, 8],
    )


def test_each_completion_has_an_output() -> None:
    outputs = read(request_output(completion(0, text="a"), completion(2, text="b")))
    assert [(output.index, output.text) for output in outputs] == [(0, "a"), (2, "b")]
    assert [output.num_cached_tokens for output in outputs] == [0, 0]


@pytest.mark.parametrize("finish_reason", [None, "stop", "length"])
def test_finish_reasons(finish_reason: str | None) -> None:
    (output,) = read(request_output(completion(finish_reason=finish_reason)))
    assert output.finish_reason == finish_reason


@pytest.mark.parametrize("finish_reason", ["abort", "error", "repetition"])
def test_a_dropped_request_makes_the_engine_unavailable(finish_reason: str) -> None:
    with pytest.raises(EngineUnavailable):
        read(request_output(completion(finish_reason=finish_reason)))


def test_a_failed_grammar_is_the_requests_fault() -> None:
    output = request_output(completion(finish_reason="error"))
    with pytest.raises(InvalidRequest):
        read(output, has_grammar=True)


def test_an_abort_is_not_the_grammars_fault() -> None:
    output = request_output(completion(finish_reason="abort"))
    with pytest.raises(EngineUnavailable):
        read(output, has_grammar=True)


def test_outputs_before_a_failed_completion_are_yielded() -> None:
    outputs = read_outputs(
        request_output(completion(0), completion(1, finish_reason="abort")), 0.25, has_grammar=False
    )
    assert next(outputs).index == 0
    with pytest.raises(EngineUnavailable):
        next(outputs)


def test_log_probabilities_are_sorted_by_rank() -> None:
    entries = [
        {7: Logprob(-2.0, rank=3), 4: Logprob(-0.5, rank=1), 5: Logprob(-1.0, rank=2)},
        {8: Logprob(-0.1, rank=1)},
    ]
    (output,) = read(request_output(completion(logprobs=entries)))
    assert output.logprobs == [
        TokenLogprob(7, -2.0, [(4, -0.5), (5, -1.0), (7, -2.0)]),
        TokenLogprob(8, -0.1, [(8, -0.1)]),
    ]


def test_no_log_probabilities_are_an_empty_sequence() -> None:
    (output,) = read(request_output(completion()))
    assert (output.logprobs, output.prompt_logprobs) == ((), ())


def test_the_prompts_first_token_has_no_log_probability() -> None:
    entries = [None, {2: Logprob(-1.0, rank=1)}, {3: Logprob(-3.0, rank=2), 9: Logprob(-1, rank=1)}]
    (output,) = read(request_output(completion(), prompt_logprobs=entries))
    assert output.prompt_logprobs == [
        None,
        TokenLogprob(2, -1.0, [(2, -1.0)]),
        TokenLogprob(3, -3.0, [(9, -1), (3, -3.0)]),
    ]


def test_vllms_measure_of_the_first_token_is_preferred() -> None:
    metrics = RequestStateStats(first_token_latency=1.5)
    assert measure_first_token_s(request_output(completion(), metrics=metrics), 0.0) == 1.5


@pytest.mark.parametrize("metrics", [None, RequestStateStats()])
def test_else_the_clock_measures_it(metrics: RequestStateStats | None) -> None:
    submitted = time.perf_counter() - 2
    output = request_output(completion(), metrics=metrics)
    assert 2 <= measure_first_token_s(output, submitted) < 60


@pytest.mark.parametrize(("reason", "expected"), [("red", "red"), (7, None), (None, None)])
def test_a_stop_string_is_named_and_a_stop_token_is_not(
    reason: str | int | None, expected: str | None
) -> None:
    (output,) = read(request_output(completion(finish_reason="stop", stop_reason=reason)))
    assert output.stop_string == expected
