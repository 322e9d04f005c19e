"""The saved states of a run, in its work folder."""

import json
from pathlib import Path


def find_last_checkpoint(work: Path) -> Path | None:
    """Return the last complete checkpoint of a run; one that was being written may be cut off.

    The trainer's state is the last file that is written.
    """
    folders = sorted(work.glob("checkpoint-*"), key=read_step, reverse=True)
    return next((folder for folder in folders if _is_complete(folder)), None)


def describe_saved_state(work: Path) -> str:
    """Return a sentence which says whether `--resume` can go on with a run that has ended."""
    checkpoint = find_last_checkpoint(work)
    if checkpoint is None:
        return "nothing is saved yet: --resume would start over"
    return f"--resume continues after step {read_step(checkpoint)}, saved in {checkpoint}"


def read_step(folder: Path) -> int:
    """Return the step after which a checkpoint was saved."""
    number = folder.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def _is_complete(folder: Path) -> bool:
    try:
        json.loads((folder / "trainer_state.json").read_text())
    except (OSError, ValueError, RecursionError):
        return False
    return True
