"""Text completions and measured prompts through the pipeline, over an engine that does as told."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import pytest
import torch

from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary
from server.completions.streaming import collect_completion
from server.engine.base import EngineOutput, TokenLogprob
from server.errors import EngineUnavailable, ImageError, ImageTooLarge, InvalidValue, ModelNotFound
from server.images.budget import ImageLimits
from server.images.decode.decode import DecodeOptions
from server.images.decode.sandbox import DecodeLimits
from server.images.fetch.fetcher import Fetcher
from server.images.loader import ImageLoader
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import ImageEmbedsCache
from server.images.vision.tower import VisionModel
from server.pipeline import Pipeline
from server.prompt.builder import PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.tokenizer import read_tokenizer
from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request
from server.protocol.completions.request import CompletionRequest, parse_completion_request
from server.structured_outputs.validator import GrammarValidator
from server.telemetry.metrics import Metrics, Stage
from server.telemetry.request_record import RequestRecord
from tests.server.fake_engine import FakeEngine
from tests.server.images.vision.small_model import build_random_weights
from tests.server.loopback import build_loopback_options
from tests.server.pictures import build_data_url, encode_image, make_noise
from tests.server.released import pinpoints
from tests.server.samples import sample, stage_count

# One loop for the workers that all tests share, as in a server.
pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_PIXELS = 30_000


@dataclass
class AnyresStages:
    """The embedded model's stages, as if it had been trained on tiles."""

    checkpoint: Checkpoint
    media: ImageLoader
    vision: VisionBatcher
    grammars: GrammarValidator
    metrics: Metrics

    def pipeline(self, engine: FakeEngine) -> Pipeline:
        """Return a pipeline that ends in `engine`."""
        form = choose_prompt_format(read_tokenizer(self.checkpoint.path), self.checkpoint.text)
        return Pipeline(
            model_name="m",
            image_limits=ImageLimits(max_images=3, max_pixels=MAX_PIXELS, fetch_timeout_s=20),
            temperature=0.5,
            top_p=0.8,
            media=self.media,
            vision=self.vision,
            cache=ImageEmbedsCache(100 * 1024 * 1024, self.metrics),
            prompt=PromptBuilder(form, engine.max_model_len),
            grammars=self.grammars,
            vocabulary=Vocabulary(self.checkpoint.path),
            engine=engine,
            metrics=self.metrics,
        )


@pytest.fixture(scope="module")
def stages(checkpoint: Checkpoint) -> Iterator[AnyresStages]:
    """Keep one decode worker for the whole module."""
    metrics, size = Metrics(), checkpoint.image.size
    vision = replace(checkpoint.vision, patch_merge="spatial_unpad")
    anyres = replace(checkpoint.image, aspect_ratio="anyres", grid_pinpoints=pinpoints(size))
    model = VisionModel(vision, anyres)
    model.load_state_dict(build_random_weights(model))
    media = ImageLoader(
        Fetcher(build_loopback_options(max_bytes=1_000_000, timeout_s=20)),
        DecodeOptions(size, "anyres", 1_000_000, anyres.grid_pinpoints),
        workers=1,
        limits=DecodeLimits(memory_bytes=2**31, cpu_s=20, wall_s=20),
        variant="",
        metrics=metrics,
    )
    batcher = VisionBatcher(model.to(torch.float32).eval(), max_views=4, metrics=metrics)
    grammars = GrammarValidator(checkpoint.path)
    yield AnyresStages(checkpoint, media, batcher, grammars, metrics)
    grammars.close()
    batcher.close()
    media.close()


def output(text: str, *, last: bool = True, logprobs: Sequence[TokenLogprob] = ()) -> EngineOutput:
    """Return what an engine hands over."""
    reason = "stop" if last else None
    return EngineOutput(text, 1, reason, 0.25, 2, logprobs=logprobs)  # type: ignore[arg-type]


def texts(prompt: Any = "Hi", **fields: Any) -> CompletionRequest:
    """Return a text completion request."""
    body = {"model": "m", "prompt": prompt, **fields}
    return parse_completion_request(json.dumps(body).encode())


def chat(
    *images: dict[str, Any], text: str = "What is it?", **fields: Any
) -> ChatCompletionRequest:
    """Return a chat request about images."""
    parts = [{"type": "image_url", "image_url": image} for image in images]
    content = [*parts, {"type": "text", "text": text}]
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **fields}
    return parse_chat_request(json.dumps(body).encode())


def picture(width: int, height: int, detail: str = "auto") -> dict[str, Any]:
    """Return a picture's URL and detail."""
    return {"url": build_data_url(encode_image(make_noise(width, height))), "detail": detail}


def new_record() -> RequestRecord:
    """Return a record whose figures do not matter."""
    return RequestRecord("cmpl-1", Metrics())


# Text completions.


async def test_each_prompt_is_a_sequence_of_its_own(stages: AnyresStages) -> None:
    engine, record = FakeEngine([output(" a")]), new_record()
    batch = await stages.pipeline(engine).complete(texts(["Hi", "Hello there"], n=1), record)
    assert [call.request_id for call in engine.calls] == ["cmpl-1-0", "cmpl-1-1"]
    assert [list(call.images) for call in engine.calls] == [[], []]
    assert record.prompt_tokens == sum(len(call.token_ids) for call in engine.calls)
    answer = await collect_completion(batch, texts(), record)
    assert [choice.text for choice in answer.choices] == [" a", " a"]
    assert answer.usage.prompt_tokens_details.cached_tokens == 4


async def test_wishes_reach_the_engine_and_the_templates_stop_does_not(
    stages: AnyresStages,
) -> None:
    known = [None, TokenLogprob(6, -1.5, [(6, -1.5)])]
    engine = FakeEngine([replace(output("a"), prompt_logprobs=known)])
    wishes = {"max_tokens": 9, "temperature": 0, "stop": ["x"], "top_k": 3, "seed": 7}
    request = texts([5, 6], logprobs=2, echo=True, **wishes)
    batch = await stages.pipeline(engine).complete(request, new_record())
    sampling = engine.calls[0].sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_k) == (9, 0, 3)
    assert (list(sampling.stop), list(sampling.stop_token_ids)) == (["x"], [])
    assert (sampling.logprobs, sampling.prompt_logprobs, sampling.seed) == (2, 2, 7)
    echo = batch.echo(0)
    assert echo is not None
    assert [token.logprob for token in echo.tokens] == [None, -1.5]
    await batch.aclose()


async def test_defaults_are_the_checkpoints_and_openais(stages: AnyresStages) -> None:
    engine = FakeEngine([output("a")])
    await stages.pipeline(engine).complete(texts(), new_record())
    sampling = engine.calls[0].sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.5, 0.8, 16)
    assert sampling.logprobs is sampling.prompt_logprobs is None


async def test_a_token_that_nobody_asked_for_is_dropped(stages: AnyresStages) -> None:
    engine, record = (
        FakeEngine([output(" red", logprobs=[TokenLogprob(421, -1.0, ())])]),
        new_record(),
    )
    request = texts(max_tokens=0, echo=True)
    batch = await stages.pipeline(engine).complete(request, record)
    answer = await collect_completion(batch, request, record)
    assert engine.calls[0].sampling.max_tokens == 1
    assert [(c.text, c.finish_reason) for c in answer.choices] == [("Hi", "length")]
    assert answer.usage.completion_tokens == 0


async def test_a_prompt_that_fails_at_once_fails_the_request(stages: AnyresStages) -> None:
    engine = FakeEngine([EngineUnavailable("gone")])
    with pytest.raises(EngineUnavailable):
        await stages.pipeline(engine).complete(texts(["a", "b"]), new_record())
    assert engine.closed.is_set()


async def test_whoever_leaves_before_the_first_token_ends_all(stages: AnyresStages) -> None:
    engine = FakeEngine([asyncio.Event()])
    request = texts(["a", "b"])
    waiting = asyncio.create_task(stages.pipeline(engine).complete(request, new_record()))
    await engine.begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert engine.closed.is_set()


@pytest.mark.parametrize(
    ("fields", "error", "param"),
    [
        ({"model": "x"}, ModelNotFound, "model"),
        ({"stop_token_ids": [859]}, InvalidValue, "stop_token_ids"),
        ({"min_tokens": 2, "response_format": {"type": "json_object"}}, InvalidValue, "min_tokens"),
        ({"structured_outputs": {"grammar": "x"}}, InvalidValue, "structured_outputs.grammar"),
        ({"prompt": [0, 4]}, InvalidValue, "prompt[1]"),
    ],
)
async def test_what_is_refused_never_reaches_the_engine(
    stages: AnyresStages, fields: dict[str, Any], error: type[Exception], param: str
) -> None:
    engine = FakeEngine([output("a")])
    with pytest.raises(error) as raised:
        await stages.pipeline(engine).complete(texts(**fields), new_record())
    assert getattr(raised.value, "param") == param  # noqa: B009 - of either class
    assert engine.calls == []


# Measured prompts.


@pytest.mark.parametrize("detail", ["auto", "low"])
@pytest.mark.parametrize("size", [(60, 40), (40, 60), (200, 20), (96, 96)])
async def test_what_is_measured_is_what_is_submitted(
    stages: AnyresStages, size: tuple[int, int], detail: str
) -> None:
    engine = FakeEngine([output("a")])
    pipeline, request = stages.pipeline(engine), chat(picture(*size, detail), picture(50, 50))
    encoded_before = stage_count(stages.metrics, "encode")
    measured = await pipeline.measure(request)
    assert stage_count(stages.metrics, "encode") == encoded_before
    generation = await pipeline.generate(request, new_record())
    await generation.aclose()
    assert measured.token_ids == engine.calls[0].token_ids
    assert [each.offset for each in measured.placeholders] == [
        image.offset for image in engine.calls[0].images
    ]


async def test_little_detail_is_measured_without_a_look(stages: AnyresStages) -> None:
    before = {stage: stage_count(stages.metrics, stage) for stage in get_args(Stage)}
    request = chat({"url": "http://nowhere.invalid/a.png", "detail": "low"})
    measured = await stages.pipeline(FakeEngine()).measure(request)
    assert measured.num_image_tokens == stages.checkpoint.vision.num_image_tokens + 1
    after = {stage: stage_count(stages.metrics, stage) for stage in get_args(Stage)}
    assert after == {**before, "prompt": before["prompt"] + 1}


async def test_images_are_held_to_the_same_limits(stages: AnyresStages) -> None:
    pipeline = stages.pipeline(FakeEngine())
    with pytest.raises(ImageTooLarge) as raised:
        await pipeline.measure(chat(picture(150, 110), picture(150, 110)))
    assert raised.value.param is not None
    refusals = sample(stages.metrics, "image_refusals_total", code="image_format_unsupported")
    with pytest.raises(ImageError) as unsupported:
        await pipeline.measure(chat(picture(9, 9), {"url": build_data_url(b"no image")}))
    assert unsupported.value.param == "messages[0].content[1].image_url.url"
    counted = sample(stages.metrics, "image_refusals_total", code="image_format_unsupported")
    assert counted == refusals + 1


async def test_a_prompt_beyond_the_context_is_measured_all_the_same(stages: AnyresStages) -> None:
    engine = FakeEngine(max_model_len=32)
    measured = await stages.pipeline(engine).measure(chat(text="red " * 9000))
    assert len(measured.token_ids) > 9000
