"""Builds the pipeline: engine process, vision model, decode workers; then a warm-up request."""

import base64
import io
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image

from server.checkpoint.adapters import read_lora_adapters
from server.checkpoint.config import Checkpoint
from server.checkpoint.image_memory import compute_image_cache_bytes
from server.checkpoint.verification import verify_files
from server.checkpoint.vision import ImageConfig
from server.checkpoint.vocabulary import Vocabulary
from server.concurrency import LongCalls
from server.engine.base import Engine
from server.engine_loading import configure_engine, start_engine
from server.generation.sampling import SamplingDefaults
from server.images.budget import ImageLimits
from server.images.decode.decode import DecodeOptions
from server.images.decode.formats import FORMATS
from server.images.decode.sandbox import DecodeLimits
from server.images.embedder import ImageEmbedder
from server.images.fetch.fetcher import Fetcher
from server.images.fetch.options import FetchOptions
from server.images.loader import ImageLoader
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import EncodedImage, ImageEmbedsCache
from server.images.vision.threads import AdaptiveThreads
from server.images.vision.tower import VisionModel
from server.images.vision.weights import load_vision_model
from server.pipeline import Pipeline
from server.process.machine import count_cores, count_decode_workers, count_spare_cores
from server.prompt.builder import PromptBuilder
from server.prompt.format import PromptFormat, choose_prompt_format
from server.prompt.request_templates import RequestTemplates
from server.prompt.tokenizer import read_tokenizer
from server.prompt.tool_parser import choose_tool_parser
from server.protocol.chat.request import parse_chat_request
from server.settings import Settings
from server.structured_outputs.validator import GrammarValidator
from server.telemetry.caller import ANYBODY
from server.telemetry.gpu_memory import watch_gpu_memory
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord


async def load_pipeline(
    settings: Settings,
    checkpoint: Checkpoint,
    model_name: str,
    metrics: Metrics,
    stack: AsyncExitStack,
    *,
    traces: bool = False,
) -> tuple[Pipeline, Engine]:
    """Load the model and connect the stages; `stack` closes what was opened.

    Weights and engine load in a thread, so the event loop stays free. Configurations come first:
    they are fast and detect a wrong checkpoint or option early. `traces` is whether the engine
    records spans, too. Raises `CheckpointError`.
    """
    aliases = settings.served_model_names[1:]
    loading = LongCalls("loading")
    stack.callback(loading.close)
    if settings.verify_model:
        await loading.run(verify_files, checkpoint.path)
    prompts = await loading.run(_prompt_format, settings, checkpoint)
    device = torch.device(choose_accelerator(settings))
    watch_gpu_memory(metrics, device, settings.tensor_parallel_size)
    adapters = read_lora_adapters(settings.lora_adapters, model_name, *aliases)
    start = await loading.run(
        partial(configure_engine, traces=traces), settings, checkpoint, model_name, device, adapters
    )
    on_cpu = device.type == "cpu"
    dtype = getattr(torch, checkpoint.resolve_dtype(settings.dtype, on_cpu=on_cpu))
    vision_model = await loading.run(load_vision_model, checkpoint, device, dtype)
    engine = await loading.run(start_engine, start)
    stack.callback(engine.close)
    await engine.load_adapters()
    _set_threads(settings, vision_model, engine)
    pipeline = _connect(
        settings, checkpoint, model_name, metrics, engine, vision_model, prompts, stack
    )
    await _warm_up(pipeline, model_name)
    return pipeline, engine


def _set_threads(settings: Settings, vision_model: VisionModel, engine: Engine) -> None:
    beside = settings.vision_threads or count_spare_cores()
    torch.set_num_threads(beside)
    if vision_model.device.type == "cpu" and settings.vision_threads is None:
        threads = AdaptiveThreads(lambda: engine.is_busy, beside=beside, alone=count_cores())
        threads.attach(vision_model)


def _connect(
    settings: Settings,
    checkpoint: Checkpoint,
    model_name: str,
    metrics: Metrics,
    engine: Engine,
    vision_model: VisionModel,
    prompts: PromptFormat,
    stack: AsyncExitStack,
) -> Pipeline:
    parser_name = choose_tool_parser(settings.tool_parser, prompts.template)
    parser = None if parser_name is None else engine.load_tool_parser(parser_name)
    grammar_validator = GrammarValidator(checkpoint.path)
    stack.callback(grammar_validator.close)
    templates = _start_request_templates(settings, checkpoint, prompts)
    if templates is not None:
        stack.callback(templates.close)
    return Pipeline(
        model_name=model_name,
        aliases=settings.served_model_names[1:],
        adapters=frozenset(settings.lora_adapters),
        image_limits=ImageLimits(
            max_images=settings.max_images,
            max_pixels=settings.max_request_pixels,
            fetch_timeout_s=settings.request_fetch_timeout_s,
        ),
        sampling_defaults=SamplingDefaults(checkpoint.text.temperature, checkpoint.text.top_p),
        images=_connect_images(
            settings, checkpoint, metrics, vision_model, engine.max_model_len, stack
        ),
        prompt=PromptBuilder(prompts, engine.max_model_len, native_tools=parser is not None),
        request_templates=templates,
        tool_parser=parser,
        grammar_validator=grammar_validator,
        vocabulary=Vocabulary(checkpoint.path),
        engine=engine,
        metrics=metrics,
    )


def _start_request_templates(
    settings: Settings, checkpoint: Checkpoint, prompts: PromptFormat
) -> RequestTemplates | None:
    if not settings.trust_request_chat_template:
        return None
    (image_token,) = prompts.tokenizer.convert_ids_to_tokens([prompts.image_token_id])
    return RequestTemplates(checkpoint.text.special_tokens, image_token)


def _connect_images(
    settings: Settings,
    checkpoint: Checkpoint,
    metrics: Metrics,
    vision_model: VisionModel,
    max_model_len: int,
    stack: AsyncExitStack,
) -> ImageEmbedder:
    fetcher = Fetcher(_fetch_options(settings))
    stack.push_async_callback(fetcher.close)
    decode_options = _decode_options(settings, checkpoint.image)
    loader = ImageLoader(
        fetcher,
        decode_options,
        workers=settings.decode_workers or count_decode_workers(),
        limits=DecodeLimits(
            memory_bytes=settings.decode_memory_bytes,
            cpu_s=settings.decode_cpu_s,
            wall_s=settings.decode_timeout_s,
        ),
        # Without its folder, so that replicas on other machines derive the same keys.
        variant=f"{replace(checkpoint, path=Path())!r} {decode_options!r}",
        metrics=metrics,
    )
    stack.callback(loader.close)
    batcher = VisionBatcher(vision_model, max_views=settings.vision_batch_size, metrics=metrics)
    stack.callback(batcher.close)
    cache = ImageEmbedsCache[EncodedImage](compute_image_cache_bytes(settings, checkpoint), metrics)
    return ImageEmbedder(loader, batcher, cache, metrics, max_model_len=max_model_len)


def _prompt_format(settings: Settings, checkpoint: Checkpoint) -> PromptFormat:
    return choose_prompt_format(
        read_tokenizer(checkpoint.path), checkpoint.text, settings.conv_mode
    )


def _fetch_options(settings: Settings) -> FetchOptions:
    return FetchOptions(
        max_bytes=settings.max_image_bytes,
        timeout_s=settings.fetch_timeout_s,
        connect_timeout_s=settings.fetch_connect_timeout_s,
        read_timeout_s=settings.fetch_read_timeout_s,
        allow_networks=settings.fetch_allow_networks,
        allow_ports=settings.fetch_allow_ports,
        allow_domains=settings.fetch_allow_domains,
        deny_domains=settings.fetch_deny_domains,
        allow_userinfo=settings.fetch_allow_userinfo,
        connections_per_host=settings.fetch_connections_per_host,
        cache_bytes=settings.fetch_cache_bytes,
        image_folders=settings.image_folders,
        proxy_env=settings.fetch_proxy_env,
    )


def _decode_options(settings: Settings, image: ImageConfig) -> DecodeOptions:
    return DecodeOptions(
        size=image.size,
        aspect_ratio=image.aspect_ratio,
        max_pixels=settings.max_image_pixels,
        grid_pinpoints=image.grid_pinpoints,
        pad_color=image.pad_color,
        fast_jpeg=settings.fast_jpeg,
        alpha_color=settings.alpha_rgb,
        max_frames=settings.max_image_frames,
        animated_images=settings.animated_images,
        formats=tuple(each for each in FORMATS if each.lower() in settings.image_formats),
    )


async def _warm_up(pipeline: Pipeline, model_name: str) -> None:
    """Answer two requests about a small image, so that no client pays for lazy initialisation.

    The second request uses a grammar and log probabilities, which vLLM sets up on first use.
    Metrics go to a separate registry, since this is no traffic.
    """
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), "grey").save(picture, "PNG")
    url = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
    content = [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": "Describe the image."},
    ]
    body = {
        "model": model_name,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 2,
    }
    extras = {"structured_outputs": {"regex": "a*"}, "logprobs": True, "top_logprobs": 1}
    for warm_up_body in (body, body | extras):
        request = parse_chat_request(json.dumps(warm_up_body).encode())
        async for _ in await pipeline.generate(
            request, RequestRecord("warm-up", Metrics(), ANYBODY)
        ):
            pass


def choose_accelerator(settings: Settings) -> str:
    """Return where the model runs: `cpu` or `cuda`."""
    if settings.accelerator != "auto":
        return settings.accelerator
    return "cuda" if torch.cuda.is_available() else "cpu"
