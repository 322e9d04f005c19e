"""The journal, from which an interrupted run resumes."""

from pathlib import Path

import pytest

from benchmarks.journal import Journal, Measurement

OPTIONS = {"rounds": 3, "workloads": ("W1", "W2")}
FIRST = Measurement(0, "ours", "W1", {"requests_per_s": 12.5})
SECOND = Measurement(0, "peer", "W1", {"requests_per_s": 10.0})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a journal's path in a folder that does not exist."""
    return tmp_path / "run" / "journal.jsonl"


def test_what_was_measured_is_there_again(path: Path) -> None:
    journal = Journal(path, OPTIONS)
    journal.add(FIRST)
    journal.add(SECOND)
    assert Journal(path, OPTIONS).measurements == [FIRST, SECOND]


def test_it_knows_what_is_measured(path: Path) -> None:
    journal = Journal(path, OPTIONS)
    journal.add(FIRST)
    assert journal.has(0, "ours", "W1")
    assert not journal.has(1, "ours", "W1")
    assert not journal.has(0, "peer", "W1")
    assert not journal.has(0, "ours", "W2")


def test_half_a_line_is_measured_again(path: Path) -> None:
    Journal(path, OPTIONS).add(FIRST)
    with path.open("a") as file:
        file.write('{"round": 0, "syst')
    journal = Journal(path, OPTIONS)
    assert journal.measurements == [FIRST]
    journal.add(SECOND)
    assert Journal(path, OPTIONS).measurements == [FIRST, SECOND]


def test_other_options_do_not_go_on(path: Path) -> None:
    Journal(path, OPTIONS)
    with pytest.raises(SystemExit, match="other options"):
        Journal(path, OPTIONS | {"rounds": 2})


def test_an_empty_file_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"rounds"')
    with pytest.raises(SystemExit, match=r"journal\.jsonl is empty"):
        Journal(path, OPTIONS)
