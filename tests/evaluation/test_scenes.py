"""`scenes` as a process that is killed and resumed."""

import asyncio
import json
from pathlib import Path

import pytest

from asking.errors import RunError
from evaluation.scenes.questions import ALL_KINDS, draw_questions
from evaluation.scenes.score import score_answers
from tests.asking.process import read_lines
from tests.asking.scripted import Reply, Request, completion_reply, error_reply, serve_script
from tests.evaluation.process import run_evaluation, start_evaluation

COUNT, SEED, LONGEST = 24, 11, 128
QUESTIONS = draw_questions(SEED, COUNT, LONGEST)
OPTIONS = ("--count", str(COUNT), "--seed", str(SEED), "--longest", str(LONGEST))


def right_answers() -> dict[tuple[str, str], str]:
    """The right answer by question and picture."""
    asks = {question.question_id: question.build_chat_question() for question in QUESTIONS}
    pictures = {key: ask.image.to_data_url() for key, ask in asks.items() if ask.image}
    return {
        (question.question.text, pictures[question.question_id]): question.question.answer
        for question in QUESTIONS
    }


RIGHT = right_answers()


def test_questions_depend_on_the_seed_alone() -> None:
    assert draw_questions(SEED, COUNT + 5, LONGEST)[:COUNT] == QUESTIONS
    assert draw_questions(SEED + 1, COUNT, LONGEST) != QUESTIONS


def test_only_the_kinds_asked_for() -> None:
    drawn = draw_questions(1, 40, 96, ["shape of", "where"])
    assert [question.question_id for question in drawn] == [str(number) for number in range(40)]
    assert {question.question.kind for question in drawn} == {"shape of", "where"}


def test_all_kinds_are_asked() -> None:
    asked = {question.question.kind for question in draw_questions(1, 2 * len(ALL_KINDS), 96)}
    assert asked >= set(ALL_KINDS)


def test_what_cannot_be_asked_is_said() -> None:
    with pytest.raises(RunError, match="64 pixels"):
        draw_questions(1, 2, 64, ["read"])


def test_exact_match_by_kind() -> None:
    texts = {question.question_id: question.question.answer for question in QUESTIONS}
    first, second = QUESTIONS[0], QUESTIONS[1]
    texts[first.question_id] = "wrong"
    texts[second.question_id] = f"  {second.question.answer}\n"
    del texts[QUESTIONS[2].question_id]
    result = score_answers(QUESTIONS, texts)
    assert (result.overall.correct, result.overall.count) == (COUNT - 2, COUNT - 1)
    assert result.missing == 1
    assert sum(tally.count for tally in result.kinds.values()) == COUNT - 1
    of_kind = result.kinds[first.question.kind]
    assert of_kind.correct == of_kind.count - 1


async def test_killed_and_resumed_without_a_duplicate_or_a_gap(tmp_path: Path) -> None:
    stalled: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    answered: list[Request] = []
    quiet = asyncio.Event()
    stop_after = 9

    def answer(request: Request) -> Reply | asyncio.Future[Reply]:
        if len(answered) >= stop_after and not quiet.is_set():
            if there.in_flight == 4:
                quiet.set()
            return stalled
        answered.append(request)
        if len(answered) % 5 == 2:
            return error_reply(503, "full", "Retry-After: 0")
        return completion_reply(RIGHT[request.prompt, request.image or ""])

    out = tmp_path / "out"
    async with serve_script(answer) as there:
        options = ("--out", str(out), "--base-url", there.url, "--backoff-s", "0.001")
        command = ("scenes", *options, *OPTIONS, "--concurrency", "4")
        process = await start_evaluation(*command)
        await asyncio.wait_for(quiet.wait(), 30)
        process.kill()
        await process.communicate()

        path = out / "answers.jsonl"
        before = path.read_bytes()
        path.write_bytes(before[:-20])
        kept = len(before[:-20].splitlines()) - 1
        asked_before = len(there.requests)
        finished = await run_evaluation(*command)
    assert finished.code == 0, finished.stderr
    assert sorted(int(r["question_id"]) for r in read_lines(path)) == list(range(COUNT))
    glitches = sum(number % 5 == 2 for number in range(stop_after + 1, len(answered) + 1))
    assert len(there.requests) - asked_before == COUNT - kept + glitches
    results = json.loads((out / "results.json").read_text())
    assert (results["accuracy"], results["count"], results["missing"]) == (100.0, COUNT, 0)
    assert results["scenes"] == {"count": COUNT, "seed": SEED, "longest": LONGEST}
    assert "100.00" in finished.stdout
    assert "scenes" in finished.stderr


async def test_a_wrong_key_ends_with_a_message(tmp_path: Path) -> None:
    async with serve_script(lambda _: error_reply(401, "unknown key")) as there:
        finished = await run_evaluation("scenes", "--out", str(tmp_path), "--base-url", there.url)
    assert finished.code == 1
    assert "status 401: unknown key" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert "a-key" not in finished.stderr


@pytest.mark.parametrize("option", [("--kind", "nonsense"), ("--request", "[1]")])
async def test_bad_options(tmp_path: Path, option: tuple[str, str]) -> None:
    url = ("--base-url", "http://127.0.0.1:9/v1")
    finished = await run_evaluation("scenes", "--out", str(tmp_path), *url, *option)
    assert finished.code == 2
    assert option[0] in finished.stderr


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with serve_script(lambda _: completion_reply("")) as there:
        options = ("--out", str(tmp_path / "file"), "--base-url", there.url, "--count", "1")
        finished = await run_evaluation("scenes", *options)
    assert finished.code == 1
    assert finished.stderr.startswith("error: ")


async def test_gaps_are_reported(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        broken = (request.prompt, request.image) == next(iter(RIGHT))
        return (
            error_reply(400, "no")
            if broken
            else completion_reply(RIGHT[request.prompt, request.image or ""])
        )

    async with serve_script(answer) as there:
        command = ("scenes", "--out", str(tmp_path), "--base-url", there.url, *OPTIONS)
        finished = await run_evaluation(*command)
        assert finished.code == 1
        assert f"no answer to 1 of {COUNT} questions" in finished.stderr
        assert not (tmp_path / "results.json").exists()
        finished = await run_evaluation(*command, "--allow-failures", "--json")
    assert finished.code == 0
    assert json.loads(finished.stdout)["missing"] == 1
    assert "WARNING: 1 question without an answer" in finished.stderr
