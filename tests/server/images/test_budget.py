"""The limits of a request's pixels and media tokens, and notes on animations."""

from dataclasses import dataclass

import pytest

from server.errors import ContextLengthExceeded, ImageTooLarge, VideoTooLarge
from server.images.budget import Charge, MediaBudget
from server.images.media_kind import IMAGE, VIDEO


@dataclass
class FakeMedia:
    pixels: int
    num_frames: int = 1
    total_frames: int = 1


def test_pixels_add_up_to_the_limit() -> None:
    budget = MediaBudget(0.0, 100, 4096)
    budget.spend(FakeMedia(60), IMAGE, "a")
    budget.spend(FakeMedia(40), IMAGE, "b")
    for kind, error, spent in ((IMAGE, ImageTooLarge, 101), (VIDEO, VideoTooLarge, 102)):
        with pytest.raises(error, match=f"at least {spent} pixels together; the limit is 100"):
            budget.spend(FakeMedia(1), kind, "c")


def test_frames_that_are_not_used_are_noted() -> None:
    budget = MediaBudget(0.0, 100, 4096)
    budget.spend(FakeMedia(1), IMAGE, "a")
    budget.spend(FakeMedia(1, total_frames=12), IMAGE, "b")
    budget.spend(FakeMedia(1, 4, 12), VIDEO, "c")
    assert budget.notes == [
        "b: the first of 12 frames was used",
        "c: 4 of 12 frames were used",
    ]


def test_tokens_add_up_and_must_leave_one_of_the_context() -> None:
    budget, image = MediaBudget(0.0, 100, 100), FakeMedia(1)
    charge = Charge(budget, IMAGE, "a")
    charge.make(image, 60)
    charge.make(image, 60)  # is counted once
    Charge(budget, IMAGE, "b").make(image, 39)
    assert budget.spent_pixels == 2
    with pytest.raises(ContextLengthExceeded, match="at least 100 tokens") as caught:
        Charge(budget, IMAGE, "c").make(image, 1)
    assert caught.value.param == "messages"


def test_the_advice_holds_for_images_without_tiles_and_for_videos() -> None:
    with pytest.raises(ContextLengthExceeded, match=r"fewer images or .*fewer frames") as each:
        MediaBudget(0.0, 100, 4096).check_context(6570)
    assert "only where the model splits an image into tiles" in str(each.value)
