"""What images and videos cost: a frame of a video as much as an image."""

from typing import Any

import pytest

from server.api.admission.cost import IMAGE_OVERHEAD_BYTES
from server.api.limits import ApiLimits
from server.api.media_cost import estimate_media_bytes
from server.protocol.chat.request import ChatCompletionRequest
from server.protocol.completions.request import CompletionRequest
from server.protocol.tokenize import TokenizeChatRequest

LIMITS = ApiLimits(1000, 10.0, 1000, video_frames=8, max_video_frames=64)


def build_message(num_images: int, num_videos: int) -> dict[str, Any]:
    """Return a user's message with images and videos."""
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    video = {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}
    return {"role": "user", "content": [image] * num_images + [video] * num_videos}


@pytest.mark.parametrize(
    ("options", "num_frames"),
    [
        (None, 8),
        ({}, 8),
        ({"fps": -1}, 8),
        ({"num_frames": 3}, 3),
        ({"num_frames": 3, "fps": 1}, 3),
        ({"num_frames": -1}, 64),
        ({"num_frames": 1000}, 64),
        ({"fps": 0.5}, 64),
    ],
)
def test_a_video_costs_what_its_frames_do(options: dict[str, Any] | None, num_frames: int) -> None:
    fields: dict[str, Any] = {"messages": [build_message(1, 2)]}
    if options is not None:
        fields["media_io_kwargs"] = {"video": options}
    expected = 500 + (1 + 2 * num_frames) * IMAGE_OVERHEAD_BYTES
    chat = ChatCompletionRequest.model_validate({"model": "m", **fields})
    assert estimate_media_bytes(500, chat, LIMITS) == expected
    count = TokenizeChatRequest.model_validate(fields)
    assert estimate_media_bytes(500, count, LIMITS) == expected


def test_frames_that_the_client_chose_are_all_taken() -> None:
    url = "data:video/jpeg;base64," + ",".join(["/9j/"] * 3)
    part = {"type": "video_url", "video_url": {"url": url}}
    chat = ChatCompletionRequest.model_validate(
        {"model": "m", "messages": [{"role": "user", "content": [part]}]}
    )
    assert estimate_media_bytes(500, chat, LIMITS) == 500 + 64 * IMAGE_OVERHEAD_BYTES


def test_text_costs_no_image_bytes() -> None:
    request = CompletionRequest.model_validate({"model": "m", "prompt": "p"})
    assert estimate_media_bytes(500, request, LIMITS) == 0
