"""The limits of a request's pixels and media tokens, and notes on animations."""

from dataclasses import dataclass

import pytest

from server.errors import ContextLengthExceeded, ImageTooLarge
from server.images.budget import Charge, MediaBudget


@dataclass
class FakeImage:
    pixels: int
    frames: int = 1


def test_pixels_add_up_to_the_limit() -> None:
    budget = MediaBudget(0.0, 100, 4096)
    budget.spend(FakeImage(60), "a")
    budget.spend(FakeImage(40), "b")
    with pytest.raises(ImageTooLarge) as caught:
        budget.spend(FakeImage(1), "c")
    assert "at least 101 pixels together; the limit is 100" in caught.value.message


def test_animation_is_noted() -> None:
    budget = MediaBudget(0.0, 100, 4096)
    budget.spend(FakeImage(1), "a")
    budget.spend(FakeImage(1, frames=12), "b")
    assert budget.notes == ["b: the first of 12 frames was used"]


def test_tokens_add_up_and_must_leave_one_of_the_context() -> None:
    budget, image = MediaBudget(0.0, 100, 100), FakeImage(1)
    charge = Charge(budget, "a")
    charge.make_image(image, 60)
    charge.make_image(image, 60)  # is counted once
    Charge(budget, "b").make_image(image, 39)
    assert budget.spent_pixels == 2
    with pytest.raises(ContextLengthExceeded, match="at least 100 tokens") as caught:
        Charge(budget, "c").make_image(image, 1)
    assert caught.value.param == "messages"


def test_the_advice_holds_for_images_without_tiles_and_for_videos() -> None:
    with pytest.raises(ContextLengthExceeded, match=r"fewer images or .*fewer frames") as each:
        MediaBudget(0.0, 100, 4096).check_context(6570)
    assert "only where the model splits an image into tiles" in str(each.value)
