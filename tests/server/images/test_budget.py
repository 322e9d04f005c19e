"""The pixel limit over a request's images, and notes on animations."""

from dataclasses import dataclass

import pytest

from server.errors import ImageTooLarge
from server.images.budget import MediaBudget


@dataclass
class FakeImage:
    pixels: int
    frames: int = 1


def test_pixels_add_up_to_the_limit() -> None:
    budget = MediaBudget(0.0, 100)
    budget.spend(FakeImage(60), "a")
    budget.spend(FakeImage(40), "b")
    with pytest.raises(ImageTooLarge) as caught:
        budget.spend(FakeImage(1), "c")
    assert "at least 101 pixels together; the limit is 100" in caught.value.message


def test_animation_is_noted() -> None:
    budget = MediaBudget(0.0, 100)
    budget.spend(FakeImage(1), "a")
    budget.spend(FakeImage(1, frames=12), "b")
    assert budget.notes == ["b: the first of 12 frames was used"]
