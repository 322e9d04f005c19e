"""A teacher's instruction: a system message and examples in context."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prompt:
    """`examples` pair what the teacher would be given with what it should write."""

    system: str
    examples: tuple[tuple[str, str], ...]
