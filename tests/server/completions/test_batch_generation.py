"""Several generations as one: all deltas of all, and an end for all."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from server.completions.batch_generation import BatchGeneration
from server.engine.base import EngineOutput
from server.errors import EngineUnavailable
from server.generation.choice_delta import ChoiceDelta
from server.generation.generation import Generation
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord

Item = EngineOutput | Exception | asyncio.Event


class Prompt:
    """One prompt in the engine: hands out a script, and notes how far it got."""

    def __init__(self, *script: Item) -> None:
        self.script = script
        self.handed_out = 0
        self.working = asyncio.Event()
        self.begun = False
        self.ended = False

    async def outputs(self) -> AsyncGenerator[EngineOutput, None]:
        """Play the script."""
        self.begun = True
        try:
            for item in self.script:
                if isinstance(item, Exception):
                    raise item
                if isinstance(item, asyncio.Event):
                    await item.wait()
                else:
                    self.handed_out += 1
                    self.working.set()
                    yield item
        finally:
            self.ended = True


def output(text: str, *, last: bool = False, index: int = 0) -> EngineOutput:
    """Return what an engine hands over."""
    return EngineOutput(text, 1, "stop" if last else None, 0.25, 3, index)


def batch_of(
    prompts: Sequence[Prompt], n: int = 1, record: RequestRecord | None = None
) -> BatchGeneration:
    """Return the prompts' answers as one."""
    record = record or RequestRecord("cmpl-1", Metrics())
    return BatchGeneration(
        [
            Generation(prompt.outputs(), record, n=n, first_index=index * n)
            for index, prompt in enumerate(prompts)
        ]
    )


async def texts(batch: BatchGeneration) -> dict[int, str]:
    """Return the text of each answer."""
    answers: dict[int, str] = {}
    async for delta in batch:
        answers[delta.index] = answers.get(delta.index, "") + "".join(map(str, delta.content))
    return answers


async def test_all_answers_of_all_prompts_come_out() -> None:
    prompts = [
        Prompt(output("a"), output("b", last=True), output("c", index=1, last=True)),
        Prompt(output("d", index=1), output("e", last=True), output("f", last=True, index=1)),
    ]
    batch = batch_of(prompts, n=2)
    await batch.await_first()
    assert batch.num_choices == 4
    assert await texts(batch) == {0: "ab", 1: "c", 2: "e", 3: "df"}
    await batch.aclose()
    assert all(prompt.ended for prompt in prompts)


async def test_a_slow_prompt_holds_up_no_other() -> None:
    gate = asyncio.Event()
    prompts = [
        Prompt(output("a"), gate, output("b", last=True)),
        Prompt(output("c"), output("d", last=True)),
    ]
    batch = batch_of(prompts)
    await batch.await_first()
    seen: list[ChoiceDelta] = []
    async for delta in batch:
        seen.append(delta)
        if delta.index == 1 and delta.finish_reason:
            gate.set()
    assert [delta.index for delta in seen if delta.finish_reason] == [1, 0]
    await batch.aclose()


async def test_prompts_run_at_the_same_time() -> None:
    second = asyncio.Event()
    waiting = Prompt(second, output("a", last=True))
    opening = Prompt(output("b", last=True))
    batch = batch_of([waiting, opening])
    first = asyncio.create_task(batch.await_first())
    await opening.working.wait()
    assert waiting.begun
    second.set()
    await first
    assert await texts(batch) == {0: "a", 1: "b"}
    await batch.aclose()


async def test_a_failure_before_the_first_output_ends_all() -> None:
    never = asyncio.Event()
    prompts = [
        Prompt(output("a"), output("b", last=True)),
        Prompt(never),
        Prompt(EngineUnavailable("gone")),
    ]
    batch = batch_of(prompts)
    with pytest.raises(EngineUnavailable, match="gone"):
        await batch.await_first()
    assert prompts[1].ended
    assert not prompts[0].ended  # it has handed out its first output already
    await batch.aclose()
    assert all(prompt.ended for prompt in prompts)


async def test_a_later_failure_is_raised_once_and_closing_ends_the_others() -> None:
    never = asyncio.Event()
    prompts = [
        Prompt(output("a"), never),
        Prompt(output("b"), EngineUnavailable("gone")),
    ]
    batch = batch_of(prompts)
    await batch.await_first()
    with pytest.raises(EngineUnavailable, match="gone"):
        await texts(batch)
    assert not prompts[0].ended
    await batch.aclose()
    assert prompts[0].ended


@pytest.mark.parametrize("begun", [False, True])
async def test_closing_ends_all_whether_it_was_begun_or_not(begun: bool) -> None:
    never = asyncio.Event()
    prompts = [Prompt(output("a"), never) for _ in range(3)]
    batch = batch_of(prompts)
    await batch.await_first()
    if begun:
        async for _ in batch:
            break
    before = asyncio.all_tasks()
    await batch.aclose()
    assert all(prompt.ended for prompt in prompts)
    assert asyncio.all_tasks() <= before - set(batch._tasks)


async def test_nothing_is_taken_from_the_engine_that_nobody_reads() -> None:
    prompt = Prompt(*[output("a")] * 50, output("b", last=True))
    batch = batch_of([prompt, Prompt(output("c", last=True))])
    await batch.await_first()
    async for _ in batch:
        break
    for _ in range(100):
        await asyncio.sleep(0)
    assert prompt.handed_out < 8
    await batch.aclose()


async def test_an_answer_that_ends_early_is_an_error() -> None:
    batch = batch_of([Prompt(output("a", last=True)), Prompt(output("b"))])
    await batch.await_first()
    with pytest.raises(EngineUnavailable):
        await texts(batch)
    await batch.aclose()


async def test_a_record_counts_all_prompts_but_one_request() -> None:
    metrics = Metrics()
    with RequestRecord("cmpl-1", metrics) as record:
        batch = batch_of([Prompt(output("a", last=True)) for _ in range(3)], record=record)
        await batch.await_first()
        await texts(batch)
        record.mark_complete()
    assert (record.cached_tokens, record.completion_tokens) == (9, 3)
    value = metrics.registry.get_sample_value
    assert value("llava:num_requests_waiting") == 0
    assert value("llava:time_to_first_token_seconds_count") == 1
    assert value("llava:stage_seconds_count", {"stage": "first_token"}) == 3
