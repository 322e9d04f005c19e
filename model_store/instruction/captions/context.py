"""A text-only teacher's knowledge of an image: captions, and objects with their boxes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from asking.errors import InputError, RunError
from asking.files import FileModel, describe_validation_error, read_numbered_lines

_Number = Annotated[float, Field(allow_inf_nan=False)]
Box = tuple[_Number, _Number, _Number, _Number]

# Rounding may move an edge out of the image: by this share of its side, or by one pixel.
_TOLERANCE: Final = 0.005
_PIXEL: Final = 1.0
_MAX_PROBLEMS: Final = 10


class Instance(FileModel):
    """An object and its box `(x1, y1, x2, y2)`, as shares of the image's sides or in pixels."""

    category: str = Field(min_length=1)
    bbox: Box

    @model_validator(mode="after")
    def _is_a_box(self) -> Self:
        x1, y1, x2, y2 = self.bbox
        if x1 > x2 or y1 > y2:
            raise PydanticCustomError(
                "box", "the box {box} is not [x1, y1, x2, y2]", {"box": str(list(self.bbox))}
            )
        return self


class Context(FileModel):
    """A line of the input. Boxes with values above 1 are in pixels, and need the image's size."""

    id: str = Field(min_length=1)
    image: str = Field(min_length=1)
    captions: tuple[str, ...] = Field(min_length=1)
    instances: tuple[Instance, ...] = ()
    width: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    height: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if not any(caption.strip() for caption in self.captions):
            raise PydanticCustomError("captions", "captions: all of them are empty")
        self.boxes()
        return self

    def boxes(self) -> list[tuple[float, float, float, float]]:
        """Return the objects' boxes as shares of the image's sides, 0 to 1."""
        edges = [edge for instance in self.instances for edge in instance.bbox]
        if not edges or max(edges) <= 1 + _TOLERANCE:
            return [self._scale(instance, 1, 1, _TOLERANCE) for instance in self.instances]
        if self.width is None or self.height is None:
            raise PydanticCustomError(
                "box", "boxes are in pixels (beyond 1): width and height of the image are needed"
            )
        return [self._scale(each, self.width, self.height, _PIXEL) for each in self.instances]

    def as_text(self) -> str:
        """Return captions, then `category: [x1, y1, x2, y2]`, a line each, and nothing else."""
        objects = [
            f"{_one_line(instance.category)}: [{', '.join(f'{edge:.3f}' for edge in box)}]"
            for instance, box in zip(self.instances, self.boxes(), strict=True)
        ]
        return "\n".join([self.captions_as_text(), *([""] if objects else []), *objects])

    def captions_as_text(self) -> str:
        """Return the captions, a line each."""
        return "\n".join(filter(None, map(_one_line, self.captions)))

    @staticmethod
    def _scale(
        instance: Instance, width: float, height: float, slack: float
    ) -> tuple[float, float, float, float]:
        x1, y1, x2, y2 = instance.bbox
        if min(x1, y1) < -slack or x2 > width + slack or y2 > height + slack:
            raise PydanticCustomError(
                "box",
                "the box {box} of {category} is not inside of the image",
                {"box": str(list(instance.bbox)), "category": instance.category},
            )
        return _share(x1, width), _share(y1, height), _share(x2, width), _share(y2, height)


def read_contexts(path: Path) -> list[Context]:
    """Read all lines of a JSON Lines file. Raises `RunError` with each problem and its line."""
    contexts: list[Context] = []
    problems: list[InputError] = []
    lines_of: dict[str, int] = {}
    for number, line in read_numbered_lines(path):
        try:
            context = Context.model_validate_json(line)
        except ValidationError as error:
            problems.append(InputError(path, describe_validation_error(error), number))
            continue
        first = lines_of.setdefault(context.id, number)
        if first != number:
            problem = f"the id {context.id} is already that of line {first}"
            problems.append(InputError(path, problem, number))
        contexts.append(context)
    _raise_problems(problems)
    if not contexts:
        raise InputError(path, "has no records")
    return contexts


def _raise_problems(problems: Sequence[InputError]) -> None:
    if problems:
        shown = [str(problem) for problem in problems[:_MAX_PROBLEMS]]
        more = len(problems) - len(shown)
        raise RunError("\n".join([*shown, *([f"and {more} more lines"] if more else [])]))


def _share(edge: float, length: float) -> float:
    return min(max(edge / length, 0.0), 1.0)


def _one_line(text: str) -> str:
    return " ".join(text.split())
