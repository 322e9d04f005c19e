"""Grammars are judged by a worker process, whatever they do to it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace

import psutil
import pytest
import pytest_asyncio

from server.checkpoint import Checkpoint
from server.errors import InvalidValue
from server.grammar.build import HEADER, Constraint
from server.grammar.checker import MAX_CHARACTERS, GrammarChecker
from server.grammar.proof import WALL_S
from server.grammar.rules import json_rule

# Memory without end, and a sentence that becomes too complex once it has begun.
BOMBS = {
    "memory": json_rule(
        {"type": "array", "items": {"type": "integer"}, "maxItems": 100_000_000}, 100
    ),
    "later": " | ".join(f'"c{number}"' for number in range(20_000)),
}
# Half a minute of work: with nothing but one way to go on, all of it is tokenised at each step.
SLOW = Constraint('%llguidance {}\nstart: "' + "x" * 400_000 + '"\n', "the.field")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def grammars(checkpoint: Checkpoint) -> AsyncIterator[GrammarChecker]:
    """Return a checker with its worker."""
    grammars = GrammarChecker(checkpoint.path)
    yield grammars
    await asyncio.to_thread(grammars.close)


def constraint(rule: str) -> Constraint:
    """Return the constraint of a rule."""
    return Constraint(f"{HEADER}start: {rule}\n", "the.field")


async def refusal(grammars: GrammarChecker, rule: str) -> str:
    """Return what a rule is refused with."""
    with pytest.raises(InvalidValue) as caught:
        await grammars.check(constraint(rule))
    assert caught.value.param == "the.field"
    return caught.value.message


def workers() -> list[psutil.Process]:
    """Return the worker processes that live."""
    children = psutil.Process().children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


async def test_accepts(grammars: GrammarChecker) -> None:
    await grammars.check(constraint('"a"'))
    await grammars.check(constraint(json_rule({"type": "object"}, 100)))


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
async def test_refuses(rule: str, reason: str, grammars: GrammarChecker) -> None:
    message = await refusal(grammars, rule)
    assert reason in message
    assert "\n" not in message
    assert len(message) < 400


async def test_refuses_what_is_no_grammar(grammars: GrammarChecker) -> None:
    with pytest.raises(InvalidValue, match="not a grammar"):
        await grammars.check(Constraint("nonsense", "the.field"))


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_bomb_harms_nobody(bomb: str, grammars: GrammarChecker) -> None:
    assert "too large or too complex" in await refusal(grammars, BOMBS[bomb])
    await grammars.check(constraint(f'"after {bomb}"'))


@pytest.mark.parametrize("wall_s", [WALL_S, 0.1], ids=["cpu time", "time"])
async def test_a_grammar_that_takes_too_long(
    wall_s: float, grammars: GrammarChecker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.grammar.checker.WALL_S", wall_s)
    slow = replace(SLOW, grammar=f"{SLOW.grammar}// {wall_s}\n")
    with pytest.raises(InvalidValue, match="too large or too complex"):
        await grammars.check(slow)
    monkeypatch.undo()
    await grammars.check(constraint(f'"after {wall_s} s"'))


async def test_huge_grammars_do_not_get_to_the_worker(grammars: GrammarChecker) -> None:
    assert "too large" in await refusal(grammars, '"' + "a" * MAX_CHARACTERS + '"')
    await grammars.check(constraint('"' + "a" * (MAX_CHARACTERS - 100) + '"'))


async def test_a_worker_killed_between_two_grammars(grammars: GrammarChecker) -> None:
    await grammars.check(constraint('"before the kill"'))
    (worker,) = workers()
    os.kill(worker.pid, signal.SIGKILL)
    await grammars.check(constraint('"after the kill"'))
    assert [each.pid for each in workers()] != [worker.pid]


async def test_a_worker_killed_at_work(grammars: GrammarChecker) -> None:
    await grammars.check(constraint('"before another kill"'))
    (worker,) = workers()
    os.kill(worker.pid, signal.SIGSTOP)
    checking = asyncio.create_task(grammars.check(constraint('"at work"')))
    await asyncio.sleep(0)
    os.kill(worker.pid, signal.SIGKILL)
    await checking
    assert [each.pid for each in workers()] != [worker.pid]


async def test_a_client_that_leaves_takes_nothing_along(grammars: GrammarChecker) -> None:
    checking = asyncio.create_task(grammars.check(constraint(json_rule({"const": 5}, 100))))
    await asyncio.sleep(0)
    checking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await checking
    await grammars.check(constraint('"after a client left"'))


async def test_many_at_once(grammars: GrammarChecker) -> None:
    good = [constraint(f'"{number % 5}"') for number in range(50)]
    bad = [constraint(f"/({number % 5}/") for number in range(50)]
    verdicts = await asyncio.gather(
        *(grammars.check(each) for each in [*good, *bad]), return_exceptions=True
    )
    assert verdicts[:50] == [None] * 50
    assert all(isinstance(verdict, InvalidValue) for verdict in verdicts[50:])


async def test_verdicts_are_kept(checkpoint: Checkpoint) -> None:
    grammars = GrammarChecker(checkpoint.path)
    others = {each.pid for each in workers()}
    good, bad = constraint('"kept"'), constraint("/(kept/")
    await grammars.check(good)
    with pytest.raises(InvalidValue):
        await grammars.check(bad)
    await asyncio.to_thread(grammars.close)
    await grammars.check(good)
    with pytest.raises(InvalidValue):
        await grammars.check(bad)
    assert {each.pid for each in workers()} <= others
