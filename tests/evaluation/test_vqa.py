"""`vqa`: questions of the released format, answered into the released answers format."""

import asyncio
import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from asking.wire import Answer
from evaluation.__main__ import app
from evaluation.vqa.answers_file import AnswersFile
from evaluation.vqa.questions import load_questions
from tests.asking.process import FinishedProcess, read_lines, write_lines
from tests.asking.scripted import Reply, Request, completion_reply, error_reply, serve_script
from tests.evaluation.process import run_evaluation

KEYS = ["question_id", "prompt", "text", "answer_id", "model_id", "metadata"]
QUESTIONS: list[dict[str, Any]] = [
    {"question_id": 1, "image": "a.png", "text": "What?\nShort answer.", "category": "x"},
    {"question_id": "color/2.png", "image": "b.png", "text": "Is it red?"},
    {"question_id": "color/2.png", "image": "b.png", "text": "Is it blue?"},
    {"question_id": 4, "text": "What is two and two?"},
    {"question_id": 5, "image": None, "text": "Größer?"},
    {"question_id": 5, "image": None, "text": "Größer?"},
]


def encode_png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def write_questions(folder: Path, *questions: dict[str, Any]) -> tuple[str, ...]:
    """Write questions and images; return their options."""
    (folder / "images").mkdir(exist_ok=True)
    for shade, name in enumerate(("a.png", "b.png")):
        (folder / "images" / name).write_bytes(encode_png(shade))
    path = write_lines(folder / "q.jsonl", *questions)
    return ("--questions", str(path), "--images", str(folder / "images"))


def repeat_prompt(request: Request) -> Reply:
    return completion_reply(f" to {request.prompt}\n")


async def run_vqa(
    folder: Path, url: str, *more: str, questions: list[dict[str, Any]] = QUESTIONS
) -> FinishedProcess:
    command = ("vqa", *write_questions(folder, *questions), "--out", str(folder / "a.jsonl"))
    return await run_evaluation(*command, "--base-url", url, "--backoff-s", "0.001", *more)


async def test_answers_are_in_the_released_format_and_order(tmp_path: Path) -> None:
    first: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def answer(request: Request) -> Reply | asyncio.Future[Reply]:
        if len(there.requests) == len(QUESTIONS):  # the first waits for all others
            first.set_result(completion_reply(" to What?\nShort answer.\n"))
        return first if request.prompt.startswith("What?") else repeat_prompt(request)

    async with serve_script(answer) as there:
        finished = await run_vqa(tmp_path, there.url, "--json")
    assert finished.code == 0, finished.stderr
    assert json.loads(finished.stdout) == {
        "model": "m",
        "count": 6,
        "answered": 6,
        "out": str(tmp_path / "a.jsonl"),
    }
    lines = read_lines(tmp_path / "a.jsonl")
    assert [list(line) for line in lines] == [KEYS] * 6
    assert [line["question_id"] for line in lines] == [q["question_id"] for q in QUESTIONS]
    assert [line["prompt"] for line in lines] == [q["text"] for q in QUESTIONS]
    assert [line["text"] for line in lines] == [f"to {q['text']}" for q in QUESTIONS]
    assert {line["model_id"] for line in lines} == {"m"}
    assert len({line["answer_id"] for line in lines}) == 6
    shown = {request.prompt: request.image for request in there.requests}
    assert shown["What?\nShort answer."] != shown["Is it red?"] == shown["Is it blue?"]
    assert shown["What is two and two?"] is shown["Größer?"] is None
    assert there.most_in_flight > 1


async def test_a_cut_file_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    async with serve_script(repeat_prompt) as there:
        await run_vqa(tmp_path, there.url)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:3]) + lines[3][:-9])
        finished = await run_vqa(tmp_path, there.url)
        assert finished.code == 0, finished.stderr
        assert len(there.requests) == 6 + 3
        again = path.read_bytes().splitlines(keepends=True)
        assert again[:3] == lines[:3]
        assert [json.loads(line)["question_id"] for line in again[3:]] == [4, 5, 5]
        await run_vqa(tmp_path, there.url)
        assert len(there.requests) == 9


async def test_lines_of_the_released_code_are_answers(tmp_path: Path) -> None:
    released = {"answer_id": "Zx", "model_id": "llava-v1.5-7b", "metadata": {}}
    given = [
        {"question_id": 4, "prompt": "What is two and two?", "text": "Four.", **released},
        {"question_id": 1, "prompt": "What?\nShort answer.", "text": "Cat", **released},
    ]
    path = write_lines(tmp_path / "a.jsonl", *given)
    async with serve_script(repeat_prompt) as there:
        finished = await run_vqa(tmp_path, there.url)
    assert finished.code == 0, finished.stderr
    assert len(there.requests) == 4
    lines = read_lines(path)
    assert [line["question_id"] for line in lines] == [q["question_id"] for q in QUESTIONS]
    assert [lines[3], lines[0]] == given


@pytest.mark.parametrize("text", ["T?", "<image>\nT?"])
@pytest.mark.parametrize("prompt", ["T?", "<image>\nT?"])
def test_a_prompt_may_begin_with_the_image(tmp_path: Path, text: str, prompt: str) -> None:
    asked = load_questions(write_lines(tmp_path / "q", {"question_id": 1, "text": text}), None)
    line = {"question_id": "1", "prompt": prompt, "text": "Yes"}
    with AnswersFile(write_lines(tmp_path / "a", line), asked) as answers:
        assert answers.find("1", "a digest") == Answer("Yes")
        assert answers.find("2", "a digest") is None


async def test_a_file_of_other_questions_or_another_model_is_an_error(tmp_path: Path) -> None:
    async with serve_script(repeat_prompt) as there:
        await run_vqa(tmp_path, there.url)
        before = (tmp_path / "a.jsonl").read_bytes()
        finished = await run_vqa(tmp_path, there.url, "--model", "other")
        assert "a.jsonl:1: question 1 was answered for another model" in finished.stderr
        changed = [{**QUESTIONS[0], "text": "Who?"}, *QUESTIONS[1:]]
        finished = await run_vqa(tmp_path, there.url, questions=changed)
        assert finished.code == 1
        assert "a.jsonl:1: question 1 is not asked with this prompt" in finished.stderr
        assert len(there.requests) == 6
    assert (tmp_path / "a.jsonl").read_bytes() == before


async def test_a_gap_is_reported_and_filled(tmp_path: Path) -> None:
    refused = {"What is two and two?"}

    def answer(request: Request) -> Reply:
        if request.prompt in refused:
            return error_reply(400, "no")
        return repeat_prompt(request)

    async with serve_script(answer) as there:
        finished = await run_vqa(tmp_path, there.url)
        assert finished.code == 1
        assert "no answer to 1 of 6 questions" in finished.stderr
        finished = await run_vqa(tmp_path, there.url, "--allow-failures")
        assert finished.code == 0
        assert "WARNING: 1 question without an answer" in finished.stderr
        refused.clear()
        assert (await run_vqa(tmp_path, there.url)).code == 0
    assert [line["question_id"] for line in read_lines(tmp_path / "a.jsonl")][3] == 4


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"question_id": 2}', "q.jsonl:2: text: Field required"),
        ('{"question_id": 2, "text": ""}', "q.jsonl:2: text: String should have at least 1"),
        ('{"text": "x"}', "q.jsonl:2: question_id: Field required"),
        ('{"question_id": 2, "text": "x"', "q.jsonl:2: Invalid JSON"),
        ("[1]", "q.jsonl:2: Input should be an object"),
        (
            '{"question_id": 2, "text": "x", "image": "c.png"}',
            "q.jsonl:2: the image c.png is missing",
        ),
        (
            f'{{"question_id": 2, "text": "x", "image": "{"c" * 5000}.png"}}',
            "q.jsonl:2: the image ccc",
        ),
        (
            '{"question_id": 2, "text": "x", "image": "../q.jsonl"}',
            "q.jsonl:2: ../q.jsonl: neither PNG, JPEG, GIF nor WebP",
        ),
        ('{"question_id": 1.5, "text": "x"}', "q.jsonl:2: question_id: Value error, an id is a"),
        ('{"question_id": true, "text": "x"}', "q.jsonl:2: question_id: Value error, an id is a"),
        ('{"question_id": null, "text": "x"}', "q.jsonl:2: question_id: Value error, an id is a"),
        (f'{{"text": {"[" * 100_000}', "q.jsonl:2: Invalid JSON: recursion limit"),
        (
            '{"question_id": 1, "text": "T", "image": "b.png"}',
            "q.jsonl:2: question 1 is listed with",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    first = {"question_id": 1, "image": "a.png", "text": "T"}
    options = write_questions(tmp_path, first)
    with (tmp_path / "q.jsonl").open("a") as file:
        file.write(line + "\n")
    url = ("--base-url", "http://127.0.0.1:9/v1")
    outcome = CliRunner().invoke(app, ["vqa", *options, "--out", str(tmp_path / "a"), *url])
    assert outcome.exit_code == 1
    assert problem in str(outcome.exception)
    assert not (tmp_path / "a").exists()


def test_images_need_a_folder(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "q.jsonl", QUESTIONS[3], QUESTIONS[0])
    url = ("--base-url", "http://127.0.0.1:9/v1")
    command = ["vqa", "--questions", str(path), "--out", str(tmp_path / "a"), *url]
    outcome = CliRunner().invoke(app, command)
    assert str(outcome.exception).endswith("q.jsonl:2: the image a.png needs a folder: --images")


@pytest.mark.parametrize("cell", ["", "bm8gcGljdHVyZQ=="])
def test_a_cell_that_is_no_image_is_named_before_a_question_is_asked(
    cell: str, tmp_path: Path
) -> None:
    good = base64.b64encode(encode_png(1)).decode()
    table = tmp_path / "mmbench.tsv"
    table.write_text(f"index\tquestion\timage\n1\tWhere?\t{good}\n2\tWhere?\t{cell}\n")
    command = ["vqa", "--questions", str(table), "--out", str(tmp_path / "a")]
    outcome = CliRunner().invoke(app, [*command, "--base-url", "http://127.0.0.1:9/v1"])
    assert str(outcome.exception).endswith("mmbench.tsv:3: image: neither PNG, JPEG, GIF nor WebP")
    assert not (tmp_path / "a").exists()


async def test_a_table_of_mmbench(tmp_path: Path) -> None:
    images = [base64.b64encode(encode_png(shade)).decode() for shade in (1, 2)]
    header = "index\tquestion\thint\tA\tB\tC\tD\tanswer\timage"
    rows = [
        f'241\t"Which ""one""?"\tA hint.\tred\tgreen\tnan\t\tA\t{images[0]}',
        f"1000241\tWhere?\tnan\tleft\tright\tup\tdown\tB\t{images[1]}",
        "2000241\tWhere?\t\tright\tleft\tup\tdown\tA\t1000241",
    ]
    table = tmp_path / "mmbench.tsv"
    table.write_text("\n".join([header, *rows]) + "\n")
    out = tmp_path / "a.jsonl"
    command = ("vqa", "--questions", str(table), "--out", str(out))
    async with serve_script(lambda _: completion_reply("B")) as there:
        finished = await run_evaluation(*command, "--base-url", there.url)
    assert finished.code == 0, finished.stderr
    lines = read_lines(out)
    letter = "Answer with the option's letter from the given choices directly."
    assert [line["question_id"] for line in lines] == [241, 1000241, 2000241]
    assert lines[0]["prompt"] == f'A hint.\nWhich "one"?\nA. red\nB. green\n{letter}'
    assert lines[1]["prompt"] == f"Where?\nA. left\nB. right\nC. up\nD. down\n{letter}"
    shown = {request.prompt: request.image for request in there.requests}
    sent = [shown[line["prompt"]] for line in lines]
    assert sent[0] == f"data:image/png;base64,{images[0]}"
    assert sent[1] == sent[2] == f"data:image/png;base64,{images[1]}"
