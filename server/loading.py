"""Builds the pipeline: engine process, vision model, decode workers, and a warm-up request."""

import asyncio
import base64
import io
import json
import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from multiprocessing import resource_tracker
from typing import Final

import torch
from PIL import Image

from server.checkpoint.adapters import LoraAdapter, read_lora_adapters
from server.checkpoint.config import Checkpoint
from server.checkpoint.verification import verify_files
from server.checkpoint.vision import ImageConfig
from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import Engine
from server.images.budget import ImageLimits
from server.images.decode.decode import DecodeOptions
from server.images.decode.sandbox import DecodeLimits
from server.images.fetch.fetcher import Fetcher
from server.images.fetch.options import FetchOptions
from server.images.loader import ImageLoader
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import ImageEmbedsCache
from server.images.vision.tower import VisionModel
from server.images.vision.weights import load_vision_model, stores_image_newline
from server.pipeline import Pipeline
from server.prompt.builder import PromptBuilder
from server.prompt.format import PromptFormat, choose_prompt_format
from server.prompt.tokenizer import read_tokenizer
from server.prompt.tool_parser import choose_tool_parser
from server.protocol.chat.request import parse_chat_request
from server.settings import Settings
from server.structured_outputs.validator import GrammarValidator
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord

CACHED_IMAGES: Final = 1000
MAX_IMAGE_CACHE_BYTES: Final = 2**30

# Two at least: one slow image must not hold up all others.
MIN_DECODE_WORKERS: Final = 2
MAX_DECODE_WORKERS: Final = 8


async def load_pipeline(
    settings: Settings,
    checkpoint: Checkpoint,
    model_name: str,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> tuple[Pipeline, Engine]:
    """Load the model and connect the stages; `stack` closes what was opened.

    The event loop stays free: weights and engine are loaded in threads. Prompt and vision side
    come first, since they take a moment and tell early that a checkpoint is not what it claims.
    Raises `CheckpointError`.
    """
    if settings.verify_model:
        await asyncio.to_thread(verify_files, checkpoint.path)
    prompts = await asyncio.to_thread(_prompt_format, settings, checkpoint)
    device = torch.device(_accelerator(settings))
    vision_model = await asyncio.to_thread(load_vision_model, checkpoint, device)
    adapters = read_lora_adapters(settings.lora_adapters, model_name)
    engine = await asyncio.to_thread(
        start_engine, settings, checkpoint, model_name, device, adapters
    )
    stack.callback(engine.close)
    await engine.load_adapters()
    torch.set_num_threads(settings.vision_threads or _spare_cores())
    pipeline = _connect(
        settings, checkpoint, model_name, metrics, engine, vision_model, prompts, stack
    )
    await _warm_up(pipeline, model_name)
    return pipeline, engine


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
    fetcher = Fetcher(_fetch_options(settings))
    stack.push_async_callback(fetcher.close)
    decode_options = _decode_options(settings, checkpoint.image)
    media = ImageLoader(
        fetcher,
        decode_options,
        workers=settings.decode_workers or _default_workers(),
        limits=DecodeLimits(
            memory_bytes=settings.decode_memory_bytes,
            cpu_s=settings.decode_cpu_s,
            wall_s=settings.decode_timeout_s,
        ),
        variant=f"{checkpoint!r} {decode_options!r}",
        metrics=metrics,
    )
    stack.callback(media.close)
    grammars = GrammarValidator(checkpoint.path)
    stack.callback(grammars.close)
    vision = VisionBatcher(vision_model, max_views=settings.vision_batch_size, metrics=metrics)
    stack.callback(vision.close)
    cache_bytes = settings.image_cache_bytes
    if cache_bytes is None:
        cache_bytes = _default_image_cache_bytes(checkpoint)
    return Pipeline(
        model_name=model_name,
        adapters=frozenset(settings.lora_adapters),
        image_limits=ImageLimits(
            max_images=settings.max_images,
            max_pixels=settings.max_request_pixels,
            fetch_timeout_s=settings.request_fetch_timeout_s,
        ),
        temperature=checkpoint.text.temperature,
        top_p=checkpoint.text.top_p,
        media=media,
        vision=vision,
        cache=ImageEmbedsCache(cache_bytes, metrics),
        prompt=PromptBuilder(prompts, engine.max_model_len, native_tools=parser is not None),
        tool_parser=parser,
        grammars=grammars,
        vocabulary=Vocabulary(checkpoint.path),
        engine=engine,
        metrics=metrics,
    )


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
    )


def start_engine(
    settings: Settings,
    checkpoint: Checkpoint,
    model_name: str,
    device: torch.device,
    adapters: Sequence[LoraAdapter] = (),
) -> Engine:
    """Start the engine as the settings and the device ask for; blocks for many seconds.

    What vLLM reads from the environment is set in this process's own.
    """
    # Read by vLLM when it is imported, which takes seconds and therefore happens here.
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(settings.cpu_kv_cache_gib)
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    # vLLM 0.32 writes what it compiled ahead of time for a CPU but cannot read it, so that every
    # start compiles anew; PyTorch's own cache of compiled code works.
    if device.type == "cpu":
        os.environ.setdefault("VLLM_USE_AOT_COMPILE", "0")
    # A fork would inherit the locks of this process's threads, and on a GPU its CUDA state.
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"
    from server.engine.vllm.arguments import VllmOptions
    from server.engine.vllm.engine import VllmEngine

    # The engine's processes inherit this: Ctrl-C reaches all processes of a terminal, and must not
    # end an engine whose requests may still finish. (To start its tracker, multiprocessing would
    # let the signal through again, so that comes first.)
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    eager = settings.enforce_eager
    return VllmEngine(
        VllmOptions(
            model=checkpoint.path,
            model_name=model_name,
            dtype=checkpoint.dtype,
            has_image_newline=stores_image_newline(checkpoint.path),
            max_model_len=settings.max_model_len,
            max_num_seqs=settings.max_num_seqs,
            # An image is handed over in one step.
            max_num_batched_tokens=max(
                settings.max_num_batched_tokens, checkpoint.max_image_tokens
            ),
            enforce_eager=not _can_compile(device) if eager is None else eager,
            gpu_memory_utilization=settings.gpu_memory_utilization,
            drain_timeout_s=settings.drain_timeout_s,
            adapters=adapters,
            max_loras=settings.max_loras,
        )
    )


async def _warm_up(pipeline: Pipeline, model_name: str) -> None:
    """Answer about a small picture, so that the first client does not pay for first times.

    The second answer has what vLLM sets up when it is first asked for: a grammar, log
    probabilities. The figures go to a registry of their own: it is not traffic.
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
    rarer = {"structured_outputs": {"regex": "a*"}, "logprobs": True, "top_logprobs": 1}
    for wishes in (body, body | rarer):
        request = parse_chat_request(json.dumps(wishes).encode())
        async for _ in await pipeline.generate(request, RequestRecord("warm-up", Metrics())):
            pass


def _accelerator(settings: Settings) -> str:
    if settings.accelerator != "auto":
        return settings.accelerator
    return "cuda" if torch.cuda.is_available() else "cpu"


def _can_compile(device: torch.device) -> bool:
    """Tell whether vLLM can compile the model: on a CPU PyTorch needs a C++ compiler to do so."""
    return device.type != "cpu" or shutil.which(os.environ.get("CXX", "g++")) is not None


def _default_image_cache_bytes(checkpoint: Checkpoint) -> int:
    """Return room for a thousand images of the model, within reason."""
    rows = checkpoint.max_image_tokens * checkpoint.vision.text_hidden_size
    itemsize: int = getattr(torch, checkpoint.dtype).itemsize
    return min(CACHED_IMAGES * rows * itemsize, MAX_IMAGE_CACHE_BYTES)


def _default_workers() -> int:
    return max(MIN_DECODE_WORKERS, min(_spare_cores(), MAX_DECODE_WORKERS))


def _spare_cores() -> int:
    """Return the CPU cores less the one that the engine keeps busy."""
    return max(1, len(os.sched_getaffinity(0)) - 1)
