"""Videos on the way to the engine: frames, prompts, limits, notes, counts, the cache."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from server.errors import (
    ApiError,
    ContextLengthExceeded,
    TooManyVideos,
    VideoCorrupt,
    VideoFormatUnsupported,
    VideosUnsupported,
    VideoTooLarge,
    VideoUrlForbidden,
    VideoUrlInvalid,
)
from server.images.vision.cache import ImageEmbedsCache
from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request
from tests.server.fake_engine import Call, FakeEngine
from tests.server.images.decode.video.clips import encode_clip, make_steps
from tests.server.images.fetch.test_frame_list import build_frame_list
from tests.server.pictures import encode_image, make_photo
from tests.server.pipeline.family_stages import open_family_stages
from tests.server.pipeline.stages import OUTPUTS, Stages, build_record, generate_deltas
from tests.server.pipeline.test_siglip_family import image_part, text_part
from tests.server.samples import sample
from tests.server.siglip_family import SIZE, SiglipCheckpoint, write_interleave, write_onevision
from tests.server.video_inputs import prepare_onevision

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRAMES = [np.asarray(make_photo(SIZE, SIZE, seed)) for seed in range(13)]
CLIP, SHORT = encode_clip(FRAMES), encode_clip(FRAMES[:3])
FRAME_TOKENS = 4  # a grid of 4 x 4, halved
PHOTO = make_photo(200, 90, 1)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> SiglipCheckpoint:
    """Return a checkpoint of the module."""
    return write_onevision(tmp_path_factory.mktemp("onevision"))


@pytest.fixture(scope="module")
def shared_onevision(written: SiglipCheckpoint) -> Iterator[Stages]:
    """Yield the stages of the checkpoint."""
    with open_family_stages(written.path) as stages:
        yield stages


@pytest.fixture
def onevision(shared_onevision: Stages) -> Stages:
    """Return the stages with an empty cache."""
    shared_onevision.cache = ImageEmbedsCache(10**8, shared_onevision.metrics)
    return shared_onevision


def video_part(video: bytes) -> dict[str, Any]:
    """Return a content part with a video."""
    return url_part("data:video/mp4;base64," + base64.b64encode(video).decode())


def url_part(url: str) -> dict[str, Any]:
    """Return a content part with a video's URL."""
    return {"type": "video_url", "video_url": {"url": url}}


def build_request(*parts: dict[str, Any], **more: Any) -> ChatCompletionRequest:
    """Return a chat request of one message."""
    body = {"model": "m", "messages": [{"role": "user", "content": list(parts)}], **more}
    return parse_chat_request(json.dumps(body).encode())


def choose(**options: Any) -> dict[str, Any]:
    """Return the field that chooses frames."""
    return {"media_io_kwargs": {"video": options}}


async def submit(stages: Stages, *parts: dict[str, Any], **more: Any) -> Call:
    """Return what the engine gets of a request."""
    engine = FakeEngine(OUTPUTS)
    await generate_deltas(stages.pipeline(engine), build_request(*parts, **more))
    return engine.calls[0]


async def refuse(stages: Stages, *parts: dict[str, Any], **more: Any) -> ApiError:
    """Return the error of a request that never reaches the engine."""
    engine = FakeEngine(OUTPUTS)
    with pytest.raises(ApiError) as caught:
        await generate_deltas(stages.pipeline(engine), build_request(*parts, **more))
    assert engine.calls == []
    return caught.value


async def test_frames_and_prompts_equal_transformers(
    written: SiglipCheckpoint, onevision: Stages
) -> None:
    text = text_part("What happens?")
    call = await submit(onevision, image_part(PHOTO, "auto"), video_part(CLIP), text)
    frames = torch.from_numpy(np.stack([FRAMES[index] for index in (0, 4, 8, 12)]))
    inputs = prepare_onevision(written, "What happens?", [PHOTO], [frames.permute(0, 3, 1, 2)])
    ids = inputs["input_ids"][0].tolist()
    image_id, video_id = (written.tokenizer.token_to_id(f"<{each}>") for each in ("image", "video"))
    assert call.token_ids == [image_id if token == video_id else token for token in ids]
    image, video = call.images
    assert video.offset == ids.index(video_id) > image.offset
    with torch.inference_mode():
        output = written.model.get_video_features(inputs["pixel_values_videos"])
    expected = output.pooler_output[0].flatten(0, -2)
    torch.testing.assert_close(video.image_embeds, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 4),
        (choose(num_frames=7), 7),
        (choose(num_frames=-1), 10),
        (choose(fps=2), 2),
        (choose(fps=2.5, num_frames=2), 2),
        (choose(fps=-1, num_frames=3), 3),
        (choose(fps=-1), 4),
        (choose(fps=1000), 10),
        (choose(num_frames=10**9), 10),
        (choose(), 4),
        ({"media_io_kwargs": None}, 4),
        ({"media_io_kwargs": {}}, 4),
    ],
    ids=str,
)
async def test_a_request_chooses_frames(
    onevision: Stages, options: dict[str, Any], expected: int
) -> None:
    call = await submit(onevision, video_part(CLIP), **options)
    (video,) = call.images
    assert len(video.image_embeds) == FRAME_TOKENS * expected + 1


async def test_notes_and_counts_of_a_record(onevision: Stages) -> None:
    record = build_record()
    pipeline = onevision.pipeline(FakeEngine(OUTPUTS))
    request = build_request(video_part(SHORT), video_part(CLIP), image_part(PHOTO, "low"))
    await generate_deltas(pipeline, request, record)
    assert record.notes == ["messages[0].content[1].video_url.url: 4 of 13 frames were used"]
    assert record.video_tokens == FRAME_TOKENS * (3 + 4) + 2
    assert record.image_tokens == 17
    assert record.first_image_key is not None


async def test_counted_tokens_are_those_submitted(onevision: Stages) -> None:
    parts = (video_part(CLIP), image_part(PHOTO, "auto"), video_part(SHORT), text_part("a"))
    prompt = await onevision.pipeline(FakeEngine(OUTPUTS)).build_prompt(build_request(*parts), "")
    assert prompt.token_ids == (await submit(onevision, *parts)).token_ids


async def test_the_same_frames_are_decoded_once(onevision: Stages) -> None:
    def count() -> float:
        return sample(onevision.metrics, "videos_decoded_total", format="matroska")

    before = count()
    calls = await asyncio.gather(*(submit(onevision, video_part(CLIP)) for _ in range(3)))
    assert len({call.images[0].key for call in calls}) == 1
    assert count() == before + 1
    others = await submit(onevision, video_part(CLIP), **choose(num_frames=2))
    assert others.images[0].key != calls[0].images[0].key
    assert count() == before + 2


@pytest.mark.parametrize(
    ("part", "error"),
    [
        (url_part("clip.mp4"), VideoUrlInvalid),
        (url_part("data:video/mp4;base64,%"), VideoUrlInvalid),
        (url_part("http://10.0.0.1/clip.mp4"), VideoUrlForbidden),
        (url_part("file:///etc/passwd"), VideoUrlForbidden),
        (video_part(b"#EXTM3U\n#EXTINF:1,\nhttp://10.0.0.1/a.ts\n"), VideoFormatUnsupported),
        (video_part(encode_clip(FRAMES, "avi", "mjpeg", "yuvj420p")), VideoFormatUnsupported),
        (video_part(CLIP[:600]), VideoCorrupt),
        (video_part(encode_clip(make_steps(2, (2000, 1000)))), VideoTooLarge),
        (video_part(bytes(1_000_001)), VideoTooLarge),
    ],
    ids=range(9),
)
async def test_bad_videos_are_refused(
    onevision: Stages, part: dict[str, Any], error: type[ApiError]
) -> None:
    before = sample(onevision.metrics, "video_refusals_total", code=error.code)
    refusal = await refuse(onevision, text_part("a"), part)
    assert (type(refusal), refusal.status) == (error, 400)
    assert refusal.param == "messages[0].content[1].video_url.url"
    after = sample(onevision.metrics, "video_refusals_total", code=error.code)
    assert after == (before or 0) + 1


async def test_all_frames_that_the_client_chose_are_used(onevision: Stages) -> None:
    frames = [encode_image(Image.fromarray(step), "JPEG") for step in make_steps(10)]
    part = {"type": "video_url", "video_url": {"url": build_frame_list(*frames)}}
    request = build_request(part)
    prompt = await onevision.pipeline(FakeEngine(OUTPUTS)).build_prompt(request, "")
    assert prompt.num_video_tokens == 10 * 4 + 1


async def test_videos_together_have_limits(onevision: Stages) -> None:
    third = await refuse(onevision, *[video_part(SHORT)] * 3)
    assert isinstance(third, TooManyVideos)
    assert third.param == "messages[0].content[2].video_url.url"
    large = encode_clip(make_steps(3, (1000, 300)))
    assert isinstance(await refuse(onevision, *[video_part(large)] * 2), VideoTooLarge)


async def test_a_video_of_too_many_pixels_is_not_encoded(onevision: Stages) -> None:
    encoded = onevision.counts()[3]
    large = video_part(encode_clip(make_steps(4, (1000, 400))))
    assert isinstance(await refuse(onevision, large), VideoTooLarge)
    assert onevision.counts()[3] == encoded


@pytest.mark.parametrize(("num_videos", "limit"), [(1, 30), (2, 60)])
async def test_what_cannot_fit_is_not_encoded(
    num_videos: int, limit: int, onevision: Stages
) -> None:
    engine = FakeEngine(OUTPUTS, max_model_len=limit)
    request = build_request(*[video_part(CLIP)] * num_videos, **choose(num_frames=8))
    with pytest.raises(ContextLengthExceeded, match=rf"at least {33 * num_videos} tokens"):
        await generate_deltas(onevision.pipeline(engine), request)


async def test_a_model_without_video(tmp_path_factory: Any) -> None:
    other = write_interleave(tmp_path_factory.mktemp("interleave"))
    with open_family_stages(other.path) as stages:
        refusal = await refuse(stages, text_part("a"), video_part(CLIP))
    assert isinstance(refusal, VideosUnsupported)
    assert refusal.param == "messages[0].content[1].video_url.url"
