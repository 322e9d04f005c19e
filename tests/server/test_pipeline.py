"""The path of one request through real stages, down to an engine that does as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio
import torch
from PIL import Image
from tokenizers import Tokenizer

from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary
from server.concurrency import gather_or_cancel
from server.engine.base import EngineOutput, SamplingOptions
from server.errors import (
    ContextLengthExceeded,
    EngineUnavailable,
    ImageCorrupt,
    ImageError,
    ImageFetchFailed,
    ImageFormatUnsupported,
    ImageTooLarge,
    ImageUrlInvalid,
    InvalidValue,
    ModelNotFound,
    TooManyImages,
)
from server.generation.choice_delta import ChoiceDelta
from server.generation.generation import Generation
from server.images.budget import ImageLimits
from server.images.decode.decode import DecodeOptions
from server.images.decode.image_processor import preprocess
from server.images.decode.sandbox import DecodeLimits
from server.images.fetch.fetcher import Fetcher
from server.images.loader import ImageLoader
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import EncodedImage, ImageEmbedsCache
from server.images.vision.tower import VisionModel
from server.images.vision.weights import load_vision_model
from server.pipeline import Pipeline
from server.prompt.builder import PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.tokenizer import read_tokenizer
from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request
from server.structured_outputs.validator import GrammarValidator
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord
from tests.server.fake_engine import FakeEngine
from tests.server.images.vision.small_model import build_random_weights
from tests.server.loopback import build_loopback_options
from tests.server.origin import build_response, respond_with, serve_origin
from tests.server.pictures import build_data_url, encode_image, make_noise
from tests.server.released import pinpoints
from tests.server.samples import sample, stage_count

# One loop for the workers that all tests share, as in a server.
pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_IMAGES = 3
MAX_PIXELS = 1_500_000
LIMITS = DecodeLimits(memory_bytes=2**31, cpu_s=20, wall_s=20)
SAMPLING = SamplingOptions(1, 0.0, 1.0, None, (), ignore_eos=False)
IMAGE_TOKENS = 64


def output(text: str, *, last: bool = False, tokens: int = 1) -> EngineOutput:
    """Return what an engine hands over."""
    return EngineOutput(text, tokens, "stop" if last else None, 0.25, 7)


ANSWER = (output(" It"), output(" is"), output(" red.", last=True))


@dataclass
class Stages:
    """The real stages, their metrics, and pipelines over them."""

    checkpoint: Checkpoint
    media: ImageLoader
    vision: VisionBatcher
    metrics: Metrics
    grammars: GrammarValidator
    cache: ImageEmbedsCache[EncodedImage] = field(init=False)

    def __post_init__(self) -> None:
        self.cache = ImageEmbedsCache(100 * 1024 * 1024, self.metrics)

    def pipeline(
        self,
        engine: FakeEngine,
        temperature: float = 0.5,
        top_p: float = 0.8,
        conv_mode: str | None = None,
    ) -> Pipeline:
        """Return a pipeline that ends in `engine`."""
        tokenizer = read_tokenizer(self.checkpoint.path)
        return Pipeline(
            model_name="m",
            image_limits=ImageLimits(
                max_images=MAX_IMAGES, max_pixels=MAX_PIXELS, fetch_timeout_s=20
            ),
            temperature=temperature,
            top_p=top_p,
            media=self.media,
            vision=self.vision,
            cache=self.cache,
            prompt=PromptBuilder(
                choose_prompt_format(tokenizer, self.checkpoint.text, conv_mode),
                engine.max_model_len,
            ),
            grammars=self.grammars,
            vocabulary=Vocabulary(self.checkpoint.path),
            engine=engine,
            metrics=self.metrics,
        )

    def counts(self) -> tuple[int, int, int, int, int]:
        """Return how often each stage has been gone through."""
        return (
            stage_count(self.metrics, "load"),
            stage_count(self.metrics, "decode"),
            stage_count(self.metrics, "preprocess"),
            stage_count(self.metrics, "encode"),
            stage_count(self.metrics, "prompt"),
        )


@pytest.fixture(scope="module")
def model(checkpoint: Checkpoint) -> VisionModel:
    """Return the embedded model's vision side."""
    return load_vision_model(checkpoint, torch.device("cpu"))


@pytest.fixture(scope="module")
def shared(checkpoint: Checkpoint, model: VisionModel) -> Iterator[Stages]:
    """Keep one decode worker for the whole module."""
    metrics = Metrics()
    media = ImageLoader(
        Fetcher(build_loopback_options(max_bytes=1_000_000, timeout_s=20)),
        DecodeOptions(checkpoint.image.size, checkpoint.image.aspect_ratio, 1_000_000),
        workers=1,
        limits=LIMITS,
        variant="",
        metrics=metrics,
    )
    vision = VisionBatcher(model, max_views=4, metrics=metrics)
    grammars = GrammarValidator(checkpoint.path)
    yield Stages(checkpoint, media, vision, metrics, grammars)
    grammars.close()
    vision.close()
    media.close()


@pytest.fixture
def stages(shared: Stages) -> Stages:
    """Return the stages with an empty cache."""
    shared.cache = ImageEmbedsCache(100 * 1024 * 1024, shared.metrics)
    return shared


@pytest_asyncio.fixture(loop_scope="module")
async def apart(checkpoint: Checkpoint, model: VisionModel) -> AsyncIterator[Stages]:
    """Return stages whose connections belong to the test's own event loop."""
    metrics = Metrics()
    fetcher = Fetcher(build_loopback_options(max_bytes=1_000_000, timeout_s=60))
    options = DecodeOptions(checkpoint.image.size, checkpoint.image.aspect_ratio, 1_000_000)
    media = ImageLoader(fetcher, options, workers=1, limits=LIMITS, variant="", metrics=metrics)
    vision = VisionBatcher(model, max_views=4, metrics=metrics)
    grammars = GrammarValidator(checkpoint.path)
    yield Stages(checkpoint, media, vision, metrics, grammars)
    grammars.close()
    vision.close()
    media.close()
    await fetcher.close()


def picture(seed: int = 0) -> str:
    """Return the URL of a picture."""
    return build_data_url(encode_image(make_noise(60, 40, seed)))


def image_part(url: str) -> dict[str, Any]:
    """Return an image part."""
    return {"type": "image_url", "image_url": {"url": url}}


def asking(*urls: str, text: str = "What is it?", **more: Any) -> ChatCompletionRequest:
    """Return a request about pictures."""
    content = [*map(image_part, urls), {"type": "text", "text": text}]
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **more}
    return parse_chat_request(json.dumps(body).encode())


def asking_for(*details: str) -> ChatCompletionRequest:
    """Return a request about one picture, in several details."""
    url = {"url": picture()}
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {**url, "detail": detail}} for detail in details
    ]
    content = [*parts, {"type": "text", "text": "What is it?"}]
    body = {"model": "m", "messages": [{"role": "user", "content": content}]}
    return parse_chat_request(json.dumps(body).encode())


def new_record() -> RequestRecord:
    """Return a record whose figures do not matter."""
    return RequestRecord("chatcmpl-1", Metrics())


async def answer(
    pipeline: Pipeline, request: ChatCompletionRequest, record: RequestRecord | None = None
) -> list[ChoiceDelta]:
    """Return all deltas of a request."""
    deltas = await pipeline.generate(request, record or new_record())
    return [each async for each in deltas]


def shown(delta: ChoiceDelta) -> str:
    """Return a delta's text."""
    return "".join(piece for piece in delta.pieces if isinstance(piece, str))


async def texts(script: Sequence[EngineOutput], stages: Stages) -> list[str]:
    """Return the texts that come of what an engine says."""
    return [shown(each) for each in await answer(stages.pipeline(FakeEngine(script)), asking())]


# What the engine gets.


async def test_text_goes_straight_to_the_engine(stages: Stages, tokenizer: Tokenizer) -> None:
    engine = FakeEngine(ANSWER)
    before = stages.counts()
    await answer(stages.pipeline(engine), asking())
    (call,) = engine.calls
    assert call.request_id == "chatcmpl-1"
    assert list(call.images) == []
    assert tokenizer.decode(call.token_ids).endswith("USER: What is it? ASSISTANT:")
    moved = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert moved == [0, 0, 0, 0, 1]


async def test_images_go_with_their_embeddings_keys_and_places(
    stages: Stages, model: VisionModel
) -> None:
    engine = FakeEngine(ANSWER)
    before = stages.counts()
    await answer(stages.pipeline(engine), asking(picture(1), picture(2)))
    (call,) = engine.calls
    first, second = call.images
    for image, seed in ((first, 1), (second, 2)):
        views = torch.from_numpy(preprocess(make_noise(60, 40, seed), 96, "pad").copy())
        expected = model(views)[0].float()
        error = (image.image_embeds.float() - expected).norm() / expected.norm()
        assert error < 0.02
        assert image.image_embeds.shape == (IMAGE_TOKENS, 256)
        rows = call.token_ids[image.offset : image.offset + IMAGE_TOKENS]
        assert rows == [stages.checkpoint.text.image_token_id] * IMAGE_TOKENS
        assert call.token_ids[image.offset - 1] != rows[0]
        assert image.key == (await stages.media.load(picture(seed))).key
    assert call.token_ids.count(stages.checkpoint.text.image_token_id) == 2 * IMAGE_TOKENS
    assert first.offset < second.offset
    # Two images loaded here, two for the keys above; all else once an image, once a prompt.
    moved = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert moved == [4, 2, 2, 2, 1]


async def test_the_order_of_images_is_the_requests(apart: Stages) -> None:
    """The first image comes from a slow server, the second one is known already."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go.wait()
        writer.write(build_response("200 OK", encode_image(make_noise(60, 40, 1))))

    engine = FakeEngine(ANSWER)
    pipeline = apart.pipeline(engine)
    await answer(pipeline, asking(picture(2)))
    async with serve_origin({"/": slow}) as server:
        answering = asyncio.create_task(answer(pipeline, asking(f"{server.url}/", picture(2))))
        await asked.wait()
        go.set()
        await answering
    keys = [(await apart.media.load(picture(seed))).key for seed in (1, 2)]
    assert [image.key for image in engine.calls[1].images] == keys


async def test_the_record_gets_the_prompts_figures(stages: Stages, metrics: Metrics) -> None:
    engine, record = FakeEngine(ANSWER), RequestRecord("1", metrics)
    with record:
        outputs = await stages.pipeline(engine).generate(asking(picture()), record)
        assert sample(metrics, "num_requests_waiting") == 0
        assert record.completion_tokens == 0
        assert [shown(each) async for each in outputs] == ["It", " is", " red."]
    assert record.prompt_tokens == len(engine.calls[0].token_ids)
    assert (record.image_tokens, record.cached_tokens) == (IMAGE_TOKENS, 7)
    assert record.completion_tokens == 3
    assert sample(metrics, "stage_seconds_sum", stage="first_token") == 0.25


@pytest.mark.parametrize("stream", [True, False, None])
async def test_whether_to_stream_is_passed_on(stream: bool | None, stages: Stages) -> None:
    engine = FakeEngine(ANSWER)
    await answer(stages.pipeline(engine), asking(stream=stream))
    assert engine.calls[0].stream is bool(stream)


async def test_what_a_request_wishes_goes_before_the_checkpoints_defaults(stages: Stages) -> None:
    wishes: dict[str, Any] = {
        "temperature": 0,
        "top_p": 0.1,
        "seed": 5,
        "stop": ["a", "b"],
        "max_tokens": 9,
    }
    engine = FakeEngine(ANSWER)
    await answer(stages.pipeline(engine), asking(**wishes))
    sampling = engine.calls[0].sampling
    assert (sampling.temperature, sampling.top_p) == (0.0, 0.1)
    assert (sampling.seed, list(sampling.stop), sampling.max_tokens) == (5, ["a", "b"], 9)
    assert sampling.ignore_eos is False
    assert sampling.min_tokens == 0


async def test_min_tokens_fit_into_the_context(stages: Stages) -> None:
    engine = FakeEngine(ANSWER)
    await answer(stages.pipeline(engine), asking(min_tokens=7, max_tokens=9))
    await answer(stages.pipeline(engine), asking(min_tokens=100_000))
    first, second = (call.sampling for call in engine.calls)
    assert (first.min_tokens, first.max_tokens) == (7, 9)
    assert second.min_tokens == second.max_tokens


@pytest.mark.parametrize(
    ("conv_mode", "wishes", "stop"),
    [
        ("llava_v0", {"stop": "a"}, ["a", "###"]),
        ("llava_v0", {"stop": "a", "ignore_eos": True}, ["a"]),
        ("vicuna_v1", {}, []),
    ],
)
async def test_the_templates_own_stop_ends_an_answer(
    conv_mode: str, wishes: dict[str, Any], stop: list[str], stages: Stages
) -> None:
    engine = FakeEngine(ANSWER)
    await answer(stages.pipeline(engine, conv_mode=conv_mode), asking(**wishes))
    assert list(engine.calls[0].sampling.stop) == stop
    assert list(engine.calls[0].sampling.stop_token_ids) == []


@pytest.mark.parametrize("ignore_eos", [False, True])
async def test_a_stop_that_is_a_token_is_told_as_one(ignore_eos: bool, stages: Stages) -> None:
    text = replace(stages.checkpoint.text, eos_token="<unk>")  # so "</s>" is not the EOS
    stages = replace(stages, checkpoint=replace(stages.checkpoint, text=text))
    engine = FakeEngine(ANSWER)
    await answer(stages.pipeline(engine), asking(ignore_eos=ignore_eos))
    eos = read_tokenizer(stages.checkpoint.path).token_to_id("</s>")
    assert list(engine.calls[0].sampling.stop_token_ids) == ([] if ignore_eos else [eos])
    assert list(engine.calls[0].sampling.stop) == []


async def test_without_wishes_the_checkpoints_defaults_hold(stages: Stages) -> None:
    engine = FakeEngine(ANSWER)
    await answer(stages.pipeline(engine, temperature=0.2, top_p=0.7), asking())
    sampling = engine.calls[0].sampling
    assert (sampling.temperature, sampling.top_p) == (0.2, 0.7)
    assert (sampling.seed, list(sampling.stop)) == (None, [])


@pytest.mark.parametrize("wish", [None, 1, 10**9])
async def test_the_answer_is_bounded_by_the_contexts_rest(wish: int | None, stages: Stages) -> None:
    engine = FakeEngine(ANSWER, max_model_len=300)
    await answer(stages.pipeline(engine), asking(picture(), max_completion_tokens=wish))
    (call,) = engine.calls
    room = 300 - len(call.token_ids)
    assert 0 < room < 300 - IMAGE_TOKENS
    assert call.sampling.max_tokens == min(wish or room, room)


async def test_a_prompt_longer_than_the_context_never_reaches_the_engine(stages: Stages) -> None:
    engine = FakeEngine(ANSWER, max_model_len=100)
    with pytest.raises(ContextLengthExceeded):
        await answer(stages.pipeline(engine), asking(picture()))
    assert engine.calls == []


async def test_a_long_text_is_tokenised_off_the_event_loop_to_the_same_prompt(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine(ANSWER, max_model_len=10**6)
    request = asking(text="What is it? " * 1000)
    await answer(stages.pipeline(engine), request)
    monkeypatch.setattr("server.pipeline.INLINE_CHARACTERS", 10**6)
    await answer(stages.pipeline(engine), request)
    in_thread, inline = engine.calls
    assert in_thread.token_ids == inline.token_ids
    assert len(in_thread.token_ids) > 3000


# What is done once only.


async def test_a_known_image_is_neither_decoded_nor_encoded_again(stages: Stages) -> None:
    engine = FakeEngine(ANSWER)
    pipeline = stages.pipeline(engine)
    await answer(pipeline, asking(picture(1)))
    before = stages.counts()
    await answer(pipeline, asking(picture(2), picture(1), text="And now?"))
    moved = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert moved == [2, 1, 1, 1, 1]
    assert engine.calls[0].images[0].image_embeds is engine.calls[1].images[1].image_embeds


async def test_the_same_image_at_the_same_time_is_encoded_once(stages: Stages) -> None:
    engine = FakeEngine(ANSWER)
    pipeline, before = stages.pipeline(engine), stages.counts()
    requests = [asking(picture(1), picture(1)), asking(picture(1)), asking(picture(1))]
    await asyncio.gather(*(answer(pipeline, request) for request in requests))
    moved = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert moved == [4, 1, 1, 1, 3]
    keys = {image.key for call in engine.calls for image in call.images}
    assert len(keys) == 1


# Detail, which tells on anyres models only.


async def test_detail_changes_nothing_for_a_model_of_one_view(stages: Stages) -> None:
    engine, before = FakeEngine(ANSWER), stages.counts()
    await answer(stages.pipeline(engine), asking_for("low", "high", "auto"))
    moved = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert moved == [3, 1, 1, 1, 1]
    assert [len(image.image_embeds) for image in engine.calls[0].images] == [IMAGE_TOKENS] * 3


async def test_low_detail_gives_an_anyres_model_the_base_view(
    stages: Stages, checkpoint: Checkpoint
) -> None:
    size = checkpoint.image.size
    vision = replace(checkpoint.vision, patch_merge="spatial_unpad")
    anyres = replace(checkpoint.image, aspect_ratio="anyres", grid_pinpoints=pinpoints(size))
    model = VisionModel(vision, anyres)
    model.load_state_dict(build_random_weights(model))
    media = ImageLoader(
        Fetcher(build_loopback_options(max_bytes=1_000_000, timeout_s=20)),
        DecodeOptions(size, "anyres", 1_000_000, anyres.grid_pinpoints),
        workers=1,
        limits=LIMITS,
        variant="",
        metrics=stages.metrics,
    )
    batcher = VisionBatcher(model.eval(), max_views=4, metrics=stages.metrics)
    engine = FakeEngine(ANSWER)
    tiled = Stages(checkpoint, media, batcher, stages.metrics, stages.grammars)
    await answer(tiled.pipeline(engine), asking_for("low", "high", "auto"))
    batcher.close()
    media.close()
    low, high, auto = engine.calls[0].images
    # 60 x 40 fits best into three tiles of which two lie side by side: 12 of 16 columns are image.
    base = vision.num_image_tokens
    assert [len(image.image_embeds) for image in (low, high)] == [base + 1, base + 8 * 13]
    assert torch.equal(low.image_embeds[:base], high.image_embeds[:base])
    assert low.key != high.key
    assert auto.key == high.key


# What is refused.


async def test_an_unknown_model_costs_nothing(stages: Stages) -> None:
    engine, before = FakeEngine(ANSWER), stages.counts()
    with pytest.raises(ModelNotFound) as caught:
        await answer(stages.pipeline(engine), asking(picture(), "nonsense", model="gpt-4o"))
    assert caught.value.param == "model"
    assert "gpt-4o" in caught.value.message
    assert stages.counts() == before
    assert engine.calls == []


async def test_too_many_images_cost_nothing(stages: Stages) -> None:
    engine, before = FakeEngine(ANSWER), stages.counts()
    with pytest.raises(TooManyImages) as caught:
        await answer(stages.pipeline(engine), asking(*["nonsense"] * (MAX_IMAGES + 2)))
    assert caught.value.param == f"messages[0].content[{MAX_IMAGES}].image_url.url"
    assert "5 images; the limit is 3" in caught.value.message
    assert stages.counts() == before
    assert engine.calls == []


async def test_as_many_images_as_allowed(stages: Stages) -> None:
    engine = FakeEngine(ANSWER)
    await answer(stages.pipeline(engine), asking(*[picture()] * MAX_IMAGES))
    assert len(engine.calls[0].images) == MAX_IMAGES


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("ftp://example.org", ImageUrlInvalid),
        ("data:image/png;base64,AAA", ImageUrlInvalid),
        (build_data_url(b"text"), ImageFormatUnsupported),
        (build_data_url(encode_image(make_noise(60, 40), "JPEG")[:900]), ImageCorrupt),
    ],
)
async def test_an_images_error_names_its_field(
    url: str, kind: type[ImageError], stages: Stages
) -> None:
    engine = FakeEngine(ANSWER)
    with pytest.raises(kind) as caught:
        await answer(stages.pipeline(engine), asking(picture(1), url, picture(2)))
    assert type(caught.value) is kind
    assert caught.value.param == "messages[0].content[1].image_url.url"
    assert engine.calls == []


async def test_an_error_shared_by_requests_names_the_field_of_each(apart: Stages) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def missing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go.wait()
        writer.write(build_response("404 Not Found"))

    async with serve_origin({"/": missing}) as server:
        pipeline = apart.pipeline(FakeEngine(ANSWER))
        one = asyncio.create_task(answer(pipeline, asking(f"{server.url}/")))
        other = asyncio.create_task(answer(pipeline, asking(picture(), f"{server.url}/")))
        await asked.wait()
        await asyncio.sleep(0)
        go.set()
        for task, part in ((one, 0), (other, 1)):
            with pytest.raises(ImageFetchFailed) as caught:
                await task
            assert caught.value.param == f"messages[0].content[{part}].image_url.url"
        assert len(server.requests) == 1


async def test_an_image_without_words_is_refused(stages: Stages) -> None:
    engine = FakeEngine(ANSWER)
    with pytest.raises(InvalidValue, match="no text"):
        await answer(stages.pipeline(engine), asking(picture(), text=" "))
    assert engine.calls == []


# What is cancelled.


async def test_the_first_error_ends_the_work_on_the_other_images(apart: Stages) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        asked.set()
        assert await reader.read() == b""
        left.set()

    async def broken(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked.wait()
        writer.write(build_response("404 Not Found"))

    engine = FakeEngine(ANSWER)
    async with serve_origin({"/silent": silent, "/broken": broken}) as server:
        request = asking(f"{server.url}/silent", f"{server.url}/broken")
        with pytest.raises(ImageFetchFailed, match="404") as caught:
            await answer(apart.pipeline(engine), request)
        assert caught.value.param == "messages[0].content[1].image_url.url"
        await asyncio.wait_for(left.wait(), 20)
    assert engine.calls == []


async def test_whoever_leaves_while_images_load_ends_that(apart: Stages) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        asked.set()
        assert await reader.read() == b""
        left.set()

    async with serve_origin({"/": silent}) as server:
        engine = FakeEngine(ANSWER)
        request = asking(f"{server.url}/")
        answering = asyncio.create_task(answer(apart.pipeline(engine), request))
        await asked.wait()
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        await asyncio.wait_for(left.wait(), 20)
    assert engine.calls == []


async def test_one_of_two_who_wait_for_an_image_may_leave(apart: Stages) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go.wait()
        writer.write(build_response("200 OK", encode_image(make_noise(60, 40))))

    async with serve_origin({"/": slow}) as server:
        engine = FakeEngine(ANSWER)
        pipeline, request = apart.pipeline(engine), asking(f"{server.url}/")
        leaver, stayer = (asyncio.create_task(answer(pipeline, request)) for _ in range(2))
        await asked.wait()
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        go.set()
        assert len(await stayer) == 3
        assert len(server.requests) == 1


async def test_whoever_leaves_before_the_first_token_ends_the_sequence(stages: Stages) -> None:
    engine = FakeEngine([asyncio.Event()])
    waiting = asyncio.create_task(stages.pipeline(engine).generate(asking(), new_record()))
    await engine.begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert engine.closed.is_set()


async def test_closing_the_outputs_midway_ends_the_sequence(stages: Stages) -> None:
    engine = FakeEngine(ANSWER)
    outputs = await stages.pipeline(engine).generate(asking(), new_record())
    await anext(outputs)
    assert not engine.closed.is_set()
    await outputs.aclose()
    assert engine.closed.is_set()


async def test_cancelling_who_reads_the_outputs_ends_the_sequence(stages: Stages) -> None:
    engine = FakeEngine([output("a"), asyncio.Event()])
    outputs = await stages.pipeline(engine).generate(asking(), new_record())
    await anext(outputs)
    reading = asyncio.ensure_future(anext(outputs))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert engine.closed.is_set()


async def test_reading_to_the_end_ends_the_sequence(stages: Stages) -> None:
    engine = FakeEngine(ANSWER)
    await answer(stages.pipeline(engine), asking())
    assert engine.closed.is_set()


# What comes back.


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ([" It", " is", " red."], ["It", " is", " red."]),
        (["It", " is"], ["It", " is"]),
        (["", " ", "\n", " It", " is "], ["", "", "", "It", " is "]),
        (["  \n It is\n"], ["It is\n"]),
        ([" ", ""], ["", ""]),
        ([""], [""]),
    ],
)
async def test_the_space_before_the_answer_is_trimmed(
    said: list[str], heard: list[str], stages: Stages
) -> None:
    script = [output(text, last=text is said[-1]) for text in said]
    assert await texts(script, stages) == heard


async def test_an_engine_that_fails_at_once(stages: Stages) -> None:
    engine = FakeEngine([EngineUnavailable("The engine failed.")])
    with pytest.raises(EngineUnavailable):
        await stages.pipeline(engine).generate(asking(), new_record())
    assert engine.closed.is_set()


async def test_an_engine_that_fails_midway(stages: Stages) -> None:
    engine = FakeEngine([output("a"), EngineUnavailable("The engine failed.")])
    outputs = await stages.pipeline(engine).generate(asking(), new_record())
    assert shown(await anext(outputs)) == "a"
    with pytest.raises(EngineUnavailable):
        await anext(outputs)
    assert engine.closed.is_set()


async def test_a_failed_engine_leaves_images_cached(stages: Stages) -> None:
    engine = FakeEngine([EngineUnavailable("The engine failed.")])
    pipeline = stages.pipeline(engine)
    with pytest.raises(EngineUnavailable):
        await pipeline.generate(asking(picture(3)), new_record())
    before = stages.counts()
    engine.script = ANSWER
    await answer(pipeline, asking(picture(3)))
    moved = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert moved == [1, 0, 0, 0, 1]


async def test_a_failed_image_is_tried_again(apart: Stages) -> None:
    answers = {"/": respond_with(build_response("503 Later"))}
    async with serve_origin(answers) as server:
        engine = FakeEngine(ANSWER)
        pipeline, request = apart.pipeline(engine), asking(f"{server.url}/")
        with pytest.raises(ImageFetchFailed):
            await answer(pipeline, request)
        answers["/"] = respond_with(build_response("200 OK", encode_image(make_noise(60, 40))))
        assert len(await answer(pipeline, request)) == 3


async def test_closing_a_generation_that_nobody_began_to_read_ends_the_sequence() -> None:
    engine = FakeEngine([output("a"), asyncio.Event()])
    generation = Generation(engine.generate("1", [1], [], SAMPLING, stream=True), new_record())
    await generation.await_first()
    await generation.aclose()
    assert engine.closed.is_set()


async def test_an_engine_without_any_output(stages: Stages) -> None:
    with pytest.raises(EngineUnavailable):
        await stages.pipeline(FakeEngine([])).generate(asking(), new_record())


async def test_what_the_messages_alone_forbid_costs_no_image(stages: Stages) -> None:
    before = stages.counts()
    with pytest.raises(InvalidValue):
        await answer(stages.pipeline(FakeEngine(ANSWER)), asking(picture(77), text=" "))
    assert stages.counts()[:4] == before[:4]


async def test_when_the_first_error_comes_out_the_other_images_work_has_ended() -> None:
    released = asyncio.Event()
    begun = asyncio.Event()

    async def slow() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            released.set()

    async def broken() -> None:
        await begun.wait()
        raise LookupError

    with pytest.raises(LookupError):
        await gather_or_cancel([slow(), broken()])
    assert released.is_set()


async def test_the_images_of_a_request_have_a_limit_together(stages: Stages) -> None:
    urls = [
        build_data_url(encode_image(Image.new("1", (1000, 600), seed % 2))) for seed in range(3)
    ]
    pipeline = stages.pipeline(FakeEngine(ANSWER))
    await answer(pipeline, asking(*urls[:2]))
    before = sample(stages.metrics, "image_refusals_total", code="image_too_large")
    with pytest.raises(ImageTooLarge, match="1800000 pixels together; the limit is 1500000"):
        await answer(pipeline, asking(*urls))
    after = sample(stages.metrics, "image_refusals_total", code="image_too_large")
    assert after == before + 1


async def test_tenants_share_no_image(stages: Stages) -> None:
    pipeline = stages.pipeline(engine := FakeEngine(ANSWER))
    before = stages.counts()
    for tenant in ("a", "b", "a"):
        async for _ in await pipeline.generate(asking(picture(77)), new_record(), tenant):
            pass
    moved = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert moved == [3, 2, 2, 2, 3]
    first, second, third = [call.images[0].key for call in engine.calls]
    assert first == third != second


async def test_an_animation_is_noted(stages: Stages) -> None:
    frames = [make_noise(20, 20, seed) for seed in range(3)]
    gif = encode_image(frames[0], "GIF", save_all=True, append_images=frames[1:])
    for _ in range(2):  # decoded, then known
        record = new_record()
        await answer(stages.pipeline(FakeEngine(ANSWER)), asking(build_data_url(gif)), record)
        assert record.notes == [
            "messages[0].content[0].image_url.url: the first of 3 frames was used"
        ]
