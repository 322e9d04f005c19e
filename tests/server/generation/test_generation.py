"""The answers to one request, as they come from the engine one beside the other."""

from collections.abc import AsyncGenerator

import pytest

from server.engine.base import EngineOutput
from server.errors import EngineUnavailable
from server.generation.choice_delta import ChoiceDelta
from server.generation.generation import Generation
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord


async def outputs(*items: EngineOutput) -> AsyncGenerator[EngineOutput, None]:
    """Hand over outputs as an engine does."""
    for item in items:
        yield item


def gained(index: int, text: str, *, ends: bool = False, tokens: int = 1) -> EngineOutput:
    """Return what one of the answers gains."""
    return EngineOutput(text, tokens, "stop" if ends else None, 0.1, 7, index=index)


async def deltas(generation: Generation) -> list[ChoiceDelta]:
    """Return all deltas."""
    await generation.await_first()
    return [delta async for delta in generation]


@pytest.fixture
def record(metrics: Metrics) -> RequestRecord:
    """Return a record."""
    return RequestRecord("1", metrics)


async def test_answers_come_interleaved_and_each_is_read_for_itself(record: RequestRecord) -> None:
    items = [
        gained(1, " B"),
        gained(0, ""),
        gained(0, " A"),
        gained(2, " C", ends=True),
        gained(1, " b", ends=True, tokens=3),
        gained(0, " a", ends=True),
    ]
    found = await deltas(Generation(outputs(*items), record, n=3))
    text = dict.fromkeys(range(3), "")
    for delta in found:
        text[delta.index] += "".join(piece for piece in delta.content if isinstance(piece, str))
    assert text == {0: "A a", 1: "B b", 2: "C"}
    ends = [(delta.index, delta.finish_reason) for delta in found if delta.finish_reason]
    assert ends == [(2, "stop"), (1, "stop"), (0, "stop")]
    assert (record.completion_tokens, record.cached_tokens) == (8, 7)


@pytest.mark.parametrize("missing", range(3))
async def test_an_answer_that_does_not_end_is_an_error(missing: int, record: RequestRecord) -> None:
    items = [gained(index, "a", ends=index != missing) for index in range(3)]
    with pytest.raises(EngineUnavailable, match="early"):
        await deltas(Generation(outputs(*items), record, n=3))


async def test_no_output_at_all_is_an_error(record: RequestRecord) -> None:
    with pytest.raises(EngineUnavailable, match="dropped"):
        await Generation(outputs(), record).await_first()


async def test_closing_aborts_whether_begun_or_not(record: RequestRecord) -> None:
    closed = []

    async def endless() -> AsyncGenerator[EngineOutput, None]:
        try:
            while True:
                yield gained(0, "a")
        finally:
            closed.append(True)

    begun = Generation(endless(), record)
    await begun.await_first()
    await begun.aclose()
    await Generation(endless(), record).aclose()
    assert closed == [True]
    with pytest.raises(EngineUnavailable):
        await anext(Generation(outputs(), record))
