"""Requests to LLaVA-OneVision: views by the number of images, prompts, what cannot fit."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from PIL import Image

from server.errors import ContextLengthExceeded
from server.images.vision.cache import ImageEmbedsCache
from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request
from tests.server.fake_engine import Call, FakeEngine
from tests.server.pictures import build_data_url, encode_image, make_photo
from tests.server.pipeline.family_stages import open_family_stages
from tests.server.pipeline.stages import OUTPUTS, Stages, generate_deltas
from tests.server.siglip_family import PATCHES, SiglipCheckpoint, Turns, write_onevision

pytestmark = pytest.mark.asyncio(loop_scope="module")

WIDE, TALL, ODD = make_photo(200, 90, 1), make_photo(31, 200, 2), make_photo(371, 369, 3)
ONE_VIEW = PATCHES**2 + 1


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> SiglipCheckpoint:
    """Return a checkpoint of the module."""
    return write_onevision(tmp_path_factory.mktemp("onevision"))


@pytest.fixture(scope="module")
def onevision(written: SiglipCheckpoint) -> Iterator[Stages]:
    """Yield the stages of the checkpoint."""
    with open_family_stages(written.path) as stages:
        yield stages


def build_request(turns: Turns, detail: str = "auto") -> ChatCompletionRequest:
    """Return a chat request of these turns."""
    messages = [
        {
            "role": role,
            "content": [*(image_part(each, detail) for each in images), text_part(text)]
            if images
            else text,
        }
        for role, text, images in turns
    ]
    return parse_chat_request(json.dumps({"model": "m", "messages": messages}).encode())


def image_part(image: Image.Image, detail: str) -> dict[str, Any]:
    url = build_data_url(encode_image(image))
    return {"type": "image_url", "image_url": {"url": url, "detail": detail}}


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


async def submit(stages: Stages, request: ChatCompletionRequest) -> Call:
    """Return what the engine gets of a request."""
    engine = FakeEngine(OUTPUTS)
    await generate_deltas(stages.pipeline(engine), request)
    return engine.calls[0]


@pytest.mark.parametrize(
    "turns",
    [
        [("user", "Hi", [])],
        [("user", "What is this?", [WIDE])],
        [("user", "And these, 12?", [TALL, ODD])],
        [("user", "This?", [WIDE]), ("assistant", "A cat.", []), ("user", "And?", [])],
        [("user", "This?", [WIDE]), ("assistant", "A cat.", []), ("user", "And this?", [ODD])],
    ],
    ids=["text", "one", "two", "turns", "two-turns"],
)
async def test_prompts_and_embeddings_equal_transformers(
    written: SiglipCheckpoint, onevision: Stages, turns: Turns
) -> None:
    call = await submit(onevision, build_request(turns))
    inputs = written.prepare(turns)
    assert call.token_ids == inputs["input_ids"][0].tolist()
    if call.images:
        with torch.inference_mode():
            expected = written.model.get_image_features(
                inputs["pixel_values"],
                inputs["image_sizes"],
                batch_num_images=inputs["batch_num_images"],
            ).pooler_output
        found = torch.cat([image.image_embeds for image in call.images])
        torch.testing.assert_close(found, torch.cat(tuple(expected)), atol=1e-4, rtol=1e-4)


async def test_an_image_alone_and_beside_others_are_two(onevision: Stages) -> None:
    alone = (await submit(onevision, build_request([("user", "a", [WIDE])]))).images[0]
    beside = (await submit(onevision, build_request([("user", "a", [WIDE, TALL])]))).images[0]
    low = (await submit(onevision, build_request([("user", "a", [WIDE])], "low"))).images[0]
    assert len({alone.key, beside.key, low.key}) == 3
    assert len(alone.image_embeds) > len(beside.image_embeds) == len(low.image_embeds) == ONE_VIEW
    patches = PATCHES**2  # of the base view, which comes first
    torch.testing.assert_close(low.image_embeds[:patches], alone.image_embeds[:patches])
    assert not torch.allclose(low.image_embeds, beside.image_embeds, atol=0.1)


@pytest.mark.parametrize("detail", ["auto", "low"])
@pytest.mark.parametrize("images", [[ODD], [WIDE, TALL]], ids=["one", "two"])
async def test_counted_tokens_are_those_submitted(
    onevision: Stages, images: list[Image.Image], detail: str
) -> None:
    request = build_request([("user", "a", images)], detail)
    prompt = await onevision.pipeline(FakeEngine(OUTPUTS)).build_prompt(request, "")
    assert prompt.token_ids == (await submit(onevision, request)).token_ids


@pytest.mark.parametrize(
    ("images", "limit"), [([ODD], 120), ([WIDE, TALL, ODD], 50)], ids=["one", "three"]
)
async def test_what_cannot_fit_is_not_encoded(
    onevision: Stages, images: list[Image.Image], limit: int
) -> None:
    onevision.cache = ImageEmbedsCache(10**8, onevision.metrics)
    engine, before = FakeEngine(OUTPUTS, max_model_len=limit), onevision.counts()
    with pytest.raises(ContextLengthExceeded, match=rf"{limit} tokens and .* 'detail': 'low'"):
        await generate_deltas(onevision.pipeline(engine), build_request([("user", "a", images)]))
    load, decode, preprocess, encode, prompt = (
        after - b for after, b in zip(onevision.counts(), before, strict=True)
    )
    assert (encode, prompt, engine.calls) == (0, 0, [])
    assert load == decode == preprocess == (len(images) == 1)
