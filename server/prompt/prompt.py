"""A prompt: token ids and the placeholders of its images and videos."""

from dataclasses import dataclass

from server.prompt.segments import Modality


@dataclass(frozen=True, slots=True)
class Placeholder:
    """The image tokens of one image or video: a range of `token_ids`."""

    offset: int
    length: int
    modality: Modality = "image"


@dataclass(frozen=True, slots=True)
class Prompt:
    """The prompt to prefill.

    `placeholders` are in prompt order: images in the order of the request's images, videos in the
    order of its videos.
    """

    token_ids: list[int]
    placeholders: list[Placeholder]

    @property
    def num_image_tokens(self) -> int:
        """The number of image tokens."""
        return self._count_tokens("image")

    @property
    def num_video_tokens(self) -> int:
        """The number of video tokens."""
        return self._count_tokens("video")

    def _count_tokens(self, modality: Modality) -> int:
        return sum(each.length for each in self.placeholders if each.modality == modality)
