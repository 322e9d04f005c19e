"""An append-only JSON Lines file of answers, from which an interrupted run resumes."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from asking.errors import InputError
from asking.files import FileModel, TextId, parse_line
from asking.lock import lock_file
from asking.wire import Answer


class _Record(FileModel):
    question_id: TextId
    text: str
    finish_reason: str = ""
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A journaled answer; `digest` identifies the question, `line` counts from 1."""

    answer: Answer
    digest: str
    line: int


class Journal:
    """Answers by question id; each is appended as one line when it arrives.

    Opening truncates an incomplete last line, so its question is asked again. A lock keeps a
    second run from writing the same file. Entering raises `InputError` for a malformed line and
    `RunError` for a locked file. A subclass whose file has another format overrides `append` and
    `parse_entry`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: dict[str, Entry] = {}

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # In append mode every write goes to the end, whatever the read position.
        self._file: BufferedRandom = self.path.open("a+b")
        try:
            lock_file(self._file, self.path)
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

    def find(self, question_id: str, digest: str) -> Answer | None:
        """Return the journaled answer to a question, or None.

        Raises `InputError` if the answer under this id belongs to a question with another digest.
        """
        entry = self._entries.get(question_id)
        if entry is None:
            return None
        if entry.digest != digest:
            raise InputError(
                self.path,
                f"question {question_id} was answered for another model, prompt or image; "
                "write to another file, or remove this one",
                entry.line,
            )
        return entry.answer

    def append(self, record: Mapping[str, Any]) -> None:
        """Append one answer and flush it."""
        self._file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        self._file.flush()

    def parse_entry(self, text: str, line: int) -> tuple[str, Entry]:
        """Parse a line into a question id and its entry. Raises `InputError`."""
        record = parse_line(self.path, text, line, _Record)
        return record.question_id, Entry(
            Answer(record.text, record.finish_reason), record.asked, line
        )

    def _recover(self) -> None:
        self._file.seek(0)
        complete, newline, tail = self._file.read().rpartition(b"\n")
        if tail and _is_json_object(tail):
            self._write_newline()
            complete, newline = complete + newline + tail, b"\n"
        elif tail:
            os.ftruncate(self._file.fileno(), len(complete + newline))
        if newline:
            self._load(complete)

    def _write_newline(self) -> None:
        self._file.write(b"\n")
        self._file.flush()

    def _load(self, data: bytes) -> None:
        try:
            lines = data.decode().split("\n")
        except UnicodeDecodeError:
            raise InputError(self.path, "not UTF-8 text") from None
        for number, line in enumerate(lines, start=1):
            if line.strip():
                question_id, entry = self.parse_entry(line, number)
                self._entries[question_id] = entry


def _is_json_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
