"""MMBench: the workbook for its submission page (arXiv 2307.06281)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from asking import options
from asking.errors import InputError, RunError
from evaluation.mmbench_table import read_rows
from evaluation.released_files import read_answer_texts
from evaluation.scorers.options import AnswersPath, SubmissionPath
from evaluation.scorers.report import print_submission, warn_of_missing

Cell = int | float | str | None

# As `convert_mmbench_for_submission.py` does.
DROPPED_COLUMNS: Final = frozenset(
    {"hint", "category", "source", "image", "comment", "l2-category"}
)
PREDICTION_COLUMN: Final = 6
# Cells that pandas, with which the released code reads the table, takes as empty.
_EMPTY: Final = frozenset(
    {"", "#N/A", "N/A", "NA", "<NA>", "n/a", "nan", "NaN", "-nan", "-NaN", "null", "NULL", "None"}
)


def mmbench(
    questions: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="MMBench's table, .tsv")
    ],
    answers: AnswersPath,
    out: SubmissionPath,
    as_json: options.Json = False,
) -> None:
    """MMBench: the workbook (.xlsx) for its submission page."""
    texts = read_answer_texts(answers)
    header, rows = build_sheet(questions, texts)
    write_workbook(out, header, rows)
    column = header.index("prediction")
    missing = sum(row[column] is None for row in rows)
    print_submission(out, len(rows), missing, as_json)
    warn_of_missing(missing, "left empty")


def build_sheet(path: Path, texts: Mapping[str, str]) -> tuple[list[str], list[list[Cell]]]:
    """Return the header and the rows, with the predictions. Raises `InputError`."""
    rows = [
        {name: cell for name, cell in row.items() if name not in DROPPED_COLUMNS}
        for _, row in read_rows(path)
    ]
    if not rows:
        raise InputError(path, "no questions")
    columns = {name: convert_column([row[name] for row in rows]) for name in rows[0]}
    predictions: list[Cell] = [texts.get(row["index"]) for row in rows]
    entries = list(columns.items())
    entries.insert(PREDICTION_COLUMN, ("prediction", predictions))
    header = [name for name, _ in entries]
    return header, [list(row) for row in zip(*(cells for _, cells in entries), strict=True)]


def convert_column(cells: Sequence[str]) -> list[Cell]:
    """Return a column as numbers if all of its cells are, otherwise as text."""
    filled = [cell for cell in cells if cell not in _EMPTY]
    for number in (int, float):
        try:
            converted = {cell: number(cell) for cell in filled}
        except ValueError:
            continue
        return [converted.get(cell) for cell in cells]
    return [None if cell in _EMPTY else cell for cell in cells]


def write_workbook(path: Path, header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Write one sheet. Raises `RunError` without openpyxl."""
    try:
        from openpyxl import Workbook
        from openpyxl.cell import WriteOnlyCell
        from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    except ImportError:
        raise RunError("workbooks need openpyxl: pip install 'llava-server[evaluation]'") from None
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet("Sheet1")
    for row in (header, *rows):
        cells: list[Any] = []
        for value in row:
            if isinstance(value, str):
                cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", value))
                cell.data_type = "s"  # a text that begins with "=" is no formula
                cells.append(cell)
            else:
                cells.append(value)
        sheet.append(cells)
    path.parent.mkdir(parents=True, exist_ok=True)
    workbook.save(path)
