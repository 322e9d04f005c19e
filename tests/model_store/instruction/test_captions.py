"""`captions`, as the real process, against a teacher behind real HTTP."""

import asyncio
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from model_store.instruction.captions.context import Context
from model_store.instruction.captions.prompts.choice import PROMPTS
from model_store.instruction.captions.prompts.detail import REQUESTS
from model_store.instruction.records import FILES, KINDS, Kind
from tests.asking import process
from tests.asking.process import FinishedProcess, read_lines, write_lines
from tests.asking.scripted import Reply, Request, completion_reply, error_reply, serve_script
from tests.model_store.instruction.teacher import (
    build_line,
    find_id,
    find_kind,
    format_pairs,
    write_answer,
)

COUNT = 12
WANTED = [(f"{number:012}", kind) for number in range(COUNT) for kind in KINDS]


async def start(*arguments: str) -> asyncio.subprocess.Process:
    """Start the command; it gets the teacher's key from the environment."""
    module = "model_store.instruction"
    return await process.start_module(module, "captions", *arguments, INSTRUCTION_API_KEY="a-key")


async def captions(*arguments: str) -> FinishedProcess:
    """Run the command to its end."""
    return await process.wait_for(await start(*arguments))


def options(folder: Path, url: str, count: int = COUNT) -> tuple[str, ...]:
    """Write `count` lines of input; the options to read them, quick to ask again."""
    source = write_lines(folder / "in.jsonl", *(build_line(number) for number in range(count)))
    paths = ("--input", str(source), "--out", str(folder / "out"))
    return (*paths, "--base-url", url, "--backoff-s", "0.001", "--concurrency", "4")


def read_output(folder: Path, name: str) -> list[dict[str, Any]]:
    records = json.loads((folder / "out" / name).read_text())
    assert isinstance(records, list)
    return records


def answer_well(request: Request) -> Reply:
    return completion_reply(write_answer(request))


class Stalling:
    """A teacher that falls silent after so many answers, until it is told to go on."""

    def __init__(self) -> None:
        self.left = 0
        self.in_flight = 0
        self.silent = asyncio.Event()
        self.answered: Counter[tuple[str, Kind]] = Counter()

    def go_on(self, answers: int) -> None:
        """Give so many answers more."""
        self.left, self.in_flight = answers, 0
        self.silent.clear()

    def answer(self, request: Request) -> Reply | asyncio.Future[Reply]:
        if not self.left:
            self.in_flight += 1
            if self.in_flight == 4:
                self.silent.set()
            return asyncio.get_running_loop().create_future()
        self.left -= 1
        if self.left % 5 == 2:
            return error_reply(503 if self.left % 2 else 429, "full", "Retry-After: 0")
        self.answered[f"{find_id(request):012}", find_kind(request)] += 1
        return answer_well(request)


async def test_killed_twice_and_resumed_without_a_duplicate_or_a_gap(tmp_path: Path) -> None:
    teacher = Stalling()
    journal = tmp_path / "out" / "answers.jsonl"
    async with serve_script(teacher.answer) as there:
        command = options(tmp_path, there.url)
        for answers in (8, 11):
            teacher.go_on(answers)
            running = await start(*command)
            await asyncio.wait_for(teacher.silent.wait(), 60)
            running.kill()
            await running.communicate()
            kept = len(read_lines(journal))
            assert kept == teacher.answered.total()
        assert not (tmp_path / "out" / "instruct.json").exists()
        torn = read_lines(journal)[-1]
        journal.write_bytes(journal.read_bytes()[:-20])
        teacher.go_on(10_000)
        finished = await captions(*command)
    assert finished.code == 0, finished.stderr
    twice = {pair for pair, times in teacher.answered.items() if times > 1}
    assert twice == {(torn["id"], torn["kind"])}
    assert sorted((r["id"], r["kind"]) for r in read_lines(journal)) == sorted(WANTED)
    every = [
        (record["id"], kind) for kind in KINDS for record in read_output(tmp_path, FILES[kind])
    ]
    assert sorted(every) == sorted(WANTED)
    assert len(read_output(tmp_path, "instruct.json")) == len(WANTED)
    assert re.search(r"│ all +│ +36 │ +36 │ +0 │ +0 │", finished.stdout)
    assert "teacher" in finished.stderr


async def test_the_records(tmp_path: Path) -> None:
    async with serve_script(answer_well) as there:
        finished = await captions(*options(tmp_path, there.url), "--json")
    assert finished.code == 0, finished.stderr
    everything = read_output(tmp_path, "instruct.json")
    assert [record["id"] for record in everything] == [record_id for record_id, _ in WANTED]
    assert everything[1::3] == read_output(tmp_path, "detail.json")
    places: Counter[bool] = Counter()
    for (record_id, kind), record in zip(WANTED, everything, strict=True):
        assert record.keys() == {"id", "image", "conversations"}
        assert record["image"] == f"COCO_val2014_{record_id}.jpg"
        turns = record["conversations"]
        assert [turn["from"] for turn in turns] == ["human", "gpt"] * (len(turns) // 2)
        assert len(turns) == (4 if kind == "conversation" else 2)
        assert "".join(turn["value"] for turn in turns).count("<image>") == 1
        places[turns[0]["value"].startswith("<image>\n")] += 1
        if kind == "detail":
            asked = turns[0]["value"].replace("<image>", "").strip()
            assert asked in REQUESTS
            assert turns[1]["value"] == f"Donut {int(record_id)} lies on a plate."
    assert min(places[True], places[False]) > 5
    results = {"wanted": 36, "records": 36, "set_aside": 0, "failed": 0}
    kinds = {kind: {"wanted": 12, "records": 12, "set_aside": 0, "failed": 0} for kind in KINDS}
    assert json.loads(finished.stdout) == {**results, "kinds": kinds, "reasons": {}}
    assert (tmp_path / "out" / "set_aside.jsonl").read_text() == ""


async def test_the_teacher_is_never_shown_the_image(tmp_path: Path) -> None:
    async with serve_script(answer_well) as there:
        finished = await captions(*options(tmp_path, there.url, 3), "--request", '{"top_p": 0.5}')
    assert finished.code == 0, finished.stderr
    assert len(there.requests) == 9
    for request in there.requests:
        body = json.dumps(request.body)
        for shown in ("COCO_val2014", ".jpg", f"{find_id(request):012}", "image_url", "data:"):
            assert shown not in body
        messages = request.body["messages"]
        assert all(isinstance(message["content"], str) for message in messages)
        roles = ["system", "user", "assistant", "user", "assistant", "user"]
        assert [message["role"] for message in messages] == roles
        examples = PROMPTS[find_kind(request)].examples
        assert [m["content"] for m in messages[1:5]] == [text for pair in examples for text in pair]
        context = Context.model_validate(build_line(find_id(request)))
        has_boxes = find_kind(request) != "conversation"
        assert request.prompt == (context.as_text() if has_boxes else context.captions_as_text())
        assert ("donut: [" in request.prompt) is has_boxes
        sent = {"model": "m", "temperature": 0.7, "max_tokens": 2048, "top_p": 0.5}
        assert request.body == {**sent, "messages": messages}
        assert "authorization: bearer a-key" in request.headers.lower()


async def test_the_same_seed_makes_the_same_records(tmp_path: Path) -> None:
    files: list[bytes] = []
    async with serve_script(answer_well) as there:
        for number, seed in enumerate(("5", "5", "6")):
            (tmp_path / str(number)).mkdir()
            command = options(tmp_path / str(number), there.url, 6)
            assert (await captions(*command, "--seed", seed)).code == 0
            files.append((tmp_path / str(number) / "out" / "instruct.json").read_bytes())
    assert files[0] == files[1] != files[2]


async def test_malformed_answers_are_counted_and_set_aside(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        if find_kind(request) == "complex" and find_id(request) < 2:
            return completion_reply("I'm sorry, but I can't help with that.")
        if find_kind(request) == "detail" and find_id(request) == 1:
            choice = {"message": {"content": "A donut on a"}, "finish_reason": "length"}
            return Reply(body=json.dumps({"choices": [choice]}))
        if find_kind(request) == "conversation" and find_id(request) == 0:
            return completion_reply(
                format_pairs(("<image>\nWhat is it?", "A donut."), ("Where?", "There."))
            )
        return answer_well(request)

    async with serve_script(answer) as there:
        command = options(tmp_path, there.url, 3)
        first = await captions(*command)
        asked = len(there.requests)
        again = await captions(*command, "--json")
    assert (first.code, again.code) == (0, 0)
    assert (asked, len(there.requests)) == (9, 9)
    assert "WARNING: 4 malformed answers set aside" in first.stderr
    results = json.loads(again.stdout)
    assert results["kinds"]["complex"] == {"wanted": 3, "records": 1, "set_aside": 2, "failed": 0}
    assert (results["records"], results["set_aside"]) == (5, 4)
    aside = read_lines(tmp_path / "out" / "set_aside.jsonl")
    assert Counter(each["reason"] for each in aside) == results["reasons"]
    assert [(int(each["id"]), each["kind"], each["reason"]) for each in aside] == [
        (0, "conversation", "spells a special token"),
        (0, "complex", "refuses"),
        (1, "detail", "cut off by the limit of tokens"),
        (1, "complex", "refuses"),
    ]
    assert aside[2]["text"] == "A donut on a"
    assert [record["id"][-1] for record in read_output(tmp_path, "complex_reasoning.json")] == ["2"]
    assert "refuses" in first.stdout


async def test_malformed_answers_may_be_asked_for_anew(tmp_path: Path) -> None:
    seen: Counter[tuple[int, Kind]] = Counter()

    def answer(request: Request) -> Reply:
        seen[find_id(request), find_kind(request)] += 1
        enough = seen[find_id(request), find_kind(request)] > find_id(request)
        return answer_well(request) if enough else completion_reply("?")

    async with serve_script(answer) as there:
        command = (*options(tmp_path, there.url, 4), "--kinds", "complex")
        first = await captions(*command, "--json")
        assert json.loads(first.stdout)["records"] == 1
        finished = await captions(*command, "--tries", "3", "--json")
    assert finished.code == 0, finished.stderr
    results = json.loads(finished.stdout)
    assert (results["wanted"], results["records"], results["set_aside"]) == (4, 3, 6)
    assert len(there.requests) == 9
    tries = [(int(r["id"]), r["try"]) for r in read_lines(tmp_path / "out" / "set_aside.jsonl")]
    assert tries == [(1, 1), (2, 1), (3, 1), (2, 2), (3, 2), (3, 3)]
    assert [record["id"][-1] for record in read_output(tmp_path, "instruct.json")] == [
        "0",
        "1",
        "2",
    ]
    assert not (tmp_path / "out" / "detail.json").exists()


async def test_a_gap_is_reported_and_filled_by_the_next_run(tmp_path: Path) -> None:
    broken = {1}

    def answer(request: Request) -> Reply:
        return error_reply(400, "too long") if find_id(request) in broken else answer_well(request)

    async with serve_script(answer) as there:
        command = (*options(tmp_path, there.url, 3), "--kinds", "detail,conversation")
        first = await captions(*command)
        assert first.code == 1
        assert "no answer for 2 of 6 records" in first.stderr
        assert "conversation of 000000000001: " in first.stderr
        assert "too long" in first.stderr
        assert len(read_output(tmp_path, "instruct.json")) == 4
        assert (await captions(*command, "--allow-failures")).code == 0
        broken.clear()
        finished = await captions(*command)
    assert finished.code == 0, finished.stderr
    kept = [record["id"][-1] for record in read_output(tmp_path, "instruct.json")]
    assert kept == ["0", "0", "1", "1", "2", "2"]


async def test_other_input_or_options_are_refused_unless_restarted(tmp_path: Path) -> None:
    async with serve_script(answer_well) as there:
        command = options(tmp_path, there.url, 3)
        assert (await captions(*command)).code == 0
        before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        for changed, message in (
            (("--seed", "1"), "seed was 0 and is 1"),
            (("--model", "other"), 'model was "m" and is "other"'),
            (("--kinds", "detail"), "kinds was "),
            (("--temperature", "0"), "fields was "),
        ):
            refused = await captions(*command, *changed)
            assert refused.code == 1
            assert message in refused.stderr
            assert "--restart" in refused.stderr
        write_lines(tmp_path / "in.jsonl", *(build_line(number) for number in range(2)))
        refused = await captions(*command)
        assert "the --input file changed" in refused.stderr
        after = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        assert (after, len(there.requests)) == (before, 9)
        restarted = await captions(*command, "--kinds", "detail", "--restart")
    assert restarted.code == 0, restarted.stderr
    assert len(there.requests) == 11
    assert len(read_output(tmp_path, "instruct.json")) == 2
    assert not (tmp_path / "out" / "conversation.json").exists()


async def test_two_runs_cannot_write_one_folder(tmp_path: Path) -> None:
    teacher = Stalling()
    async with serve_script(teacher.answer) as there:
        command = options(tmp_path, there.url, 2)
        running = await start(*command)
        await asyncio.wait_for(teacher.silent.wait(), 60)
        second = await asyncio.wait_for(captions(*command, "--restart"), 60)
        running.kill()
        await running.communicate()
    assert second.code == 1
    assert "out: another run is writing it" in second.stderr


@pytest.mark.parametrize(
    ("changed", "code", "message"),
    [
        (("--kinds", "detail,poem"), 2, "'poem' is not one of conversation, detail, complex"),
        (("--kinds", ","), 2, "nothing is not one of"),
        (("--request", "[1]"), 2, "is not a JSON object"),
        (("--base-url", ""), 2, "--base-url"),
        (("--base-url", "ftp://x/v1", "--model", "m"), 1, "begins with http:// or https://"),
    ],
)
async def test_bad_options(
    tmp_path: Path, changed: tuple[str, ...], code: int, message: str
) -> None:
    finished = await captions(*options(tmp_path, "http://127.0.0.1:9/v1", 1), *changed)
    assert finished.code == code
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr


async def test_malformed_input_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    async with serve_script(answer_well) as there:
        command = options(tmp_path, there.url, 1)
        write_lines(tmp_path / "in.jsonl", build_line(1), build_line(2, captions=[]))
        finished = await captions(*command)
    assert finished.code == 1
    assert "in.jsonl:2: captions: " in finished.stderr
    assert not there.requests
    assert not (tmp_path / "out").exists()
