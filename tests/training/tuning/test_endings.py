"""How a run ends that cannot go on: one line, and whether `--resume` can."""

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape, glob
from pathlib import Path

import pytest

from tests.training.tuning.test_stages import CAPTIONS, ENVIRONMENT, SMALL, SOURCES
from training.tuning.command import main

RUN = (*SOURCES, *CAPTIONS, *SMALL)


@contextmanager
def limit_file_size(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def make_destinations(folder: Path) -> dict[str, Path]:
    """Return places that nothing can be written to, by why."""
    (folder / "file").touch()
    (folder / "link").symlink_to(folder / "nowhere" / "else")
    return {
        "proc": Path("/proc/x/y"),
        "device": Path("/dev/null/y"),
        "file": folder / "file" / "out",
        "long": folder / ("o" * 300),
        "link": folder / "link" / "out",
    }


@pytest.mark.parametrize("why", ["proc", "device", "file", "long", "link"])
@pytest.mark.parametrize("option", ["--out", "--work"])
def test_what_cannot_be_written_is_told_before_training(
    option: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_destinations(tmp_path)[why]
    before = sorted(tmp_path.rglob("*"))
    other = {"--out": ("--work", tmp_path / "work"), "--work": ("--out", tmp_path / "out")}
    given = [*RUN, *map(str, (option, place, *other[option]))]
    assert main("align", given, "train") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {option} {place} cannot be written: ")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_to_nowhere_is_there_already(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, target in (("nowhere", "none"), ("loop", "loop")):
        (tmp_path / name).symlink_to(tmp_path / target)
        assert main("align", [*RUN, "--out", str(tmp_path / name)], "train") == 1
        assert "error: --out" in capsys.readouterr().err


def test_the_work_folder_does_not_lie_in_the_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*RUN, "--out", str(tmp_path / "out"), "--work", str(tmp_path / "out" / "work")]
    assert main("align", given, "train") == 1
    assert "must not be inside --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (60_000, "; nothing is saved yet: --resume would start over"),
        (200_000, "; --resume continues after step 2, saved in "),
    ],
)
def test_a_full_disk_is_told_with_what_is_saved(
    size: int, reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = [*RUN, "--max-steps", "2", "--out", str(tmp_path / "out")]
    with limit_file_size(size):
        assert main("align", given, "train") == 1
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith("error: ")
    assert reason in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("save_steps", "file", "message"),
    [
        ("2", "checkpoint-*/trainer_state.json", "interrupted: --resume continues after step "),
        ("9000", "recipe.json", "interrupted: nothing is saved yet: --resume would start over"),
    ],
)
def test_an_interrupt_is_told_with_what_is_saved(
    save_steps: str, file: str, message: str, tmp_path: Path
) -> None:
    options = (*RUN, "--epochs", "500", "--workers", "2", "--save-steps", save_steps)
    command = [sys.executable, "-m", "training", "align", *options, "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as process:
        # Not `Path.glob`: it fails where a folder goes while it looks, and earlier states do.
        while not glob(f"{escape(str(tmp_path))}/out.work/{file}"):
            assert process.poll() is None, "the run ended before it was interrupted"
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)
    assert process.returncode == 130
    assert printed.splitlines()[-1].startswith(message)
    assert "Traceback" not in printed
