"""The generations of several prompts, merged into one."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from server.completions.batch_generation import BatchGeneration
from server.engine.base import EngineOutput
from server.errors import EngineUnavailable
from server.generation.choice_delta import ChoiceDelta
from server.generation.generation import Generation
from server.telemetry.caller import ANYBODY
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord
from tests.server.samples import sample, stage_count

Item = EngineOutput | Exception | asyncio.Event


class ScriptedPrompt:
    """One prompt in the engine: plays a script and records its progress."""

    def __init__(self, *script: Item) -> None:
        self.script = script
        self.num_outputs = 0
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
                    self.num_outputs += 1
                    self.working.set()
                    yield item
        finally:
            self.ended = True


def build_output(text: str, *, last: bool = False, index: int = 0) -> EngineOutput:
    """Return an engine output."""
    return EngineOutput(text, 1, "stop" if last else None, 0.25, 3, index)


def build_batch(
    prompts: Sequence[ScriptedPrompt], n: int = 1, record: RequestRecord | None = None
) -> BatchGeneration:
    """Return the prompts' generations as a batch."""
    record = record or RequestRecord("cmpl-1", Metrics(), ANYBODY)
    return BatchGeneration(
        [
            Generation(prompt.outputs(), record, n=n, first_index=index * n)
            for index, prompt in enumerate(prompts)
        ]
    )


async def collect_texts(batch: BatchGeneration) -> dict[int, str]:
    """Return the text of each choice."""
    answers: dict[int, str] = {}
    async for delta in batch:
        answers[delta.index] = answers.get(delta.index, "") + "".join(map(str, delta.content))
    return answers


async def test_a_batch_yields_all_choices_of_all_prompts() -> None:
    prompts = [
        ScriptedPrompt(
            build_output("a"), build_output("b", last=True), build_output("c", index=1, last=True)
        ),
        ScriptedPrompt(
            build_output("d", index=1),
            build_output("e", last=True),
            build_output("f", last=True, index=1),
        ),
    ]
    batch = build_batch(prompts, n=2)
    await batch.await_first()
    assert batch.num_choices == 4
    assert await collect_texts(batch) == {0: "ab", 1: "c", 2: "e", 3: "df"}
    await batch.aclose()
    assert all(prompt.ended for prompt in prompts)


async def test_a_slow_prompt_does_not_delay_others() -> None:
    gate = asyncio.Event()
    prompts = [
        ScriptedPrompt(build_output("a"), gate, build_output("b", last=True)),
        ScriptedPrompt(build_output("c"), build_output("d", last=True)),
    ]
    batch = build_batch(prompts)
    await batch.await_first()
    seen: list[ChoiceDelta] = []
    async for delta in batch:
        seen.append(delta)
        if delta.index == 1 and delta.finish_reason:
            gate.set()
    assert [delta.index for delta in seen if delta.finish_reason] == [1, 0]
    await batch.aclose()


async def test_prompts_run_concurrently() -> None:
    second = asyncio.Event()
    waiting = ScriptedPrompt(second, build_output("a", last=True))
    opening = ScriptedPrompt(build_output("b", last=True))
    batch = build_batch([waiting, opening])
    first = asyncio.create_task(batch.await_first())
    await opening.working.wait()
    assert waiting.begun
    second.set()
    await first
    assert await collect_texts(batch) == {0: "a", 1: "b"}
    await batch.aclose()


async def test_a_failure_before_the_first_output_cancels_the_others() -> None:
    never = asyncio.Event()
    prompts = [
        ScriptedPrompt(build_output("a"), build_output("b", last=True)),
        ScriptedPrompt(never),
        ScriptedPrompt(EngineUnavailable("gone")),
    ]
    batch = build_batch(prompts)
    with pytest.raises(EngineUnavailable, match="gone"):
        await batch.await_first()
    assert prompts[1].ended
    assert not prompts[0].ended  # it has yielded its first output already
    await batch.aclose()
    assert all(prompt.ended for prompt in prompts)


async def test_a_later_failure_is_raised_and_closing_aborts_the_others() -> None:
    never = asyncio.Event()
    prompts = [
        ScriptedPrompt(build_output("a"), never),
        ScriptedPrompt(build_output("b"), EngineUnavailable("gone")),
    ]
    batch = build_batch(prompts)
    await batch.await_first()
    with pytest.raises(EngineUnavailable, match="gone"):
        await collect_texts(batch)
    assert not prompts[0].ended
    await batch.aclose()
    assert prompts[0].ended


@pytest.mark.parametrize("begun", [False, True])
async def test_closing_aborts_all_with_or_without_iteration(begun: bool) -> None:
    never = asyncio.Event()
    prompts = [ScriptedPrompt(build_output("a"), never) for _ in range(3)]
    batch = build_batch(prompts)
    await batch.await_first()
    if begun:
        async for _ in batch:
            break
    before = asyncio.all_tasks()
    await batch.aclose()
    assert all(prompt.ended for prompt in prompts)
    assert asyncio.all_tasks() <= before - set(batch._tasks)


async def test_generations_do_not_run_ahead_of_the_reader() -> None:
    prompt = ScriptedPrompt(*[build_output("a")] * 50, build_output("b", last=True))
    batch = build_batch([prompt, ScriptedPrompt(build_output("c", last=True))])
    await batch.await_first()
    async for _ in batch:
        break
    for _ in range(100):
        await asyncio.sleep(0)
    assert prompt.num_outputs < 8
    await batch.aclose()


async def test_a_choice_without_a_finish_reason_is_an_error() -> None:
    batch = build_batch(
        [ScriptedPrompt(build_output("a", last=True)), ScriptedPrompt(build_output("b"))]
    )
    await batch.await_first()
    with pytest.raises(EngineUnavailable):
        await collect_texts(batch)
    await batch.aclose()


async def test_the_record_counts_all_prompts_as_one_request() -> None:
    metrics = Metrics()
    with RequestRecord("cmpl-1", metrics, ANYBODY) as record:
        batch = build_batch(
            [ScriptedPrompt(build_output("a", last=True)) for _ in range(3)], record=record
        )
        await batch.await_first()
        await collect_texts(batch)
        record.mark_complete()
    assert (record.cached_tokens, record.completion_tokens) == (9, 3)
    assert sample(metrics, "num_requests_waiting") == 0
    assert sample(metrics, "time_to_first_token_seconds_count") == 1
    assert stage_count(metrics, "first_token") == 3
