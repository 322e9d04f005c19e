"""Prompts that are built without being submitted, for `/tokenize`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import pytest
import torch
from PIL import Image

from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import EngineOutput, TokenLogprob
from server.errors import ImageError, ImageTooLarge
from server.generation.sampling import SamplingDefaults
from server.images.budget import MediaLimits
from server.images.decode.decode import DecodeOptions
from server.images.embedder import ImageEmbedder
from server.images.loader import ImageLoader
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import ImageEmbedsCache
from server.images.vision.runner import EagerRunner
from server.images.vision.tower import VisionModel
from server.pipeline import Pipeline
from server.prompt.builder import PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.tokenizer import read_tokenizer
from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request
from server.structured_outputs.validator import GrammarValidator
from server.telemetry.caller import ANYBODY
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord
from server.telemetry.stages import Stage
from tests.server.fake_engine import FakeEngine
from tests.server.images.open_loader import open_loader
from tests.server.images.vision.small_model import build_random_weights
from tests.server.pictures import build_data_url, encode_image, make_noise
from tests.server.released import pinpoints
from tests.server.samples import sample, stage_count

# One event loop, since the tests of a module share workers, as in a server.
pytestmark = pytest.mark.asyncio(loop_scope="module")


MAX_PIXELS = 30_000


@dataclass
class AnyresStages:
    """The embedded model's stages, as if it had been trained with anyres."""

    checkpoint: Checkpoint
    image_loader: ImageLoader
    vision: VisionBatcher
    grammars: GrammarValidator
    metrics: Metrics

    def pipeline(self, engine: FakeEngine) -> Pipeline:
        """Return a pipeline with this engine."""
        prompt_format = choose_prompt_format(
            read_tokenizer(self.checkpoint.path), self.checkpoint.text
        )
        return Pipeline(
            model_name="m",
            media_limits=MediaLimits(
                max_images=3,
                max_pixels=MAX_PIXELS,
                fetch_timeout_s=20,
                max_model_len=engine.max_model_len,
            ),
            sampling_defaults=SamplingDefaults(0.5, 0.8),
            images=ImageEmbedder(
                self.image_loader,
                self.vision,
                ImageEmbedsCache(100 * 1024 * 1024, self.metrics),
                self.metrics,
            ),
            prompt=PromptBuilder(prompt_format, engine.max_model_len),
            grammar_validator=self.grammars,
            vocabulary=Vocabulary(self.checkpoint.path),
            engine=engine,
            metrics=self.metrics,
        )


@pytest.fixture(scope="module")
def stages(checkpoint: Checkpoint) -> Iterator[AnyresStages]:
    """Yield stages with one decode worker for the module."""
    metrics, size = Metrics(), checkpoint.image.size
    vision = replace(checkpoint.vision, patch_merge="spatial_unpad")
    anyres = replace(checkpoint.image, aspect_ratio="anyres", grid_pinpoints=pinpoints(size))
    model = VisionModel(vision, anyres)
    model.load_state_dict(build_random_weights(model))
    options = DecodeOptions(size, "anyres", 1_000_000, anyres.grid_pinpoints)
    batcher = VisionBatcher(
        EagerRunner(model.to(torch.float32).eval()), max_views=4, metrics=metrics
    )
    grammars = GrammarValidator(checkpoint.path)
    with open_loader(options, max_bytes=1_000_000, metrics=metrics) as image_loader:
        yield AnyresStages(checkpoint, image_loader, batcher, grammars, metrics)
    grammars.close()
    batcher.close()


def build_output(
    text: str, *, last: bool = True, logprobs: Sequence[TokenLogprob] = ()
) -> EngineOutput:
    """Return an engine output."""
    reason = "stop" if last else None
    return EngineOutput(text, 1, reason, 0.25, 2, logprobs=logprobs)  # type: ignore[arg-type]


def build_chat_request(
    *images: dict[str, Any], text: str = "What is it?", **fields: Any
) -> ChatCompletionRequest:
    """Return a chat request about images."""
    parts = [{"type": "image_url", "image_url": image} for image in images]
    content = [*parts, {"type": "text", "text": text}]
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **fields}
    return parse_chat_request(json.dumps(body).encode())


def image_url(width: int, height: int, detail: str = "auto") -> dict[str, Any]:
    """Return an image's URL and detail."""
    return {"url": build_data_url(encode_image(make_noise(width, height))), "detail": detail}


def build_record() -> RequestRecord:
    """Return a new record with metrics of its own."""
    return RequestRecord("cmpl-1", Metrics(), ANYBODY)


@pytest.mark.parametrize("detail", ["auto", "low"])
@pytest.mark.parametrize("size", [(60, 40), (40, 60), (200, 20), (96, 96)])
async def test_the_built_prompt_is_the_submitted_one(
    stages: AnyresStages, size: tuple[int, int], detail: str
) -> None:
    engine = FakeEngine([build_output("a")])
    pipeline, request = (
        stages.pipeline(engine),
        build_chat_request(image_url(*size, detail), image_url(50, 50)),
    )
    encoded_before = stage_count(stages.metrics, "encode")
    prompt = await pipeline.build_prompt(request, "")
    assert stage_count(stages.metrics, "encode") == encoded_before
    generation = await pipeline.generate(request, build_record())
    await generation.aclose()
    assert prompt.token_ids == engine.calls[0].token_ids
    assert [each.offset for each in prompt.placeholders] == [
        image.offset for image in engine.calls[0].images
    ]


async def test_images_of_low_detail_are_counted_without_a_fetch(stages: AnyresStages) -> None:
    before = {stage: stage_count(stages.metrics, stage) for stage in get_args(Stage)}
    request = build_chat_request({"url": "http://nowhere.invalid/a.png", "detail": "low"})
    prompt = await stages.pipeline(FakeEngine()).build_prompt(request, "")
    assert prompt.num_image_tokens == stages.checkpoint.vision.num_image_tokens + 1
    after = {stage: stage_count(stages.metrics, stage) for stage in get_args(Stage)}
    assert after == {**before, "prompt": before["prompt"] + 1}


async def test_only_the_header_of_an_image_is_read(stages: AnyresStages) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    data = encode_image(make_noise(200, 20), "JPEG", exif=exif)
    pipeline = stages.pipeline(FakeEngine([build_output("a")]))
    cut, complete = (
        build_chat_request({"url": build_data_url(each)}) for each in (data[:-500], data)
    )
    prompt = await pipeline.build_prompt(cut, "")
    generation = await pipeline.generate(complete, record := build_record())
    await generation.aclose()
    assert len(prompt.token_ids) == record.prompt_tokens


async def test_images_have_the_same_limits(stages: AnyresStages) -> None:
    pipeline = stages.pipeline(FakeEngine())
    with pytest.raises(ImageTooLarge) as raised:
        await pipeline.build_prompt(
            build_chat_request(image_url(150, 110), image_url(150, 110)), ""
        )
    assert raised.value.param is not None
    refusals = sample(stages.metrics, "image_refusals_total", code="image_format_unsupported")
    with pytest.raises(ImageError) as unsupported:
        await pipeline.build_prompt(
            build_chat_request(image_url(9, 9), {"url": build_data_url(b"no image")}), ""
        )
    assert unsupported.value.param == "messages[0].content[1].image_url.url"
    counted = sample(stages.metrics, "image_refusals_total", code="image_format_unsupported")
    assert counted == refusals + 1


async def test_a_prompt_beyond_the_context_is_built(stages: AnyresStages) -> None:
    engine = FakeEngine(max_model_len=32)
    prompt = await stages.pipeline(engine).build_prompt(build_chat_request(text="red " * 9000), "")
    assert len(prompt.token_ids) > 9000
