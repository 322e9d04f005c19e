"""Builds the pipeline: engine process, vision model, decode workers; then a warm-up request."""

import base64
import io
import json
from contextlib import AsyncExitStack
from functools import partial

import torch
from PIL import Image

from server.checkpoint.adapters import read_lora_adapters
from server.checkpoint.config import Checkpoint
from server.checkpoint.verification import verify_files
from server.checkpoint.vocabulary import Vocabulary
from server.concurrency import LongCalls
from server.devices import choose_accelerator, choose_vision_device
from server.engine.base import Engine
from server.engine_loading import configure_engine, start_engine
from server.generation.sampling import SamplingDefaults
from server.images.budget import MediaLimits
from server.images.vision.graph_runner import GraphRunner
from server.images.vision.runner import EagerRunner, VisionRunner
from server.images.vision.threads import AdaptiveThreads
from server.images.vision.tower import VisionModel
from server.images.vision.weights import load_vision_model
from server.media_loading import connect_media
from server.pipeline import Pipeline
from server.process.defaults import count_gpus
from server.process.machine import count_cores, count_spare_cores
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
    vision_device = choose_vision_device(settings)
    watch_gpu_memory(metrics, device, count_gpus(settings))
    adapters = read_lora_adapters(settings.lora_adapters, model_name, *aliases)
    start = await loading.run(
        partial(configure_engine, vision_device=vision_device, traces=traces),
        settings,
        checkpoint,
        model_name,
        device,
        adapters,
    )
    on_cpu = device.type == "cpu"
    dtype = getattr(torch, checkpoint.resolve_dtype(settings.dtype, on_cpu=on_cpu))
    vision_model = await loading.run(load_vision_model, checkpoint, vision_device, dtype)
    runner = await loading.run(_build_vision_runner, settings, vision_model)
    engine = await loading.run(start_engine, start)
    stack.callback(engine.close)
    await engine.load_adapters()
    _set_threads(settings, vision_model, engine)
    pipeline = _connect(settings, checkpoint, model_name, metrics, engine, runner, prompts, stack)
    await _warm_up(pipeline, model_name)
    return pipeline, engine


def _build_vision_runner(settings: Settings, model: VisionModel) -> VisionRunner:
    if settings.vision_cuda_graphs:
        return GraphRunner(model, max_views=settings.vision_batch_size)
    return EagerRunner(model)


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
    runner: VisionRunner,
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
    images, videos = connect_media(settings, checkpoint, metrics, runner, stack)
    return Pipeline(
        model_name=model_name,
        aliases=settings.served_model_names[1:],
        adapters=frozenset(settings.lora_adapters),
        media_limits=MediaLimits(
            max_images=settings.max_images,
            max_pixels=settings.max_request_pixels,
            fetch_timeout_s=settings.request_fetch_timeout_s,
            max_model_len=engine.max_model_len,
            max_videos=settings.max_videos,
        ),
        sampling_defaults=SamplingDefaults(checkpoint.text.temperature, checkpoint.text.top_p),
        images=images,
        videos=videos,
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
    image_token, video_token = prompts.media_tokens
    return RequestTemplates(checkpoint.text.special_tokens, image_token, video_token)


def _prompt_format(settings: Settings, checkpoint: Checkpoint) -> PromptFormat:
    return choose_prompt_format(
        read_tokenizer(checkpoint.path), checkpoint.text, settings.conv_mode
    )


async def _warm_up(pipeline: Pipeline, model_name: str) -> None:
    """Answer two requests about a small image, so that no client pays for lazy initialisation.

    The second request uses a grammar and log probabilities, which vLLM sets up on first use.
    Metrics go to a separate registry, since this is not traffic.
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
