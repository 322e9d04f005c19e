"""The files of a run: the journal that it goes on from, and what is written of it at the end."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from asking.files import write_atomically
from asking.report import write_results
from model_store.instruction.captions.counts import Counts
from model_store.instruction.captions.plan import PLAN_FILE
from model_store.instruction.captions.teaching import Taught
from model_store.instruction.records import ALL_FILE, FILES, Kind, write_records

JOURNAL_FILE: Final = "answers.jsonl"
SET_ASIDE_FILE: Final = "set_aside.jsonl"
RESULTS_FILE: Final = "results.json"


def clear(folder: Path) -> None:
    """Remove all that a run writes, and nothing else."""
    # The plan goes last: should this be cut short, what is left still belongs to it.
    written = (*FILES.values(), ALL_FILE, SET_ASIDE_FILE, RESULTS_FILE, JOURNAL_FILE, PLAN_FILE)
    for name in written:
        (folder / name).unlink(missing_ok=True)


def write_out(folder: Path, kinds: Sequence[Kind], taught: Taught, counts: Counts) -> None:
    """Write records, malformed answers and numbers, each file whole or not at all."""
    write_records(folder, kinds, taught.made())
    aside = (json.dumps(each.as_json(), ensure_ascii=False) + "\n" for each in taught.set_aside)
    write_atomically(folder / SET_ASIDE_FILE, aside)
    write_results(folder / RESULTS_FILE, counts.as_json())
