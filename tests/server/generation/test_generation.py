"""The choices of one request, interleaved in the engine's outputs."""

from collections.abc import AsyncGenerator

import pytest

from server.engine.base import EngineOutput
from server.errors import EngineUnavailable
from server.generation.choice_delta import ChoiceDelta
from server.generation.generation import Generation
from server.telemetry.caller import ANYBODY
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord


async def play_outputs(*items: EngineOutput) -> AsyncGenerator[EngineOutput, None]:
    """Yield outputs as an engine does."""
    for item in items:
        yield item


def build_output(index: int, text: str, *, ends: bool = False, tokens: int = 1) -> EngineOutput:
    """Return an output of one choice."""
    return EngineOutput(text, tokens, "stop" if ends else None, 0.1, 7, index=index)


async def collect_deltas(generation: Generation) -> list[ChoiceDelta]:
    """Return all deltas."""
    await generation.await_first()
    return [delta async for delta in generation]


@pytest.fixture
def record(metrics: Metrics) -> RequestRecord:
    """Return a record."""
    return RequestRecord("1", metrics, ANYBODY)


async def test_interleaved_choices_are_read_separately(record: RequestRecord) -> None:
    items = [
        build_output(1, " B"),
        build_output(0, ""),
        build_output(0, " A"),
        build_output(2, " C", ends=True),
        build_output(1, " b", ends=True, tokens=3),
        build_output(0, " a", ends=True),
    ]
    deltas = await collect_deltas(Generation(play_outputs(*items), record, n=3))
    text = dict.fromkeys(range(3), "")
    for delta in deltas:
        text[delta.index] += delta.text
    assert text == {0: "A a", 1: "B b", 2: "C"}
    ends = [(delta.index, delta.finish_reason) for delta in deltas if delta.finish_reason]
    assert ends == [(2, "stop"), (1, "stop"), (0, "stop")]
    assert (record.completion_tokens, record.cached_tokens) == (8, 7)


@pytest.mark.parametrize("missing", range(3))
async def test_a_choice_without_a_finish_reason_is_an_error(
    missing: int, record: RequestRecord
) -> None:
    items = [build_output(index, "a", ends=index != missing) for index in range(3)]
    with pytest.raises(EngineUnavailable, match="early"):
        await collect_deltas(Generation(play_outputs(*items), record, n=3))


async def test_no_output_at_all_is_an_error(record: RequestRecord) -> None:
    with pytest.raises(EngineUnavailable, match="dropped"):
        await Generation(play_outputs(), record).await_first()


async def test_closing_aborts_with_or_without_iteration(record: RequestRecord) -> None:
    closed = []

    async def endless() -> AsyncGenerator[EngineOutput, None]:
        try:
            while True:
                yield build_output(0, "a")
        finally:
            closed.append(True)

    read = Generation(endless(), record)
    await read.await_first()
    await read.aclose()
    await Generation(endless(), record).aclose()
    assert closed == [True]
    with pytest.raises(EngineUnavailable):
        await anext(Generation(play_outputs(), record))
