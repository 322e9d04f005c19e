"""What the images of one request may take together."""

from dataclasses import dataclass

import pytest

from server.errors import ImageTooLarge
from server.images.budget import ImageBudget


@dataclass
class Picture:
    pixels: int
    frames: int = 1


def test_pixels_add_up_to_the_limit() -> None:
    budget = ImageBudget(0.0, 100)
    budget.spend(Picture(60), "a")
    budget.spend(Picture(40), "b")
    with pytest.raises(ImageTooLarge) as caught:
        budget.spend(Picture(1), "c")
    assert "at least 101 pixels together; the limit is 100" in caught.value.message


def test_animation_is_noted() -> None:
    budget = ImageBudget(0.0, 100)
    budget.spend(Picture(1), "a")
    budget.spend(Picture(1, frames=12), "b")
    assert budget.notes == ["b: the first of 12 frames was used"]
