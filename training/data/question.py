"""A question about a scene, with the one answer that counts as right."""

from dataclasses import dataclass

NO_IMAGE = "I see no image."


@dataclass(frozen=True, slots=True)
class Part:
    """Words of an answer, and the places in one image that one has to look at to say them."""

    text: str
    places: tuple[str, ...] = ()
    image: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """`kind` groups questions in evaluations; the answer is said part by part."""

    kind: str
    text: str
    parts: tuple[Part, ...]

    @property
    def answer(self) -> str:
        return "".join(part.text for part in self.parts)


def question(kind: str, text: str, answer: str, *places: str) -> Question:
    """One whose answer is of one part."""
    return Question(kind, text, (Part(answer, places),))
