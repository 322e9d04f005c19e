"""The files of the protocol, in the form of LLaVA's released ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from asking.errors import InputError
from asking.files import FileModel, read_json_lines

Kind = Literal["conversation", "detail", "complex"]
KINDS: Final[tuple[Kind, ...]] = ("conversation", "detail", "complex")


def _full_name(value: Any) -> Any:
    return "conversation" if value == "conv" else value


class Question(FileModel):
    """A line of `qa90_questions.jsonl`; its `category` conv is short for conversation."""

    question_id: str
    image: str
    text: str = Field(min_length=1)
    category: Annotated[Kind, BeforeValidator(_full_name)]


class Instance(FileModel):
    """An object and its box `(x1, y1, x2, y2)`, 0 to 1."""

    category: str
    bbox: tuple[float, float, float, float]


class Context(FileModel):
    """A line of `caps_boxes_coco2014_val_80.jsonl`: what a text-only model knows of an image."""

    image: str
    captions: list[str] = Field(min_length=1)
    instances: tuple[Instance, ...] = ()

    def as_text(self) -> str:
        """Captions, then boxes, a line each."""
        captions = "\n".join(self.captions)
        boxes = "\n".join(f"{thing.category}: {list(thing.bbox)}" for thing in self.instances)
        return f"{captions}\n\n{boxes}".strip()


class Answer(FileModel):
    """A line of an answer file; whatever else it holds is ignored."""

    question_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """A question and the context of its image."""

    question: Question
    context: Context

    @property
    def question_id(self) -> str:
        return self.question.question_id


def read_cases(questions: Path, contexts: Path) -> list[Case]:
    """All questions with their contexts.

    Raises `InputError`, also where an id is there twice or an image has no context.
    """
    known = {context.image: context for context in read_json_lines(contexts, Context)}
    asked = read_json_lines(questions, Question)
    _demand_unique(questions, (question.question_id for question in asked))
    for question in asked:
        if question.image not in known:
            raise InputError(
                contexts, f"no line for image {question.image} of question {question.question_id}"
            )
    return [Case(question, known[question.image]) for question in asked]


def read_answers(path: Path) -> Mapping[str, str]:
    """Answers by question id. Raises `InputError`, also where an id is there twice."""
    answers = read_json_lines(path, Answer)
    _demand_unique(path, (answer.question_id for answer in answers))
    return {answer.question_id: answer.text for answer in answers}


def _demand_unique(path: Path, ids: Iterable[str]) -> None:
    seen: set[str] = set()
    for question_id in ids:
        if question_id in seen:
            raise InputError(path, f"question {question_id} is there twice")
        seen.add(question_id)
