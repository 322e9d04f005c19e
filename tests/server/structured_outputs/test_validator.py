"""Grammars are validated in a worker process, even ones that crash or hang it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import psutil
import pytest
import pytest_asyncio

from server.checkpoint.config import Checkpoint
from server.errors import InvalidValue
from server.protocol.json_size import MAX_JSON_CHARACTERS
from server.structured_outputs.content_format import HEADER
from server.structured_outputs.request_schema import RequestSchema
from server.structured_outputs.schema import build_json_rule
from server.structured_outputs.validator import GrammarConstraint, GrammarValidator
from server.workers.confinement import limit_cpu

# One takes unlimited memory; sentences of the other become too complex once they have begun.
BOMBS = {
    "memory": build_json_rule(
        {"type": "array", "items": {"type": "integer"}, "maxItems": 100_000_000}
    ),
    "later": " | ".join(f'"c{number}"' for number in range(20_000)),
}
# Seconds of work: with only one continuation, all of it is tokenized at each step.
SLOW = GrammarConstraint('%llguidance {}\nstart: "' + "x" * 400_000 + '"\n', "the.field")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def grammars(checkpoint: Checkpoint) -> AsyncIterator[GrammarValidator]:
    """Return a validator with its worker."""
    grammars = GrammarValidator(checkpoint.path)
    yield grammars
    await asyncio.to_thread(grammars.close)


def constraint(rule: str) -> GrammarConstraint:
    """Return the constraint of a rule."""
    return GrammarConstraint(f"{HEADER}start: {rule}\n", "the.field")


async def refuse(grammars: GrammarValidator, rule: str) -> str:
    """Return the message that a rule is refused with."""
    with pytest.raises(InvalidValue) as caught:
        await grammars.validate(constraint(rule), "")
    assert caught.value.param == "the.field"
    return caught.value.message


def compile_forever(grammar: str) -> None:
    """Take a second of CPU time and more, in a worker."""
    limit_cpu(1)
    while True:
        grammar.encode()


def list_workers() -> list[psutil.Process]:
    """Return the worker processes that are alive."""
    children = psutil.Process().children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


async def test_accepts(grammars: GrammarValidator) -> None:
    await grammars.validate(constraint('"a"'), "")
    await grammars.validate(constraint(build_json_rule({"type": "object"})), "")


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("b", "unknown name"),
        ("/(/", "invalid regex"),
        ('%json {"not": {}}', "Unimplemented keys"),
        ('%json {"$ref": "http://example.org/"}', "not present"),
        ('%json {"type": "intger"}', "intger"),
        ('%json {"type": "string", "format": "iban"}', "Unknown format: iban."),
        ('%json {"oneOf": [{"type": "integer"}, {"type": "number"}]}', "use 'anyOf'"),
        ('%json {"type": "string", "pattern": "(?=a)"}', "regex parse error."),
        ("b\nb: b", "nothing satisfies it"),
        ('" "? b\nb: b', "nothing satisfies it"),
    ],
)
async def test_refuses(rule: str, reason: str, grammars: GrammarValidator) -> None:
    message = await refuse(grammars, rule)
    assert reason in message
    assert "\n" not in message
    assert len(message) < 400


async def test_refuses_text_that_is_no_grammar(grammars: GrammarValidator) -> None:
    with pytest.raises(InvalidValue, match="not a grammar"):
        await grammars.validate(GrammarConstraint("nonsense", "the.field"), "")


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_bomb_costs_only_its_own_request(bomb: str, grammars: GrammarValidator) -> None:
    assert "too large or too complex" in await refuse(grammars, BOMBS[bomb])
    await grammars.validate(constraint(f'"after {bomb}"'), "")


async def test_a_grammar_that_takes_too_long(
    grammars: GrammarValidator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.structured_outputs.validator.WALL_S", 0.1)
    with pytest.raises(InvalidValue, match="too large or too complex"):
        await grammars.validate(SLOW, "")
    monkeypatch.undo()
    await grammars.validate(constraint('"after 0.1 s"'), "")


async def test_a_grammar_that_takes_too_much_cpu_time(
    grammars: GrammarValidator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.structured_outputs.validator.validate_grammar", compile_forever)
    assert "too large or too complex" in await refuse(grammars, '"without end"')
    monkeypatch.undo()
    await grammars.validate(constraint('"after the limit"'), "")


async def test_huge_grammars_do_not_get_to_the_worker(grammars: GrammarValidator) -> None:
    assert "too large" in await refuse(grammars, '"' + "a" * MAX_JSON_CHARACTERS + '"')
    await grammars.validate(constraint('"' + "a" * (MAX_JSON_CHARACTERS - 100) + '"'), "")


async def test_a_worker_killed_between_two_grammars(grammars: GrammarValidator) -> None:
    await grammars.validate(constraint('"before the kill"'), "")
    (worker,) = list_workers()
    os.kill(worker.pid, signal.SIGKILL)
    await grammars.validate(constraint('"after the kill"'), "")
    assert [each.pid for each in list_workers()] != [worker.pid]


async def test_a_worker_killed_at_work(grammars: GrammarValidator) -> None:
    await grammars.validate(constraint('"before another kill"'), "")
    (worker,) = list_workers()
    os.kill(worker.pid, signal.SIGSTOP)
    checking = asyncio.create_task(grammars.validate(constraint('"at work"'), ""))
    for _ in range(2):  # the call is a task of its own
        await asyncio.sleep(0)
    os.kill(worker.pid, signal.SIGKILL)
    await checking
    assert [each.pid for each in list_workers()] != [worker.pid]


async def test_a_stopped_worker_costs_one_request(
    grammars: GrammarValidator, monkeypatch: pytest.MonkeyPatch
) -> None:
    await grammars.validate(constraint('"before the stop"'), "")
    (worker,) = list_workers()
    os.kill(worker.pid, signal.SIGSTOP)
    monkeypatch.setattr("server.structured_outputs.validator.WALL_S", 0.5)
    with pytest.raises(InvalidValue, match="too large or too complex"):
        async with asyncio.timeout(5):
            await grammars.validate(constraint('"at the stop"'), "")
    monkeypatch.undo()
    await grammars.validate(constraint('"at the stop"'), "")  # the refusal is not cached


async def test_a_worker_stopped_while_it_prunes(
    grammars: GrammarValidator, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = RequestSchema({"not": {}}, "the.schema", strict=False)
    pruned = GrammarConstraint("", "the.field", [schema])
    await grammars.validate(constraint('"before pruning"'), "")
    (worker,) = list_workers()
    os.kill(worker.pid, signal.SIGSTOP)
    monkeypatch.setattr("server.structured_outputs.validator.WALL_S", 0.5)
    with pytest.raises(InvalidValue, match="too large or too complex"):
        await grammars.prune(pruned, "")
    monkeypatch.undo()
    assert list(await grammars.prune(pruned, "")) == ["the.schema"]


async def test_a_cancelled_validation_harms_no_other(grammars: GrammarValidator) -> None:
    checking = asyncio.create_task(grammars.validate(constraint(build_json_rule({"const": 5})), ""))
    await asyncio.sleep(0)
    checking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await checking
    await grammars.validate(constraint('"after a client left"'), "")


async def test_many_at_once(grammars: GrammarValidator) -> None:
    good = [constraint(f'"{number % 5}"') for number in range(50)]
    bad = [constraint(f"/({number % 5}/") for number in range(50)]
    results = await asyncio.gather(
        *(grammars.validate(each, "") for each in [*good, *bad]), return_exceptions=True
    )
    assert results[:50] == [None] * 50
    assert all(isinstance(result, InvalidValue) for result in results[50:])


async def test_results_are_cached(checkpoint: Checkpoint) -> None:
    grammars = GrammarValidator(checkpoint.path)
    others = {each.pid for each in list_workers()}
    good, bad = constraint('"kept"'), constraint("/(kept/")
    await grammars.validate(good, "")
    with pytest.raises(InvalidValue):
        await grammars.validate(bad, "")
    await asyncio.to_thread(grammars.close)
    await grammars.validate(good, "")
    with pytest.raises(InvalidValue):
        await grammars.validate(bad, "")
    assert {each.pid for each in list_workers()} <= others
