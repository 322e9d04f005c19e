"""What images and videos share once they are connected."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import torch

from server.checkpoint.config import read_checkpoint
from server.images.budget import MediaBudget
from server.images.vision.runner import EagerRunner
from server.images.vision.weights import load_vision_model
from server.media_loading import connect_media
from server.protocol.chat.request import ImageReference, VideoReference
from server.settings import Settings
from server.telemetry.metrics import Metrics
from tests.server.origin import build_response, respond_with, serve_origin
from tests.server.pictures import encode_image, make_noise
from tests.server.siglip_family import write_onevision


@pytest.mark.parametrize(("cache_mib", "num_requests"), [(1, 1), (0, 2)])
async def test_fetched_images_and_videos_are_kept_in_one_cache(
    cache_mib: float, num_requests: int, tmp_path: Path
) -> None:
    settings = Settings.model_validate(
        {
            "fetch_allow_networks": "127.0.0.0/8",
            "fetch_allow_ports": "any",
            "fetch_cache_mib": cache_mib,
            "decode_workers": 1,
        }
    )
    write_onevision(tmp_path)
    checkpoint = read_checkpoint(tmp_path)
    runner = EagerRunner(load_vision_model(checkpoint, torch.device("cpu"), torch.float32))
    gif = encode_image(make_noise(8, 8), "GIF")
    answer = respond_with(build_response("200 OK", gif, "Cache-Control: max-age=60"))
    async with serve_origin({"/": answer}) as origin, AsyncExitStack() as stack:
        images, videos = connect_media(settings, checkpoint, Metrics(), runner, stack)
        assert videos is not None
        budget, url = MediaBudget(float("inf"), 10**6, 10**6), f"{origin.url}/"
        await images.count_image_tokens([ImageReference(url, "image")], "", budget)
        await videos.count_tokens([VideoReference(url, "video")], None, "", budget)
        assert len(origin.requests) == num_requests
