"""What a rendered conversation is made of, before it is tokenised."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TemplateText:
    """The template's own text, in which a special token's name stands for the token."""

    text: str


@dataclass(frozen=True, slots=True)
class UntrustedText:
    """Somebody's words: text and nothing else, whatever they spell."""

    text: str


@dataclass(frozen=True, slots=True)
class ImageSlot:
    """Where the next image's embeddings go."""


Segment = TemplateText | UntrustedText | ImageSlot
