"""A prompt: token ids, and where its images are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Placeholder:
    """The image tokens of one image: a range of `token_ids`."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """The prompt to prefill; `placeholders` are in the order of the request's images."""

    token_ids: list[int]
    placeholders: list[Placeholder]

    @property
    def num_image_tokens(self) -> int:
        """The number of image tokens."""
        return sum(placeholder.length for placeholder in self.placeholders)
