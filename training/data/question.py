"""A question about a scene and its one correct answer."""

from dataclasses import dataclass

NO_IMAGE_ANSWER = "I see no image."


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """Text of an answer and the places in image number `image` that the text depends on."""

    text: str
    places: tuple[str, ...] = ()
    image: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer in parts. Evaluations group questions by `kind`."""

    kind: str
    text: str
    parts: tuple[AnswerPart, ...]

    @property
    def answer(self) -> str:
        return "".join(part.text for part in self.parts)


def build_question(kind: str, text: str, answer: str, *places: str) -> Question:
    """Build a question whose answer has a single part."""
    return Question(kind, text, (AnswerPart(answer, places),))
