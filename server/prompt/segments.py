"""Segments of a rendered conversation: template text, untrusted text, slots of media."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Modality = Literal["image", "video"]


@dataclass(frozen=True, slots=True)
class TemplateText:
    """Text of the template: names of special tokens in it are parsed as the tokens.

    `is_answer`: it belongs to the assistant's text, on which training computes the loss.
    """

    text: str
    is_answer: bool = False


@dataclass(frozen=True, slots=True)
class UntrustedText:
    """Text of a client or a model: names of special tokens in it are not parsed."""

    text: str
    is_answer: bool = False


@dataclass(frozen=True, slots=True)
class MediaSlot:
    """The place of the embeddings of the next image, or of the next video."""

    modality: Modality = "image"


Segment = TemplateText | UntrustedText | MediaSlot


def count_characters(segments: Iterable[Segment]) -> int:
    """Return the number of characters of all texts."""
    return sum(len(each.text) for each in segments if not isinstance(each, MediaSlot))
