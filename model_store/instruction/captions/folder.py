"""The files of a run: the journal that it resumes from, and the results written at the end."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from asking.files import write_atomically
from asking.report import write_results
from model_store.instruction.captions.counts import Counts
from model_store.instruction.captions.plan import PLAN_FILE
from model_store.instruction.captions.teaching import TeachingResult
from model_store.instruction.records import ALL_FILE, FILES, Kind, write_records

JOURNAL_FILE: Final = "answers.jsonl"
SET_ASIDE_FILE: Final = "set_aside.jsonl"
RESULTS_FILE: Final = "results.json"


def delete_outputs(folder: Path) -> None:
    """Delete all files that a run writes, and no others."""
    # The plan goes last: if this is interrupted, the remaining files still belong to it.
    written = (*FILES.values(), ALL_FILE, SET_ASIDE_FILE, RESULTS_FILE, JOURNAL_FILE, PLAN_FILE)
    for name in written:
        (folder / name).unlink(missing_ok=True)


def write_outputs(
    folder: Path, kinds: Sequence[Kind], result: TeachingResult, counts: Counts
) -> None:
    """Write records, malformed answers and counts, each file atomically."""
    write_records(folder, kinds, result.list_records())
    rejected = (json.dumps(each.as_json(), ensure_ascii=False) + "\n" for each in result.rejected)
    write_atomically(folder / SET_ASIDE_FILE, rejected)
    write_results(folder / RESULTS_FILE, counts.as_json())
