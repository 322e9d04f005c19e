"""Clients that disconnect and requests that fail cancel their work."""

import asyncio

import pytest

from server.concurrency import gather_or_cancel
from server.engine.base import SamplingOptions
from server.errors import (
    ImageFetchFailed,
)
from server.generation.generation import Generation
from tests.server.fake_engine import FakeEngine
from tests.server.origin import build_response, serve_origin
from tests.server.pictures import encode_image, make_noise
from tests.server.pipeline.stages import (
    OUTPUTS,
    Stages,
    build_output,
    build_record,
    build_request,
    generate_deltas,
)

# One event loop, since the tests of a module share workers, as in a server.
pytestmark = pytest.mark.asyncio(loop_scope="module")


SAMPLING = SamplingOptions(1, 0.0, 1.0, None, (), ignore_eos=False)


async def test_the_first_image_error_cancels_the_other_images(isolated_stages: Stages) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        asked.set()
        assert await reader.read() == b""
        left.set()

    async def broken(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked.wait()
        writer.write(build_response("404 Not Found"))

    engine = FakeEngine(OUTPUTS)
    async with serve_origin({"/silent": silent, "/broken": broken}) as server:
        request = build_request(f"{server.url}/silent", f"{server.url}/broken")
        with pytest.raises(ImageFetchFailed, match="404") as caught:
            await generate_deltas(isolated_stages.pipeline(engine), request)
        assert caught.value.param == "messages[0].content[1].image_url.url"
        await asyncio.wait_for(left.wait(), 20)
    assert engine.calls == []


async def test_cancelling_a_request_cancels_its_fetches(isolated_stages: Stages) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        asked.set()
        assert await reader.read() == b""
        left.set()

    async with serve_origin({"/": silent}) as server:
        engine = FakeEngine(OUTPUTS)
        request = build_request(f"{server.url}/")
        answering = asyncio.create_task(generate_deltas(isolated_stages.pipeline(engine), request))
        await asked.wait()
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        await asyncio.wait_for(left.wait(), 20)
    assert engine.calls == []


async def test_a_shared_fetch_survives_the_cancellation_of_one_request(
    isolated_stages: Stages,
) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go.wait()
        writer.write(build_response("200 OK", encode_image(make_noise(60, 40))))

    async with serve_origin({"/": slow}) as server:
        engine = FakeEngine(OUTPUTS)
        pipeline, request = isolated_stages.pipeline(engine), build_request(f"{server.url}/")
        cancelled, other = (
            asyncio.create_task(generate_deltas(pipeline, request)) for _ in range(2)
        )
        await asked.wait()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        go.set()
        assert len(await other) == 3
        assert len(server.requests) == 1


async def test_cancelling_before_the_first_token_aborts_the_sequence(stages: Stages) -> None:
    engine = FakeEngine([asyncio.Event()])
    waiting = asyncio.create_task(stages.pipeline(engine).generate(build_request(), build_record()))
    await engine.begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert engine.closed.is_set()


async def test_closing_a_generation_midway_aborts_the_sequence(stages: Stages) -> None:
    engine = FakeEngine(OUTPUTS)
    outputs = await stages.pipeline(engine).generate(build_request(), build_record())
    await anext(outputs)
    assert not engine.closed.is_set()
    await outputs.aclose()
    assert engine.closed.is_set()


async def test_cancelling_the_reader_aborts_the_sequence(stages: Stages) -> None:
    engine = FakeEngine([build_output("a"), asyncio.Event()])
    outputs = await stages.pipeline(engine).generate(build_request(), build_record())
    await anext(outputs)
    reading = asyncio.ensure_future(anext(outputs))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert engine.closed.is_set()


async def test_reading_to_the_end_closes_the_sequence(stages: Stages) -> None:
    engine = FakeEngine(OUTPUTS)
    await generate_deltas(stages.pipeline(engine), build_request())
    assert engine.closed.is_set()


async def test_closing_an_unread_generation_aborts_the_sequence() -> None:
    engine = FakeEngine([build_output("a"), asyncio.Event()])
    generation = Generation(
        engine.generate("1", [1], [], SAMPLING, stream=True, cache_partition=""), build_record()
    )
    await generation.await_first()
    await generation.aclose()
    assert engine.closed.is_set()


async def test_gather_or_cancel_awaits_the_cancelled_work_before_it_raises() -> None:
    released = asyncio.Event()
    begun = asyncio.Event()

    async def slow() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            released.set()

    async def broken() -> None:
        await begun.wait()
        raise LookupError

    with pytest.raises(LookupError):
        await gather_or_cancel([slow(), broken()])
    assert released.is_set()
