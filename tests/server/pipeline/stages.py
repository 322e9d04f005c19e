"""The real stages of a pipeline, and requests that go through them."""

import json
from dataclasses import dataclass, field
from typing import Any

from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import EngineOutput
from server.generation.choice_delta import ChoiceDelta
from server.generation.sampling import SamplingDefaults
from server.images.budget import MediaLimits
from server.images.decode.sandbox import DecodeLimits
from server.images.decode.video.sampling import FrameSampling
from server.images.embedder import ImageEmbedder
from server.images.loader import ImageLoader
from server.images.video_embedder import VideoEmbedder
from server.images.video_loader import VideoLoader
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import ImageEmbedsCache
from server.pipeline import Pipeline
from server.prompt.builder import PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.tokenizer import read_tokenizer
from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request
from server.structured_outputs.validator import GrammarValidator
from server.telemetry.caller import ANYBODY, Caller
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord
from tests.server.fake_engine import FakeEngine
from tests.server.pictures import build_data_url, encode_image, make_noise
from tests.server.samples import stage_count

MAX_IMAGES = 3


MAX_PIXELS = 1_500_000


LIMITS = DecodeLimits(memory_bytes=2**31, cpu_s=20, wall_s=20)


IMAGE_TOKENS = 64


def build_output(text: str, *, last: bool = False, tokens: int = 1) -> EngineOutput:
    """Return an engine output."""
    return EngineOutput(text, tokens, "stop" if last else None, 0.25, 7)


OUTPUTS = (build_output(" It"), build_output(" is"), build_output(" red.", last=True))


@dataclass
class Stages:
    """The real stages, their metrics, and pipelines over them."""

    checkpoint: Checkpoint
    image_loader: ImageLoader
    vision: VisionBatcher
    metrics: Metrics
    grammars: GrammarValidator
    video_loader: VideoLoader | None = None
    cache: ImageEmbedsCache = field(init=False)

    def __post_init__(self) -> None:
        self.cache = ImageEmbedsCache(100 * 1024 * 1024, self.metrics)

    def pipeline(
        self,
        engine: FakeEngine,
        temperature: float = 0.5,
        top_p: float = 0.8,
        conv_mode: str | None = None,
    ) -> Pipeline:
        """Return a pipeline with this engine."""
        tokenizer = read_tokenizer(self.checkpoint.path)
        return Pipeline(
            model_name="m",
            media_limits=MediaLimits(
                max_images=MAX_IMAGES,
                max_pixels=MAX_PIXELS,
                fetch_timeout_s=20,
                max_model_len=engine.max_model_len,
                max_videos=2,
            ),
            sampling_defaults=SamplingDefaults(temperature, top_p),
            images=ImageEmbedder(
                self.image_loader,
                self.vision,
                self.cache,
                self.metrics,
            ),
            videos=self._build_video_embedder(),
            prompt=PromptBuilder(
                choose_prompt_format(tokenizer, self.checkpoint.text, conv_mode),
                engine.max_model_len,
            ),
            grammar_validator=self.grammars,
            vocabulary=Vocabulary(self.checkpoint.path),
            engine=engine,
            metrics=self.metrics,
        )

    def _build_video_embedder(self) -> VideoEmbedder | None:
        if self.video_loader is None or self.checkpoint.video is None:
            return None
        return VideoEmbedder(
            self.video_loader,
            self.vision,
            self.checkpoint.video,
            self.cache,
            self.metrics,
            sampling=FrameSampling(4, None, 10),
        )

    def counts(self) -> tuple[int, int, int, int, int]:
        """Return how often each stage has run."""
        return (
            stage_count(self.metrics, "load"),
            stage_count(self.metrics, "decode"),
            stage_count(self.metrics, "preprocess"),
            stage_count(self.metrics, "encode"),
            stage_count(self.metrics, "prompt"),
        )


def image_url(seed: int = 0) -> str:
    """Return the data URL of an image."""
    return build_data_url(encode_image(make_noise(60, 40, seed)))


def image_part(url: str) -> dict[str, Any]:
    """Return an image part."""
    return {"type": "image_url", "image_url": {"url": url}}


def build_request(*urls: str, text: str = "What is it?", **more: Any) -> ChatCompletionRequest:
    """Return a chat request about images."""
    content = [*map(image_part, urls), {"type": "text", "text": text}]
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **more}
    return parse_chat_request(json.dumps(body).encode())


def build_detail_request(*details: str) -> ChatCompletionRequest:
    """Return a chat request with one image at several values of `detail`."""
    url = {"url": image_url()}
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {**url, "detail": detail}} for detail in details
    ]
    content = [*parts, {"type": "text", "text": "What is it?"}]
    body = {"model": "m", "messages": [{"role": "user", "content": content}]}
    return parse_chat_request(json.dumps(body).encode())


def build_record(caller: Caller = ANYBODY) -> RequestRecord:
    """Return a new record with metrics of its own."""
    return RequestRecord("chatcmpl-1", Metrics(), caller)


async def generate_deltas(
    pipeline: Pipeline, request: ChatCompletionRequest, record: RequestRecord | None = None
) -> list[ChoiceDelta]:
    """Return all deltas of a request."""
    deltas = await pipeline.generate(request, record or build_record())
    return [each async for each in deltas]
