"""MMBench's tables: tab-separated, one question a row, the image in base64."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from asking.errors import InputError

LETTERS: Final = "ABCD"
_MAX_CELL_CHARS: Final = 2**30  # an image in base64
_REQUIRED: Final = frozenset({"index", "question"})


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows with the numbers of their lines. Raises `InputError`."""
    csv.field_size_limit(_MAX_CELL_CHARS)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, dialect="excel-tab")
            missing = sorted(_REQUIRED.difference(reader.fieldnames or ()))
            if missing:
                raise InputError(path, f"no column {missing[0]}", 1)
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(
                        path, "a different number of columns than the first line", reader.line_num
                    )
                yield reader.line_num, row
    except UnicodeDecodeError:
        raise InputError(path, "not UTF-8 text") from None
    except csv.Error as error:
        raise InputError(path, str(error)) from None


def is_blank(cell: str) -> bool:
    """Whether a cell has no value, as the released code reads it."""
    return cell.strip().lower() in {"", "nan", "none"}


def build_prompt(row: dict[str, str], instruction: str) -> str:
    """Return hint, question and options, then the instruction, as `model_vqa_mmbench.py` does."""
    hint = row.get("hint", "")
    lines = [row["question"]] if is_blank(hint) else [hint, row["question"]]
    for letter in LETTERS:
        option = row.get(letter, "")
        if is_blank(option):
            break
        lines.append(f"{letter}. {option}")
    return "\n".join([*lines, instruction] if instruction else lines)
