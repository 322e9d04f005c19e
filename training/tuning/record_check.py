"""Checks all records before a run, and tells what is wrong with them."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tqdm import tqdm

from training.tuning.dataset import Remark, TuningDataset, find_flaws
from training.tuning.errors import DataError, MissingImageError
from training.tuning.records import IMAGE_TAG

MAX_FLAWS_SHOWN: Final = 20


def check_records(
    dataset: TuningDataset, option: str, work: Path, *, skips_bad_records: bool
) -> list[int]:
    """Return the indices of good records. Raises `DataError` where there are others.

    `option` is the one that named their files. Flaws that are too many to be shown are written to
    a file in the folder `work`. Of several processes, the first tells.
    """
    if not len(dataset):
        raise DataError(f"{option} has no records")
    tells = os.environ.get("RANK", "0") == "0"
    remarks = Counter[Remark]()
    bar = tqdm(total=len(dataset), desc=f"checking {option}", disable=None if tells else True)
    with bar:
        flaws = dict(find_flaws(dataset, remarks, bar.update))
    lost = _describe_lost_images(dataset, flaws)
    if lost and not skips_bad_records:
        raise DataError(lost)
    if tells:
        _tell([lost] if lost else [*map(str, flaws.values())], work / f"bad-{option[2:]}.txt")
    try:
        _judge(len(flaws), len(dataset), option, skips_bad_records=skips_bad_records)
    except DataError as error:
        # The launcher ends the first process as soon as another one fails: perhaps it told nothing.
        first = "" if tells else f"; the first: {next(iter(flaws.values()))}"
        raise DataError(f"{error}{first}") from None
    if tells:
        good = _count(len(dataset) - len(flaws), "good record")
        left_out = f", {_count(len(flaws), 'bad one')} left out" if flaws else ""
        print(f"{option}: {good}{left_out}", file=sys.stderr)
        for line in _describe_remarks(remarks, dataset.max_length):
            print(f"{option}: {line}", file=sys.stderr)
    return [index for index in range(len(dataset)) if index not in flaws]


def _describe_remarks(remarks: Mapping[Remark, int], max_length: int) -> Iterator[str]:
    """Yield a line on each kind of odd record; they are trained all the same."""
    if count := remarks.get(Remark.CUT):
        verb = "is" if count == 1 else "are"
        yield (
            f"{_count(count, 'record')} {verb} longer than --model-max-length {max_length}: text"
            " beyond it is not trained"
        )
    if count := remarks.get(Remark.TAG_WITHOUT_IMAGE):
        verb = "has" if count == 1 else "have"
        yield (
            f"{_count(count, 'record')} without 'image' {verb} {IMAGE_TAG}, which is trained as"
            " text"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _describe_lost_images(dataset: TuningDataset, flaws: Mapping[int, DataError]) -> str:
    """Return a line if no image is there. A single one is named like every other flaw."""
    if not any(isinstance(error, MissingImageError) for error in flaws.values()):
        return ""
    names: set[object] = set()
    for index in range(len(dataset)):
        try:
            images = dataset.read_record(index).images
        except DataError:
            continue
        if any(map(dataset.images.has, images)):
            return ""
        names.update(images)
    if len(names) < 2:
        return ""
    folder = dataset.images.folder.resolve()
    return f"none of the {len(names)} images is in {folder}: is --images right?"


def _tell(flaws: Sequence[str], file: Path) -> None:
    for text in flaws[:MAX_FLAWS_SHOWN]:
        print(text, file=sys.stderr)
    more = len(flaws) - MAX_FLAWS_SHOWN
    if more > 0:
        print(f"... and {more} more; {_list_flaws(flaws, file)}", file=sys.stderr)


def _list_flaws(flaws: Sequence[str], file: Path) -> str:
    """Write all flaws to a file, and say where they are. Without the file, the verdict counts."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # A name of no file may hold half of a surrogate pair.
        file.write_text("".join(f"{text}\n" for text in flaws), "utf-8", "backslashreplace")
    except OSError as error:
        return f"they cannot be listed in {file}: {error.strerror}"
    return f"all are in {file.resolve()}"


def _judge(num_flaws: int, num_records: int, option: str, *, skips_bad_records: bool) -> None:
    """Raise `DataError` where there are bad records that are not skipped, or no others."""
    if num_flaws == num_records:
        if num_records == 1:
            raise DataError(f"the only record of {option} is bad")
        raise DataError(f"all {num_records} records of {option} are bad")
    if num_flaws and not skips_bad_records:
        are = "is" if num_flaws == 1 else "are"
        raise DataError(
            f"{num_flaws} of {num_records} records of {option} {are} bad;"
            " --skip-bad-records trains the others"
        )
