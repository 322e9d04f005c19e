"""Questions of a released question file, ready to be asked."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from asking.errors import InputError, RunError
from asking.images import QuestionImage, find_image
from asking.question import ChatQuestion
from evaluation.released_files import ReleasedQuestion, read_numbered_questions


@dataclass(frozen=True, slots=True)
class VqaQuestion:
    """A question of the file, and what is sent for it.

    Ids repeat in the files of MME and TextVQA, so `chat_question.question_id` is a key of its own.
    """

    record: ReleasedQuestion
    chat_question: ChatQuestion

    @property
    def key(self) -> str:
        return self.chat_question.question_id


def load_questions(path: Path, images: Path | None) -> list[VqaQuestion]:
    """Read the questions of a file and find their images in a folder.

    Raises `InputError`, which names the line.
    """
    finder = _ImageFinder(path, images)
    seen: Counter[str] = Counter()
    image_of: dict[tuple[str, str], str | None] = {}
    questions = []
    for line, record in read_numbered_questions(path):
        question_id = str(record.question_id)
        if image_of.setdefault((question_id, record.text), record.image) != record.image:
            raise InputError(path, f"question {question_id} is listed with another image", line)
        seen[question_id] += 1
        key = question_id if seen[question_id] == 1 else f"{question_id}#{seen[question_id]}"
        chat_question = ChatQuestion(key, record.text, image=finder.find(record.image, line))
        questions.append(VqaQuestion(record, chat_question))
    if not questions:
        raise InputError(path, "no questions")
    return questions


class _ImageFinder:
    """Finds each image once; many questions of a file share one."""

    def __init__(self, path: Path, images: Path | None) -> None:
        self._path = path
        self._images = images
        self._found: dict[str, QuestionImage] = {}

    def find(self, name: str | None, line: int) -> QuestionImage | None:
        if not name:
            return None
        if self._images is None:
            raise InputError(self._path, f"the image {name} needs a folder: --images", line)
        if name not in self._found:
            try:
                self._found[name] = find_image(name, self._images / name)
            except RunError as error:
                raise InputError(self._path, str(error), line) from None
        return self._found[name]
