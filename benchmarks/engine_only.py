"""The engine alone: started in this process as the server starts it, and fed finished inputs.

No HTTP, no images to decode, no prompts to render: what no front end can exceed on this machine.
For each workload named on the command line it prints what `benchmarks.load_generator` prints.
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

from benchmarks.requests import Options, body, picture_part, question, user_turn
from benchmarks.systems import CPU_KV_CACHE_GIB, MAX_MODEL_LEN, MODEL, MODEL_NAME
from benchmarks.workloads import Group, Workload, workload
from server.checkpoint.config import Checkpoint, read_checkpoint
from server.engine.base import Engine, EngineImage, SamplingOptions
from server.loading import start_engine
from server.prompt.builder import PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.tokenizer import read_tokenizer
from server.prompt.turns import split_turns
from server.protocol.chat.request import parse_chat_request
from server.settings import Settings

# The workloads that ask the engine alone for the same work: image rows to one image.
IMAGE_ROWS: Final = {"W1": 0, "W2": 0, "W3": 64, "W6": 64}
REPEATED: Final = frozenset({"W6"})
PROMPTS: Final = 1000

Images = Callable[[list[int]], list[EngineImage]]


@dataclass(slots=True)
class Clients:
    """What the clients of one workload do, and how many answers they had."""

    group: Group
    prompts: Iterator[list[int]]
    images: Images
    answers: list[float] = field(default_factory=list)  # when each ended


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
    engine = start_engine(settings, checkpoint, MODEL_NAME, torch.device("cpu"))
    try:
        work = [workload(name) for name in names]
        uvloop.run(_measure(engine, checkpoint, work, window_s, warm_up_s))
    finally:
        engine.close()
    sys.stdout.flush()
    os._exit(0)  # as the server ends: taking torch and vLLM apart takes seconds and complains


async def _measure(
    engine: Engine,
    checkpoint: Checkpoint,
    workloads: Sequence[Workload],
    window_s: float,
    warm_up_s: float,
) -> None:
    for each in workloads:
        clients = Clients(each.groups[0], _prompts(each, checkpoint), _images(each, checkpoint))
        await _drive(engine, clients, window_s * each.length, warm_up_s)
        rate = len(clients.answers) / (window_s * each.length)
        figures = {
            "requests": len(clients.answers),
            "requests_per_s": rate,
            "tokens_per_s": rate * clients.group.max_tokens,
        }
        print(json.dumps({"workload": each.name, "figures": figures}), flush=True)


async def _drive(engine: Engine, clients: Clients, window_s: float, warm_up_s: float) -> None:
    begins = time.perf_counter() + warm_up_s
    ends = begins + window_s
    await asyncio.gather(*(_client(engine, clients, ends) for _ in range(clients.group.clients)))
    clients.answers = [ended for ended in clients.answers if begins <= ended < ends]


async def _client(engine: Engine, clients: Clients, ends: float) -> None:
    sampling = _sampling(clients.group.max_tokens)
    while time.perf_counter() < ends:
        prompt = next(clients.prompts)
        outputs = engine.generate(
            uuid.uuid4().hex,
            prompt,
            clients.images(prompt),
            sampling,
            stream=clients.group.stream,
        )
        async for _ in outputs:
            pass
        clients.answers.append(time.perf_counter())


def _prompts(each: Workload, checkpoint: Checkpoint) -> Iterator[list[int]]:
    """Return the load's own questions, rendered as the server renders them, over and over."""
    group = each.groups[0]
    rows = IMAGE_ROWS[each.name]
    chat = choose_prompt_format(read_tokenizer(checkpoint.path), checkpoint.text, None)
    builder = PromptBuilder(chat, MAX_MODEL_LEN)
    options = Options(MODEL_NAME, group.max_tokens, group.stream)
    parts = [picture_part(b"")] if rows else []
    rendered = []
    for number in range(PROMPTS):
        request = parse_chat_request(body([user_turn(question(number), parts)], options))
        rendered.append(
            builder.build(split_turns(request.messages), [rows] if rows else []).token_ids
        )
    return itertools.cycle(rendered)


def _images(each: Workload, checkpoint: Checkpoint) -> Images:
    rows = IMAGE_ROWS[each.name]
    if not rows:
        return lambda _: []
    image_embeds = torch.zeros(rows, checkpoint.vision.text_hidden_size, dtype=torch.bfloat16)
    image_token = checkpoint.text.image_token_id
    same = uuid.uuid4().hex if each.name in REPEATED else None

    def images(prompt: list[int]) -> list[EngineImage]:
        return [EngineImage(same or uuid.uuid4().hex, prompt.index(image_token), image_embeds)]

    return images


def _sampling(max_tokens: int) -> SamplingOptions:
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
