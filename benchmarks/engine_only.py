"""Benchmarks the engine alone: the server's engine in this process, with prepared inputs.

Without HTTP, image decoding and prompt rendering, it is an upper bound for any front end on this
machine. For each workload it prints a line of figures, as `benchmarks.load_generator` does.
"""

import asyncio
import itertools
import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

import torch
import typer
import uvloop

from benchmarks.requests import (
    RequestOptions,
    build_body,
    build_image_part,
    build_question,
    build_user_message,
)
from benchmarks.systems import CPU_KV_CACHE_GIB, MAX_MODEL_LEN, MODEL, MODEL_NAME
from benchmarks.workloads import ClientGroup, Workload, find_workload
from server.checkpoint.config import Checkpoint, read_checkpoint
from server.engine.base import Engine, EngineImage, SamplingOptions
from server.engine_loading import configure_engine, start_engine
from server.prompt.builder import PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.tokenizer import read_tokenizer
from server.prompt.turns import split_turns
from server.protocol.chat.request import parse_chat_request
from server.settings import Settings

# Image tokens of each workload that the engine alone can run.
IMAGE_TOKENS: Final = {"W1": 0, "W2": 0, "W3": 64, "W6": 64}
WORKLOADS_WITH_REPEATED_IMAGE: Final = frozenset({"W6"})
NUM_PROMPTS: Final = 1000

ImageBuilder = Callable[[list[int]], list[EngineImage]]


@dataclass(slots=True)
class EngineClients:
    """The clients of one workload and their answers."""

    group: ClientGroup
    prompts: Iterator[list[int]]
    images: ImageBuilder
    answers: list[float] = field(default_factory=list)  # end times


def main(
    names: Annotated[list[str], typer.Argument(help="workloads, e.g. W1")],
    window_s: Annotated[float, typer.Option(help="time that counts, in seconds")],
    warm_up_s: Annotated[float, typer.Option(help="time before it, in seconds")],
    eager: Annotated[bool, typer.Option(help="do not compile the language model")] = False,
) -> None:
    """Measure the engine alone."""
    settings = Settings(
        model=str(MODEL),
        max_model_len=MAX_MODEL_LEN,
        cpu_kv_cache_gib=CPU_KV_CACHE_GIB,
        enforce_eager=eager,
    )
    checkpoint = read_checkpoint(MODEL)
    engine = start_engine(configure_engine(settings, checkpoint, MODEL_NAME, torch.device("cpu")))
    try:
        work = [find_workload(name) for name in names]
        uvloop.run(_measure(engine, checkpoint, work, window_s, warm_up_s))
    finally:
        engine.close()
    sys.stdout.flush()
    os._exit(0)  # as the server exits: finalizing torch and vLLM takes seconds and logs errors


async def _measure(
    engine: Engine,
    checkpoint: Checkpoint,
    workloads: Sequence[Workload],
    window_s: float,
    warm_up_s: float,
) -> None:
    for each in workloads:
        clients = EngineClients(
            each.groups[0], _build_prompts(each, checkpoint), _build_images(each, checkpoint)
        )
        await _run_clients(engine, clients, window_s * each.length, warm_up_s)
        rate = len(clients.answers) / (window_s * each.length)
        figures = {
            "requests": len(clients.answers),
            "requests_per_s": rate,
            "tokens_per_s": rate * clients.group.max_tokens,
        }
        print(json.dumps({"workload": each.name, "figures": figures}), flush=True)


async def _run_clients(
    engine: Engine, clients: EngineClients, window_s: float, warm_up_s: float
) -> None:
    starts_at = time.perf_counter() + warm_up_s
    ends_at = starts_at + window_s
    await asyncio.gather(
        *(_run_client(engine, clients, ends_at) for _ in range(clients.group.clients))
    )
    clients.answers = [ended for ended in clients.answers if starts_at <= ended < ends_at]


async def _run_client(engine: Engine, clients: EngineClients, ends_at: float) -> None:
    sampling = _build_sampling_options(clients.group.max_tokens)
    while time.perf_counter() < ends_at:
        prompt = next(clients.prompts)
        outputs = engine.generate(
            uuid.uuid4().hex,
            prompt,
            clients.images(prompt),
            sampling,
            stream=clients.group.stream,
            cache_partition="",
        )
        async for _ in outputs:
            pass
        clients.answers.append(time.perf_counter())


def _build_prompts(each: Workload, checkpoint: Checkpoint) -> Iterator[list[int]]:
    """Cycle over the load generator's questions, rendered as the server renders them."""
    group = each.groups[0]
    num_image_tokens = IMAGE_TOKENS[each.name]
    chat = choose_prompt_format(read_tokenizer(checkpoint.path), checkpoint.text, None)
    builder = PromptBuilder(chat, MAX_MODEL_LEN)
    options = RequestOptions(MODEL_NAME, group.max_tokens, group.stream)
    parts = [build_image_part(b"")] if num_image_tokens else []
    rendered = []
    for number in range(NUM_PROMPTS):
        request = parse_chat_request(
            build_body([build_user_message(build_question(number), parts)], options)
        )
        rendered.append(
            builder.build(
                split_turns(request.messages), [num_image_tokens] if num_image_tokens else []
            ).token_ids
        )
    return itertools.cycle(rendered)


def _build_images(each: Workload, checkpoint: Checkpoint) -> ImageBuilder:
    num_image_tokens = IMAGE_TOKENS[each.name]
    if not num_image_tokens:
        return lambda _: []
    image_embeds = torch.zeros(
        num_image_tokens, checkpoint.vision.text_hidden_size, dtype=torch.bfloat16
    )
    image_token = checkpoint.text.image_token_id
    repeated_key = uuid.uuid4().hex if each.name in WORKLOADS_WITH_REPEATED_IMAGE else None

    def images(prompt: list[int]) -> list[EngineImage]:
        return [
            EngineImage(repeated_key or uuid.uuid4().hex, prompt.index(image_token), image_embeds)
        ]

    return images


def _build_sampling_options(max_tokens: int) -> SamplingOptions:
    return SamplingOptions(
        max_tokens=max_tokens,
        temperature=0,
        top_p=1,
        seed=None,
        stop=(),
        ignore_eos=False,
        min_tokens=max_tokens,
    )


if __name__ == "__main__":
    typer.run(main)
