"""The cost of a request, in the resources that admission bounds."""

from dataclasses import dataclass
from typing import Final

# Request bodies up to this size hold no image worth counting.
TEXT_BYTES: Final = 64 * 1024
# An image counts this much besides its bytes: the vision tower takes as long for a small one.
IMAGE_OVERHEAD_BYTES: Final = 5 * 512 * 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """The resources that a request takes while it runs.

    `sequences` are decoded by the engine at once; `image_bytes` are encoded image data that wait
    for decoding, with an overhead for each image: the best measure of that work before a header
    is read.
    """

    sequences: int = 1
    image_bytes: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        """Return the sum."""
        return Cost(self.sequences + other.sequences, self.image_bytes + other.image_bytes)

    def __sub__(self, other: "Cost") -> "Cost":
        """Return the difference."""
        return Cost(self.sequences - other.sequences, self.image_bytes - other.image_bytes)

    def fits(self, held: "Cost", capacity: "Cost") -> bool:
        """Return whether this cost fits beside `held`."""
        return held.sequences + self.sequences <= capacity.sequences and (
            self.image_bytes == 0 or held.image_bytes + self.image_bytes <= capacity.image_bytes
        )

    def clip(self, share: "Cost") -> "Cost":
        """Return the cost, no larger than a share: a larger request takes all of it."""
        return Cost(min(self.sequences, share.sequences), min(self.image_bytes, share.image_bytes))

    def share_of(self, capacity: "Cost") -> float:
        """Return the largest share of a resource that this cost takes, for fair queueing."""
        return max(
            self.sequences / capacity.sequences, self.image_bytes / max(capacity.image_bytes, 1)
        )


NOTHING: Final = Cost(0, 0)
ONE: Final = Cost()


def estimate_image_bytes(body_bytes: int, num_images: int) -> int:
    """Return the image bytes of a body with this many images and frames of videos."""
    return body_bytes + num_images * IMAGE_OVERHEAD_BYTES if num_images else 0


def estimate_unread_cost(body_bytes: int) -> Cost:
    """Return the cost of a request from its body's size alone."""
    return Cost(1, estimate_image_bytes(body_bytes, int(body_bytes > TEXT_BYTES)))
