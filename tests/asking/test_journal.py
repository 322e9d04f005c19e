"""The journal, from which an interrupted run resumes."""

import json
from pathlib import Path

import pytest

from asking.errors import InputError, RunError
from asking.journal import Journal
from asking.wire import Answer

FIRST = b'{"question_id": "1", "text": "a\\u2028b", "asked": "x"}\n'
SECOND = '{"question_id": "2", "text": "größer", "finish_reason": "stop", "asked": "y"}\n'.encode()


@pytest.mark.parametrize("kept", range(len(SECOND)))
def test_a_line_cut_anywhere_is_asked_again(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(FIRST + SECOND[:kept])
    with Journal(path) as journal:
        assert journal.find("1", "x") == Answer("a\u2028b")
        found = journal.find("2", "y")
        assert found == (Answer("größer", "stop") if kept == len(SECOND) - 1 else None)
        if found is None:
            journal.append(json.loads(SECOND))
    assert [json.loads(line)["question_id"] for line in path.read_bytes().splitlines()] == [
        "1",
        "2",
    ]
    with Journal(path) as journal:
        assert journal.find("2", "y") == Answer("größer", "stop")


def test_an_answer_to_something_else_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(FIRST + b"\n" + SECOND)
    with Journal(path) as journal, pytest.raises(InputError, match=r"a\.jsonl:3: question 2"):
        journal.find("2", "z")


@pytest.mark.parametrize(
    ("line", "problem"),
    [(b"{}\n", "question_id: Field required"), (b"nonsense\n", "Invalid JSON")],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: bytes, problem: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(FIRST + line + SECOND)
    with pytest.raises(InputError, match=rf"a\.jsonl:2: {problem}"), Journal(path):
        pass
    assert path.read_bytes() == FIRST + line + SECOND


def test_two_runs_cannot_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with (
        Journal(path),
        pytest.raises(RunError, match="another run is writing"),
        Journal(path),
    ):
        pass
    with Journal(path):
        pass
