"""Text completions: prompts as sequences of their own, echo, scoring and refusals."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from server.completions.streaming import collect_completion
from server.engine.base import EngineOutput, TokenLogprob
from server.errors import EngineUnavailable, InvalidValue, ModelNotFound
from server.protocol.completions.request import CompletionRequest, parse_completion_request
from server.telemetry.caller import ANYBODY
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord
from tests.server.fake_engine import FakeEngine
from tests.server.pipeline.stages import Stages

# One event loop, since the tests of a module share workers, as in a server.
pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = [421] * 2000


def build_output(
    text: str, *, last: bool = True, logprobs: Sequence[TokenLogprob] = ()
) -> EngineOutput:
    """Return an engine output."""
    reason = "stop" if last else None
    return EngineOutput(text, 1, reason, 0.25, 2, logprobs=logprobs)  # type: ignore[arg-type]


def build_request(prompt: Any = "Hi", **fields: Any) -> CompletionRequest:
    """Return a text completion request."""
    body = {"model": "m", "prompt": prompt, **fields}
    return parse_completion_request(json.dumps(body).encode())


def build_record() -> RequestRecord:
    """Return a new record with metrics of its own."""
    return RequestRecord("cmpl-1", Metrics(), ANYBODY)


async def test_each_prompt_is_a_sequence_of_its_own(stages: Stages) -> None:
    engine, record = FakeEngine([build_output(" a")]), build_record()
    batch = await stages.pipeline(engine).complete(
        build_request(["Hi", "Hello there"], n=1), record
    )
    assert [call.request_id for call in engine.calls] == ["cmpl-1-0", "cmpl-1-1"]
    assert [list(call.images) for call in engine.calls] == [[], []]
    assert record.prompt_tokens == sum(len(call.token_ids) for call in engine.calls)
    answer = await collect_completion(batch, build_request(), record)
    assert [choice.text for choice in answer.choices] == [" a", " a"]
    assert answer.usage.prompt_tokens_details.cached_tokens == 4


async def test_sampling_parameters_reach_the_engine_and_the_templates_stop_does_not(
    stages: Stages,
) -> None:
    known = [None, TokenLogprob(6, -1.5, [(6, -1.5)])]
    engine = FakeEngine([replace(build_output("a"), prompt_logprobs=known)])
    options = {"max_tokens": 9, "temperature": 0, "stop": ["x"], "top_k": 3, "seed": 7}
    request = build_request([5, 6], logprobs=2, echo=True, **options)
    batch = await stages.pipeline(engine).complete(request, build_record())
    sampling = engine.calls[0].sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_k) == (9, 0, 3)
    assert (list(sampling.stop), list(sampling.stop_token_ids)) == (["x"], [])
    assert (sampling.logprobs, sampling.prompt_logprobs, sampling.seed) == (2, 2, 7)
    echo = batch.get_echo(0)
    assert echo is not None
    assert [token.logprob for token in echo.tokens] == [None, -1.5]
    await batch.aclose()


async def test_defaults_are_the_checkpoints_and_openais(stages: Stages) -> None:
    engine = FakeEngine([build_output("a")])
    await stages.pipeline(engine).complete(build_request(), build_record())
    sampling = engine.calls[0].sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.5, 0.8, 16)
    assert sampling.logprobs is sampling.prompt_logprobs is None


async def test_scoring_drops_the_generated_token(stages: Stages) -> None:
    engine, record = (
        FakeEngine([build_output(" red", logprobs=[TokenLogprob(421, -1.0, ())])]),
        build_record(),
    )
    request = build_request(max_tokens=0, echo=True)
    batch = await stages.pipeline(engine).complete(request, record)
    answer = await collect_completion(batch, request, record)
    assert engine.calls[0].sampling.max_tokens == 1
    assert [(c.text, c.finish_reason) for c in answer.choices] == [("Hi", "length")]
    assert answer.usage.completion_tokens == 0


async def test_a_prompt_that_fails_before_its_first_output_fails_the_request(
    stages: Stages,
) -> None:
    engine = FakeEngine([EngineUnavailable("gone")])
    with pytest.raises(EngineUnavailable):
        await stages.pipeline(engine).complete(build_request(["a", "b"]), build_record())
    assert engine.closed.is_set()


async def test_cancelling_before_the_first_token_aborts_all_prompts(stages: Stages) -> None:
    engine = FakeEngine([asyncio.Event()])
    request = build_request(["a", "b"])
    waiting = asyncio.create_task(stages.pipeline(engine).complete(request, build_record()))
    await engine.begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert engine.closed.is_set()


@pytest.mark.parametrize(
    ("fields", "error", "param"),
    [
        ({"model": "x"}, ModelNotFound, "model"),
        ({"stop_token_ids": [859]}, InvalidValue, "stop_token_ids"),
        ({"min_tokens": 2, "response_format": {"type": "json_object"}}, InvalidValue, "min_tokens"),
        ({"structured_outputs": {"grammar": "x"}}, InvalidValue, "structured_outputs.grammar"),
        ({"prompt": [0, 4]}, InvalidValue, "prompt[1]"),
        ({"prompt": LONG, "n": 32, "prompt_logprobs": 9}, InvalidValue, "prompt_logprobs"),
        ({"prompt": [LONG] * 32, "prompt_logprobs": 9}, InvalidValue, "prompt_logprobs"),
        ({"prompt": LONG, "n": 32, "logprobs": 9, "echo": True}, InvalidValue, "logprobs"),
    ],
)
async def test_refused_requests_are_not_submitted(
    stages: Stages, fields: dict[str, Any], error: type[Exception], param: str
) -> None:
    engine = FakeEngine([build_output("a")])
    with pytest.raises(error) as raised:
        await stages.pipeline(engine).complete(build_request(**fields), build_record())
    assert getattr(raised.value, "param") == param  # noqa: B009 - of either class
    assert engine.calls == []
