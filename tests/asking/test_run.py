"""Concurrent questions: the limit, failures, the journal."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from asking.endpoint import EndpointConfig, open_endpoint
from asking.errors import EndpointError, EndpointRefused, IncompleteError, InputError
from asking.images import QuestionImage, find_image
from asking.question import ChatQuestion
from asking.retry import RetryPolicy
from asking.run import ask_all
from tests.asking.process import read_lines
from tests.asking.scripted import (
    AnswerFunction,
    Reply,
    Request,
    ScriptedEndpoint,
    completion_reply,
    error_reply,
    serve_script,
)

QUICK = RetryPolicy(attempts=2, backoff_s=0.001)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def config(there: ScriptedEndpoint, concurrency: int = 4, model: str = "m") -> EndpointConfig:
    return EndpointConfig(there.url, model=model, concurrency=concurrency, retry_policy=QUICK)


def questions(count: int) -> list[ChatQuestion]:
    return [ChatQuestion(str(number), f"Question {number}?") for number in range(count)]


async def test_as_many_at_a_time_as_allowed_and_no_more(tmp_path: Path) -> None:
    full: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def answer(_: Request) -> Reply | asyncio.Future[Reply]:
        if there.in_flight == 3 and not full.done():
            full.set_result(completion_reply("Yes."))
        return full

    async with serve_script(answer) as there, open_endpoint(config(there, 3)) as endpoint:
        answers = await ask_all(endpoint, questions(12), tmp_path / "a.jsonl", "test")
    assert there.most_in_flight == 3
    assert answers.texts == {str(number): "Yes." for number in range(12)}


async def test_answers_are_kept_and_not_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.jsonl"
    answer: AnswerFunction = lambda request: completion_reply(request.prompt[::-1])  # noqa: E731
    async with serve_script(answer) as there, open_endpoint(config(there)) as endpoint:
        first = await ask_all(endpoint, questions(3), path, "test")
        second = await ask_all(endpoint, questions(5), path, "test")
    assert len(there.requests) == 5
    assert first.texts.items() < second.texts.items()
    assert {record["question_id"]: record["text"] for record in read_lines(path)} == second.texts
    ours = {"finish_reason", "asked"}
    assert read_lines(path)[0].keys() == {"question_id", "prompt", "text", "model_id"} | ours


async def test_a_failed_question_leaves_a_gap_that_the_next_run_fills(tmp_path: Path) -> None:
    path, broken = tmp_path / "a.jsonl", {"Question 1?"}

    def answer(request: Request) -> Reply:
        return (
            error_reply(400, "too long") if request.prompt in broken else completion_reply("Yes.")
        )

    async with serve_script(answer) as there, open_endpoint(config(there)) as endpoint:
        answers = await ask_all(endpoint, questions(3), path, "test")
        assert answers.texts.keys() == {"0", "2"}
        with pytest.raises(IncompleteError, match=r"1 of 3 .*question 1: .*too long.* Run again"):
            answers.raise_if_incomplete(path)
        broken.clear()
        answers = await ask_all(endpoint, questions(3), path, "test")
        answers.raise_if_incomplete(path)
    assert len(there.requests) == 4
    assert sorted(record["question_id"] for record in read_lines(path)) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("reply", "error", "requests"),
    [
        (error_reply(401, "who are you?"), EndpointRefused, range(1, 5)),
        (error_reply(500, "broken"), EndpointError, range(20, 29)),
        (error_reply(400, "no images"), EndpointError, range(10, 15)),
    ],
)
async def test_a_hopeless_run_ends_early(
    tmp_path: Path, reply: Reply, error: type[EndpointError], requests: range
) -> None:
    async with serve_script(lambda _: reply) as there, open_endpoint(config(there)) as endpoint:
        with pytest.raises(error):
            await ask_all(endpoint, questions(200), tmp_path / "a.jsonl", "test")
    assert len(there.requests) in requests


async def test_the_same_file_for_another_model_is_an_error(tmp_path: Path) -> None:
    answer: AnswerFunction = lambda _: completion_reply("Yes.")  # noqa: E731
    path = tmp_path / "a.jsonl"
    async with serve_script(answer) as there:
        async with open_endpoint(config(there)) as endpoint:
            await ask_all(endpoint, questions(2), path, "test")
        async with open_endpoint(config(there, model="other")) as endpoint:
            with pytest.raises(Exception, match=r"a\.jsonl:\d: question 0 was answered for anoth"):
                await ask_all(endpoint, questions(2), path, "test")


async def test_a_question_with_all_that_comes_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    question = ChatQuestion("0", "And three?", "Count.", history=(("One?", "1"), ("Two?", "2")))
    answer: AnswerFunction = lambda _: completion_reply("3")  # noqa: E731
    async with serve_script(answer) as there, open_endpoint(config(there)) as endpoint:
        await ask_all(endpoint, [question], path, "test")
        for changed in (
            replace(question, history=question.history[1:]),
            replace(question, system="Add."),
        ):
            with pytest.raises(InputError, match="question 0 was answered for another"):
                await ask_all(endpoint, [changed], path, "test")
    (request,) = there.requests
    assert [(turn["role"], turn["content"]) for turn in request.body["messages"]] == [
        ("system", "Count."),
        ("user", "One?"),
        ("assistant", "1"),
        ("user", "Two?"),
        ("assistant", "2"),
        ("user", "And three?"),
    ]


def test_pictures(tmp_path: Path) -> None:
    assert QuestionImage("x", lambda: b"\x89PNG1").to_data_url() == "data:image/png;base64,iVBORzE="
    with pytest.raises(Exception, match="x: neither PNG, JPEG, GIF nor WebP"):
        QuestionImage("x", lambda: b"text").to_data_url()
    with pytest.raises(Exception, match=r"image x is missing; looked for .*/a, .*/b"):
        find_image("x", tmp_path / "a", tmp_path / "b")
    (tmp_path / "empty").touch()
    with pytest.raises(Exception, match="x: neither PNG"):
        find_image("x", tmp_path / "a", tmp_path / "empty")
