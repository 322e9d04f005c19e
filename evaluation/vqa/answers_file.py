"""The answers file: LLaVA's released format, and the journal from which a run resumes."""

import json
import uuid
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asking.errors import InputError
from asking.files import FileModel, RecordId, parse_line, write_atomically
from asking.journal import Entry, Journal
from asking.wire import Answer
from evaluation.vqa.questions import VqaQuestion


class _Metadata(FileModel):
    asked: str = ""
    finish_reason: str = ""


class _Line(FileModel):
    question_id: RecordId
    prompt: str
    text: str
    metadata: _Metadata = _Metadata()


class AnswersFile(Journal):
    """A journal whose lines are those of `model_vqa.py`.

    A line belongs to the question of the same id and text. Lines that the released code wrote count
    as answers, too: they lack the digest of what was asked.
    """

    def __init__(self, path: Path, questions: Sequence[VqaQuestion]) -> None:
        super().__init__(path)
        self._records = {question.key: question.record for question in questions}
        self._lines: dict[str, str] = {}
        self._unanswered: dict[tuple[str, str], deque[str]] = defaultdict(deque)
        for key, record in self._records.items():
            self._unanswered[_identify(record.question_id, record.text)].append(key)

    def find(self, question_id: str, digest: str) -> Answer | None:
        """Return the answer in the file, or None; see `Journal.find`."""
        entry = self._entries.get(question_id)
        if entry is not None and not entry.digest:
            return entry.answer
        return super().find(question_id, digest)

    def append(self, record: Mapping[str, Any]) -> None:
        """Append an answer in the released format, stripped as there."""
        key = record["question_id"]
        question = self._records[key]
        line = {
            "question_id": question.question_id,
            "prompt": question.text,
            "text": record["text"].strip(),
            "answer_id": uuid.uuid4().hex,
            "model_id": record["model_id"],
            "metadata": {"finish_reason": record["finish_reason"], "asked": record["asked"]},
        }
        super().append(line)
        self._lines[key] = json.dumps(line, ensure_ascii=False)

    def parse_entry(self, text: str, line: int) -> tuple[str, Entry]:
        """Parse a line and find its question. Raises `InputError` if none of them has it."""
        record = parse_line(self.path, text, line, _Line)
        keys = self._unanswered.get(_identify(record.question_id, record.prompt))
        if not keys:
            raise InputError(
                self.path,
                f"question {record.question_id} is not asked with this prompt, or is answered "
                "twice; write to another file, or remove this one",
                line,
            )
        key = keys.popleft()
        self._lines[key] = text
        answer = Answer(record.text, record.metadata.finish_reason)
        return key, Entry(answer, record.metadata.asked, line)

    def sort(self) -> None:
        """Rewrite the file in the order of the questions; released scorers of POPE rely on it."""
        in_order = {key: self._lines[key] for key in self._records if key in self._lines}
        if list(in_order) != list(self._lines):
            write_atomically(self.path, (f"{line}\n" for line in in_order.values()))


def _identify(question_id: int | str, prompt: str) -> tuple[str, str]:
    # model_vqa_science.py writes the image's place with the prompt.
    return str(question_id), prompt.removeprefix("<image>\n")
