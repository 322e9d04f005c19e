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
from benchmarks.suites import SUITES
from benchmarks.systems import CPU_KV_CACHE_GIB, GPU_MEMORY_UTILIZATION, ServedModel
from benchmarks.workloads import PHOTO_PX, SMALL_PX, WEB_PX, ClientGroup, Workload
from server.checkpoint.config import Checkpoint, read_checkpoint
from server.engine.base import Engine, EngineImage, SamplingOptions
from server.engine_loading import configure_engine, start_engine
from server.images.vision.image_tokens import count_image_tokens
from server.prompt.builder import PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.tokenizer import read_tokenizer
from server.prompt.turns import split_turns
from server.protocol.chat.request import parse_chat_request
from server.settings import Settings

# The (width, height) of each workload's images, of those that the engine alone can run.
IMAGE_SIZES: Final = {
    "W1": None,
    "W2": None,
    "W3": (SMALL_PX, SMALL_PX),
    "W4": WEB_PX,
    "W5": PHOTO_PX,
    "W6": PHOTO_PX,
}
WORKLOADS_WITH_REPEATED_IMAGE: Final = frozenset({"W6"})
PROMPTS_PER_CLIENT: Final = 100

ImageBuilder = Callable[[list[int]], list[EngineImage]]


@dataclass(slots=True)
class EngineClients:
    """The clients of one workload and their answers."""

    group: ClientGroup
    prompts: Iterator[list[int]]
    images: ImageBuilder
    answers: list[float] = field(default_factory=list)  # end times


@dataclass(frozen=True, slots=True)
class InputBuilder:
    """Prepares the prompts and images of workloads, as the server would for this checkpoint."""

    checkpoint: Checkpoint
    prompts: PromptBuilder
    model_name: str
    numbers: Iterator[int]  # of questions: no two are equal

    def build_clients(self, work: Workload) -> EngineClients:
        """Prepare the clients of a workload."""
        group, size = work.groups[0], IMAGE_SIZES[work.name]
        num_image_tokens = size and count_image_tokens(
            size, self.checkpoint.vision, self.checkpoint.image
        )
        return EngineClients(
            group,
            self._build_prompts(group, [num_image_tokens] if num_image_tokens else []),
            self._build_images(work, num_image_tokens) if num_image_tokens else lambda _: [],
        )

    def _build_prompts(self, group: ClientGroup, image_tokens: list[int]) -> Iterator[list[int]]:
        """Cycle over the load generator's questions, rendered as the server renders them."""
        options = RequestOptions(self.model_name, group.max_tokens, group.stream)
        parts = [build_image_part(b"") for _ in image_tokens]
        rendered = []
        for number in itertools.islice(self.numbers, group.clients * PROMPTS_PER_CLIENT):
            message = build_user_message(build_question(number), parts)
            turns = split_turns(parse_chat_request(build_body([message], options)).messages)
            rendered.append(self.prompts.build(turns, image_tokens).token_ids)
        return itertools.cycle(rendered)

    def _build_images(self, work: Workload, num_image_tokens: int) -> ImageBuilder:
        image_embeds = torch.zeros(
            num_image_tokens, self.checkpoint.vision.text_hidden_size, dtype=torch.bfloat16
        )
        image_token = self.checkpoint.text.image_token_id
        repeated_key = uuid.uuid4().hex if work.name in WORKLOADS_WITH_REPEATED_IMAGE else None

        def images(prompt: list[int]) -> list[EngineImage]:
            key = repeated_key or uuid.uuid4().hex
            return [EngineImage(key, prompt.index(image_token), image_embeds)]

        return images


def main(
    names: Annotated[list[str], typer.Argument(help="workloads, e.g. W1")],
    suite: Annotated[str, typer.Option(help="the workloads'")],
    model: Annotated[
        ServedModel, typer.Option(parser=ServedModel.from_json, help="what is served, as JSON")
    ],
    window_s: Annotated[float, typer.Option(help="time that counts, in seconds")],
    warm_up_s: Annotated[float, typer.Option(help="time before it, in seconds")],
    eager: Annotated[bool, typer.Option(help="do not compile the language model")] = False,
) -> None:
    """Measure the engine alone."""
    checkpoint = read_checkpoint(model.path)
    device = torch.device("cuda" if model.on_gpu else "cpu")
    settings = _build_settings(model, eager=eager)
    engine = start_engine(configure_engine(settings, checkpoint, model.name, device))
    try:
        inputs = create_input_builder(checkpoint, model)
        work = [SUITES[suite].find(name) for name in names]
        uvloop.run(_measure(engine, inputs, work, window_s, warm_up_s))
    finally:
        engine.close()
    sys.stdout.flush()
    os._exit(0)  # as the server exits: finalizing torch and vLLM takes seconds and logs errors


def _build_settings(model: ServedModel, *, eager: bool) -> Settings:
    """Return the settings that our server has under test."""
    on_device = (
        {"gpu_memory_utilization": GPU_MEMORY_UTILIZATION}
        if model.on_gpu
        else {"cpu_kv_cache_gib": CPU_KV_CACHE_GIB}
    )
    return Settings(
        model=str(model.path),
        max_model_len=model.max_model_len,
        max_num_seqs=model.max_num_seqs,
        max_num_batched_tokens=model.max_num_batched_tokens,
        enforce_eager=eager,
        **on_device,
    )


def create_input_builder(checkpoint: Checkpoint, model: ServedModel) -> InputBuilder:
    """Create the builder for a checkpoint, with the prompt format that the server chooses."""
    chat = choose_prompt_format(read_tokenizer(checkpoint.path), checkpoint.text, None)
    prompts = PromptBuilder(chat, model.max_model_len)
    return InputBuilder(checkpoint, prompts, model.name, itertools.count())


async def _measure(
    engine: Engine,
    inputs: InputBuilder,
    workloads: Sequence[Workload],
    window_s: float,
    warm_up_s: float,
) -> None:
    for each in workloads:
        clients = inputs.build_clients(each)
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
