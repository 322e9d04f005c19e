"""Which frames of a video the model sees."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class FrameSampling:
    """How many frames to take: `num_frames`, `fps` a second, or the fewer of both.

    With neither, all. There are never more than `max_frames`, nor than the video has.
    """

    num_frames: int | None
    fps: float | None
    max_frames: int

    def count(self, total: int, duration_s: float) -> int:
        """Return the number of frames to take of a video of `total` frames, at least one."""
        wanted = min(total, self.max_frames)
        if self.num_frames is not None:
            wanted = min(wanted, self.num_frames)
        if self.fps is not None and duration_s > 0:
            # Of any two finite numbers the product may be infinite.
            wanted = math.floor(min(wanted, duration_s * self.fps))
        return max(1, wanted)


def choose_frames(total: int, duration_s: float, sampling: FrameSampling) -> list[int]:
    """Return the indices of the frames to take, spread evenly from the first to the last.

    LLaVA-NeXT-Video's and LLaVA-OneVision's demonstrations sample so, and vLLM does.
    """
    count = sampling.count(total, duration_s)
    indices: list[int] = np.linspace(0, total - 1, count).astype(int).tolist()
    return indices
