"""The images that clients ask about: a few are popular, most are not."""

import random
from bisect import bisect_left
from itertools import accumulate
from typing import Final

from benchmarks.fleet.parameters import Parameters

HOT: Final = 0


class ImageCatalog:
    """Draws images by Zipf's law; one of them may have a share of all conversations."""

    def __init__(self, parameters: Parameters) -> None:
        self._hot_share = parameters.hot_share
        self._images = parameters.images
        self._exponent = parameters.zipf_exponent
        ranks = range(1, parameters.images + 1) if self._exponent else ()
        self._weights = list(accumulate(rank**-self._exponent for rank in ranks))

    def draw(self, generator: random.Random) -> int:
        """Return an image's number; `HOT` is the most popular."""
        if self._hot_share and generator.random() < self._hot_share:
            return HOT
        if not self._exponent:
            return int(generator.random() * self._images)
        return bisect_left(self._weights, generator.random() * self._weights[-1])
