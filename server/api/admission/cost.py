"""The cost of a request, in the resources that admission bounds."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request takes while it runs.

    `sequences` are decoded by the engine at once; `image_bytes` are encoded image data that wait
    for decoding, the best measure of that work before a header is read.
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
        """Return whether this cost fits beside `held`.

        A request larger than a whole resource is granted while nobody else uses that resource.
        """
        return (held.sequences == 0 or held.sequences + self.sequences <= capacity.sequences) and (
            self.image_bytes == 0
            or held.image_bytes == 0
            or held.image_bytes + self.image_bytes <= capacity.image_bytes
        )

    def weight(self, capacity: "Cost") -> float:
        """Return the largest share of a resource that this cost takes, for fair queueing."""
        return max(
            self.sequences / capacity.sequences, self.image_bytes / max(capacity.image_bytes, 1)
        )


NOTHING: Final = Cost(0, 0)
ONE: Final = Cost()
