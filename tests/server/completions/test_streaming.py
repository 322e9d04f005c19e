"""Text completions and chunks of scripted engine outputs."""

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary, build_token_text
from server.completions.batch_generation import BatchGeneration
from server.completions.prompt_echo import PromptEcho
from server.completions.streaming import collect_completion, stream_completion
from server.engine.base import EngineOutput, TokenLogprob
from server.errors import EngineUnavailable
from server.generation.choice_delta import DecodedToken
from server.generation.choice_reader import ChoiceReader
from server.generation.generation import Generation
from server.generation.logprobs import AllTokensReader
from server.generation.tool_call_parser import TextOnlyParser
from server.protocol.completions.request import CompletionRequest
from server.protocol.completions.response import TextCompletion
from server.telemetry.caller import ANYBODY
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord
from tests.server.samples import sample

RED, END = " red", "</s>"


@pytest.fixture(scope="module")
def vocabulary(checkpoint: Checkpoint) -> Vocabulary:
    """Return the embedded model's vocabulary."""
    return Vocabulary(checkpoint.path)


@pytest.fixture
def record(metrics: Metrics) -> RequestRecord:
    """Return the record of a request."""
    record = RequestRecord("cmpl-1", metrics, ANYBODY)
    record.record_submission(10, 0)
    return record


def build_request(**fields: Any) -> CompletionRequest:
    """Return a request."""
    return CompletionRequest(model="m", prompt="a", **fields)


def build_output(
    text: str, *, last: bool = False, tokens: Sequence[TokenLogprob] = (), index: int = 0
) -> EngineOutput:
    """Return an engine output."""
    reason = "stop" if last else None
    return EngineOutput(text, len(tokens) or 1, reason, 0.0, 0, index, logprobs=tokens)  # type: ignore[arg-type]


async def play_outputs(
    items: Sequence[EngineOutput | Exception],
) -> AsyncGenerator[EngineOutput, None]:
    """Yield outputs; exceptions are raised."""
    for item in items:
        if isinstance(item, Exception):
            raise item
        yield item


def build_batch(
    vocabulary: Vocabulary,
    record: RequestRecord,
    *scripts: Sequence[EngineOutput | Exception],
    n: int = 1,
) -> BatchGeneration:
    """Return a batch with log probabilities, one script per prompt."""

    def build_reader(index: int) -> ChoiceReader:
        return ChoiceReader(
            index, TextOnlyParser(), AllTokensReader(vocabulary, 2), keep_leading_space=True
        )

    return BatchGeneration(
        [
            Generation(play_outputs(script), record, build_reader, n, first_index=number * n)
            for number, script in enumerate(scripts)
        ]
    )


async def stream_chunks(
    batch: BatchGeneration, request: CompletionRequest, record: RequestRecord
) -> tuple[list[dict[str, Any]], bytes]:
    """Return the chunks of a stream and its last event."""
    await batch.await_first()
    *events, last = [event async for event in stream_completion(batch, request, record)]
    return [json.loads(event.removeprefix(b"data: ")) for event in events], last


async def test_white_space_is_kept(vocabulary: Vocabulary, record: RequestRecord) -> None:
    batch = build_batch(
        vocabulary, record, [build_output("  \n red "), build_output("\n", last=True)]
    )
    answer = await collect_completion(batch, build_request(), record)
    assert answer.choices[0].text == "  \n red \n"


async def test_a_token_without_text_is_reported_with_its_offset(
    vocabulary: Vocabulary, record: RequestRecord
) -> None:
    tokens = [
        TokenLogprob(421, -0.5, [(421, -0.5), (5, -2.0)]),
        TokenLogprob(1, -0.25, [(1, -0.25)]),
    ]
    batch = build_batch(vocabulary, record, [build_output(RED, last=True, tokens=tokens)])
    answer = await collect_completion(batch, build_request(logprobs=1), record)
    completion = TextCompletion.model_validate_json(answer.model_dump_json())
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens == [RED, END]
    assert logprobs.token_logprobs == [-0.5, -0.25]
    assert logprobs.top_logprobs == [{RED: -0.5, "!": -2.0}, {END: -0.25}]
    assert logprobs.text_offset == [0, 4]


async def test_a_log_probability_of_minus_infinity_is_valid_json(
    vocabulary: Vocabulary, record: RequestRecord
) -> None:
    tokens = [TokenLogprob(421, float("-inf"), [(5, -0.1), (421, float("-inf"))])]
    batch = build_batch(vocabulary, record, [build_output(RED, last=True, tokens=tokens)])
    chunks, _ = await stream_chunks(batch, build_request(logprobs=1, stream=True), record)
    assert chunks[0]["choices"][0]["logprobs"]["token_logprobs"] == [-9999.0]


async def test_offsets_continue_over_chunks_after_the_echo(
    vocabulary: Vocabulary, record: RequestRecord
) -> None:
    red = [TokenLogprob(421, -0.5, [(421, -0.5)])]
    batch = build_batch(
        vocabulary,
        record,
        [build_output(RED, tokens=red), build_output(RED, last=True, tokens=red)],
    )
    batch.echoes = [
        PromptEcho(
            "ab",
            [
                DecodedToken(build_token_text(b"", "<s>"), None),
                DecodedToken(build_token_text(b" ab"), -1.0),
            ],
            1,
        )
    ]
    request = build_request(logprobs=0, echo=True, stream=True)
    chunks, last = await stream_chunks(batch, request, record)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert "".join(choice["text"] for choice in choices) == "ab red red"
    offsets = [offset for choice in choices for offset in choice["logprobs"]["text_offset"]]
    assert offsets == [0, 0, 2, 6]
    assert choices[0]["logprobs"]["top_logprobs"] == [None, {" ab": -1.0}]
    assert last == b"data: [DONE]\n\n"


async def test_each_choice_starts_with_its_own_prompt(
    vocabulary: Vocabulary, record: RequestRecord
) -> None:
    scripts = [
        [build_output(f" {number}", last=True, index=each) for each in (0, 1)] for number in (7, 8)
    ]
    batch = build_batch(vocabulary, record, *scripts, n=2)
    batch.echoes = [PromptEcho("a"), PromptEcho("b")]
    answer = await collect_completion(batch, build_request(n=2, echo=True), record)
    assert [choice.text for choice in answer.choices] == ["a 7", "a 7", "b 8", "b 8"]


@pytest.mark.parametrize("error", [EngineUnavailable("gone"), ZeroDivisionError("secret")])
async def test_an_error_is_the_last_event(
    vocabulary: Vocabulary, metrics: Metrics, error: Exception
) -> None:
    with RequestRecord("cmpl-1", metrics, ANYBODY) as record:
        batch = build_batch(
            vocabulary, record, [build_output("a"), error], [build_output("b", last=True)]
        )
        _, last = await stream_chunks(batch, build_request(stream=True), record)
        await batch.aclose()
    error_body = json.loads(last.removeprefix(b"data: "))["error"]
    assert "secret" not in error_body["message"]
    code = error.code if isinstance(error, EngineUnavailable) else "internal_error"
    assert error_body["code"] == code
    assert sample(metrics, "requests_total", outcome=code) == 1


async def test_an_error_is_raised_without_a_stream(
    vocabulary: Vocabulary, record: RequestRecord
) -> None:
    batch = build_batch(vocabulary, record, [build_output("a"), EngineUnavailable("gone")])
    with pytest.raises(EngineUnavailable):
        await collect_completion(batch, build_request(), record)
    await batch.aclose()


async def test_outputs_without_text_have_no_chunk(
    vocabulary: Vocabulary, record: RequestRecord
) -> None:
    batch = build_batch(
        vocabulary, record, [build_output("a"), build_output(""), build_output("", last=True)]
    )
    options = {"include_usage": True, "continuous_usage_stats": True}
    request = build_request(stream=True, stream_options=options)
    chunks, _ = await stream_chunks(batch, request, record)
    assert [[c["finish_reason"] for c in chunk["choices"]] for chunk in chunks] == [
        [None],
        ["stop"],
        [],
    ]
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert counts == sorted(counts)
    assert counts[-2:] == [3, 3]
