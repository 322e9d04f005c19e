"""An append-only JSON Lines file of answers, from which a run that was killed goes on."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from asking.errors import InputError
from asking.files import FileModel, checked
from asking.lock import lock
from asking.wire import Answer


class _Record(FileModel):
    question_id: str
    text: str
    finish_reason: str = ""
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer on disk: `asked` is the digest of what was asked, `line` counts from 1."""

    answer: Answer
    asked: str
    line: int


class Journal:
    """Answers by question id, each written as one whole line as soon as it is there.

    What a kill left of a last line is cut off on opening, so that its question is asked again.
    A lock keeps a second run from writing the same file. Entering raises `InputError` for a
    malformed line and `RunError` for a locked file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, Entry] = {}

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # In append mode the system puts every write at the end, wherever reading has led.
        self._file: BufferedRandom = self._path.open("a+b")
        try:
            lock(self._file, self._path)
            self._recover()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def find(self, question_id: str, asked: str) -> Answer | None:
        """The answer to this question, where there is one already.

        Raises `InputError` where the file holds an answer to something else under this id.
        """
        entry = self._entries.get(question_id)
        if entry is None:
            return None
        if entry.asked != asked:
            raise InputError(
                self._path,
                f"question {question_id} was answered for another model, prompt or image; "
                "write to another file, or remove this one",
                entry.line,
            )
        return entry.answer

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one answer through to the system."""
        self._file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        self._file.flush()

    def _recover(self) -> None:
        self._file.seek(0)
        whole, newline, tail = self._file.read().rpartition(b"\n")
        if tail and _is_whole(tail):
            self._end_line()
            whole, newline = whole + newline + tail, b"\n"
        elif tail:
            os.ftruncate(self._file.fileno(), len(whole + newline))
        if newline:
            self._load(whole)

    def _end_line(self) -> None:
        self._file.write(b"\n")
        self._file.flush()

    def _load(self, data: bytes) -> None:
        try:
            lines = data.decode().split("\n")
        except UnicodeDecodeError:
            raise InputError(self._path, "not UTF-8 text") from None
        for number, line in enumerate(lines, start=1):
            if line.strip():
                record = checked(self._path, line, number, _Record)
                answer = Answer(record.text, record.finish_reason)
                self._entries[record.question_id] = Entry(answer, record.asked, number)


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
