"""The input files, in the format of LLaVA's released ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from asking.errors import InputError
from asking.files import FileModel, TextId, read_json_lines

Kind = Literal["conversation", "detail", "complex"]
KINDS: Final[tuple[Kind, ...]] = ("conversation", "detail", "complex")


def _expand_category(value: Any) -> Any:
    return "conversation" if value == "conv" else value


class QuestionRecord(FileModel):
    """A line of `qa90_questions.jsonl`; the category `conv` is read as `conversation`."""

    question_id: TextId
    image: str
    text: str = Field(min_length=1)
    category: Annotated[Kind, BeforeValidator(_expand_category)]


class Instance(FileModel):
    """An object and its box `(x1, y1, x2, y2)`, 0 to 1; integers stay integers in prompts."""

    category: str
    bbox: tuple[int | float, int | float, int | float, int | float]


class Context(FileModel):
    """What is known of an image.

    A line of `caps_boxes_coco2014_val_80.jsonl`, with captions and boxes, or of LLaVA-Bench
    (In-the-Wild)'s `context.jsonl`, which has `caption` instead.
    """

    image: str
    captions: list[str] = Field(min_length=1, validation_alias=AliasChoices("captions", "caption"))
    instances: tuple[Instance, ...] = ()
    is_llava_bench: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read_caption(cls, value: Any) -> Any:
        if isinstance(value, dict) and "captions" not in value and "caption" in value:
            caption = value["caption"]
            captions = [caption] if isinstance(caption, str) else caption
            return {**value, "caption": captions, "is_llava_bench": True}
        return value

    def to_text(self) -> str:
        """Return the captions, then the boxes, one per line."""
        return self.to_released_text().strip()

    def to_released_text(self) -> str:
        """Return what the released scripts show: captions, and boxes unless it is LLaVA-Bench."""
        captions = "\n".join(self.captions)
        if self.is_llava_bench:
            return captions
        boxes = [f"{thing.category}: {list(thing.bbox)}" for thing in self.instances]
        return "\n\n".join((captions, "\n".join(boxes)))


class AnswerRecord(FileModel):
    """A line of an answer file; other keys are ignored."""

    question_id: TextId
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """A question and the context of its image."""

    question: QuestionRecord
    context: Context

    @property
    def question_id(self) -> str:
        return self.question.question_id


def read_cases(questions: Path, contexts: Path) -> list[Case]:
    """Read all questions with their contexts.

    Raises `InputError`, also for a duplicate id or an image without context.
    """
    by_image = {context.image: context for context in read_json_lines(contexts, Context)}
    records = read_json_lines(questions, QuestionRecord)
    _require_unique(questions, (question.question_id for question in records))
    for question in records:
        if question.image not in by_image:
            raise InputError(
                contexts, f"no line for image {question.image} of question {question.question_id}"
            )
    return [Case(question, by_image[question.image]) for question in records]


def read_answers(path: Path) -> Mapping[str, str]:
    """Read answers by question id. Raises `InputError`, also for a duplicate id."""
    answers = read_json_lines(path, AnswerRecord)
    _require_unique(path, (answer.question_id for answer in answers))
    return {answer.question_id: answer.text for answer in answers}


def _require_unique(path: Path, ids: Iterable[str]) -> None:
    seen: set[str] = set()
    for question_id in ids:
        if question_id in seen:
            raise InputError(path, f"question {question_id} is listed twice")
        seen.add(question_id)
