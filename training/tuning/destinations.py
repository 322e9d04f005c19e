"""Where a run writes: its checkpoint and its state."""

import argparse
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from training.tuning.errors import OptionError


def check_destinations(arguments: argparse.Namespace) -> None:
    """Raise `OptionError` where the checkpoint or the run's state cannot be written.

    Of several processes only the first writes. A run that only checks records is not refused: into
    the run's state it writes no more than a list of many bad records, or says that it could not,
    and the configurations of a finished LLaVA's parts.
    """
    out = arguments.out
    if _exists(out):
        raise OptionError(f"--out {out} exists already")
    work = choose_work(arguments)
    if _resolve(out) in (_resolve(work), *_resolve(work).parents):
        raise OptionError(f"--work {work} must not be inside --out {out}")
    if arguments.check_only or os.environ.get("RANK", "0") != "0":
        return
    _check_writable("--out", out, out.parent, f".{out.name}-")
    _check_writable("--work", work, work, ".")


def choose_work(arguments: argparse.Namespace) -> Path:
    """Return the folder of a run's state."""
    work: Path | None = arguments.work
    return work or arguments.out.with_name(f"{arguments.out.name}.work")


def _exists(out: Path) -> bool:
    try:
        return out.exists() or out.is_symlink()
    except OSError as error:
        raise OptionError(f"--out {out} cannot be written: {error.strerror}") from None


def _resolve(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises for links that go round


def _check_writable(option: str, path: Path, folder: Path, prefix: str) -> None:
    """Try to write into `folder`, and leave nothing behind."""
    made: list[Path] = []
    try:
        _make(folder, made)
        with tempfile.TemporaryDirectory(dir=folder, prefix=prefix) as inner:
            (Path(inner) / "file").write_bytes(b"0")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(f"{option} {path} cannot be written: {reason}") from None
    finally:
        for each in reversed(made):
            with suppress(OSError):
                each.rmdir()


def _make(folder: Path, made: list[Path]) -> None:
    """Make a folder and those that it lies in, and note each."""
    missing: Sequence[Path] = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        made.append(each)
    if not folder.is_dir():
        raise NotADirectoryError(20, f"{folder} is not a folder")
