"""Files of records: JSON, JSON Lines, Parquet, WebDataset. Records are read as they are needed."""

import json
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from training.tuning.errors import NO_JSON, DataError
from training.tuning.webdataset import WebDatasetShard


class RecordFile(Protocol):
    """A file's records, not checked."""

    def __len__(self) -> int:
        """The number of records."""

    def read(self, index: int) -> Any:
        """Return a record as JSON has it. Raises `DataError`."""

    def describe(self, index: int) -> str:
        """Return where a record is: the file, and the line or the number."""


class JsonFile:
    """A JSON file that holds a list, as LLaVA's data has it. It is kept in memory."""

    def __init__(self, path: Path) -> None:
        """Raise `DataError`."""
        self._path = path
        try:
            self._records = json.loads(path.read_bytes())
        except json.JSONDecodeError as error:
            raise DataError(f"{path} is not a JSON file: {_explain(error)}") from None
        except (OSError, *NO_JSON) as error:
            raise DataError(f"{path} is not a JSON file: {error}") from None
        if not isinstance(self._records, list):
            raise DataError(f"{path} does not hold a list of records")

    def __len__(self) -> int:
        return len(self._records)

    def read(self, index: int) -> Any:
        """Return a record."""
        return self._records[index]

    def describe(self, index: int) -> str:
        """Return the file and the record's number, from 1."""
        return f"{self._path}, record {index + 1}"


def _explain(error: json.JSONDecodeError) -> str:
    if not error.doc:
        return "it is empty"
    if error.msg == "Extra data":
        return f"{error}; if each line is a record, its name must end with .jsonl"
    return str(error)


class JsonLinesFile:
    """A file with one JSON value on each line. Only where lines begin is kept in memory."""

    def __init__(self, path: Path) -> None:
        """Raise `DataError`."""
        self._path = path
        self._starts, self._lines = array("q"), array("q")
        start = 0
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        self._starts.append(start)
                        self._lines.append(number)
                    start += len(line)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error}") from None
        if len(self) and self._read_line(0).lstrip(b"\xef\xbb\xbf \t").startswith(b"["):
            raise DataError(f"{path} begins with a list: if it is JSON, name it .json")

    def __len__(self) -> int:
        return len(self._starts)

    def read(self, index: int) -> Any:
        """Return a line's value. Raises `DataError`."""
        try:
            return json.loads(self._read_line(index))
        except NO_JSON as error:
            raise DataError(f"{self.describe(index)} is not JSON: {error}") from None

    def describe(self, index: int) -> str:
        """Return the file and the line."""
        return f"{self._path}, line {self._lines[index]}"

    def _read_line(self, index: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(self._starts[index])
            return file.readline()


class ParquetFile:
    """A Parquet file with a column for each of a record's fields, mapped into memory."""

    def __init__(self, path: Path) -> None:
        """Raise `DataError`."""
        import pyarrow
        import pyarrow.parquet

        self._path = path
        try:
            self._table = pyarrow.parquet.read_table(path, memory_map=True)
        except (OSError, pyarrow.ArrowException) as error:
            raise DataError(f"{path} is not a Parquet file: {error}") from None
        names = self._table.column_names
        if "conversations" not in names:
            raise DataError(f"{path} has no column 'conversations', but {', '.join(names)}")

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def read(self, index: int) -> Any:
        """Return a row; empty cells are as if they were not there. Raises `DataError`."""
        try:
            (row,) = self._table.slice(index, 1).to_pylist()
        except ValueError as error:  # text that is no UTF-8
            raise DataError(f"{self.describe(index)} cannot be read: {error}") from None
        return {name: value for name, value in row.items() if value is not None}

    def describe(self, index: int) -> str:
        """Return the file and the row, from 1."""
        return f"{self._path}, row {index + 1}"


SUFFIXES: Final = (".json", ".jsonl", ".parquet", ".tar")


def open_record_file(path: Path) -> RecordFile:
    """Open a file by its suffix. Raises `DataError`."""
    match path.suffix.lower():
        case ".json":
            return JsonFile(path)
        case ".jsonl":
            return JsonLinesFile(path)
        case ".parquet":
            return ParquetFile(path)
        case ".tar":
            return WebDatasetShard(path)
        case _:
            raise DataError(f"{path}: its name must end with one of {', '.join(SUFFIXES)}")


def open_record_files(paths: Sequence[Path]) -> list[RecordFile]:
    """Open several files. Raises `DataError`."""
    return [open_record_file(path) for path in paths]
