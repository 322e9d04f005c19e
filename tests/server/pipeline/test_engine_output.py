"""Deltas and errors from engine outputs."""

from collections.abc import Sequence

import pytest

from server.engine.base import EngineOutput
from server.errors import (
    EngineUnavailable,
)
from tests.server.fake_engine import FakeEngine
from tests.server.pipeline.stages import (
    Stages,
    build_output,
    build_record,
    build_request,
    generate_deltas,
)

# One event loop, since the tests of a module share workers, as in a server.
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def generate_texts(script: Sequence[EngineOutput], stages: Stages) -> list[str]:
    """Return the deltas' texts for the outputs of an engine."""
    return [
        each.text
        for each in await generate_deltas(stages.pipeline(FakeEngine(script)), build_request())
    ]


@pytest.mark.parametrize(
    ("output_texts", "delta_texts"),
    [
        ([" It", " is", " red."], ["It", " is", " red."]),
        (["It", " is"], ["It", " is"]),
        (["", " ", "\n", " It", " is "], ["", "", "", "It", " is "]),
        (["  \n It is\n"], ["It is\n"]),
        ([" ", ""], ["", ""]),
        ([""], [""]),
    ],
)
async def test_leading_white_space_is_stripped(
    output_texts: list[str], delta_texts: list[str], stages: Stages
) -> None:
    script = [build_output(text, last=text is output_texts[-1]) for text in output_texts]
    assert await generate_texts(script, stages) == delta_texts


async def test_an_engine_that_fails_before_the_first_output(stages: Stages) -> None:
    engine = FakeEngine([EngineUnavailable("The engine failed.")])
    with pytest.raises(EngineUnavailable):
        await stages.pipeline(engine).generate(build_request(), build_record())
    assert engine.closed.is_set()


async def test_an_engine_that_fails_midway(stages: Stages) -> None:
    engine = FakeEngine([build_output("a"), EngineUnavailable("The engine failed.")])
    outputs = await stages.pipeline(engine).generate(build_request(), build_record())
    assert (await anext(outputs)).text == "a"
    with pytest.raises(EngineUnavailable):
        await anext(outputs)
    assert engine.closed.is_set()


async def test_an_engine_without_any_output(stages: Stages) -> None:
    with pytest.raises(EngineUnavailable):
        await stages.pipeline(FakeEngine([])).generate(build_request(), build_record())
