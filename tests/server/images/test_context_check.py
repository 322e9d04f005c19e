"""The advice for images and videos that no context holds."""

import pytest

from server.errors import ContextLengthExceeded
from server.images.context_check import check_context


def test_media_must_leave_a_token() -> None:
    check_context(99, 100)
    with pytest.raises(ContextLengthExceeded, match="at least 100 tokens") as caught:
        check_context(100, 100)
    assert caught.value.param == "messages"


def test_the_advice_holds_for_images_without_tiles_and_for_videos() -> None:
    with pytest.raises(ContextLengthExceeded, match=r"fewer images or .*fewer frames") as each:
        check_context(6570, 4096)
    assert "only where the model splits an image into tiles" in str(each.value)
