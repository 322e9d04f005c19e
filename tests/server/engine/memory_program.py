"""A program that sends many images of a 7B model's size to vLLM, and writes what that took.

Its arguments are a folder for the checkpoint, a file for the figures, and the number of images.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psutil
import torch
from torch import Tensor
from transformers import CLIPVisionConfig, LlamaConfig, LlavaNextConfig

from server.checkpoint.config import read_checkpoint
from server.engine.base import EngineImage, SamplingOptions
from server.engine.vllm.inputs import build_engine_input
from server.engine_loading import configure_engine, start_engine
from server.settings import Settings
from tests.server.engine.checkpoints import PINPOINTS, TEXT, write_language_model

IMAGE_TOKENS, HIDDEN_SIZE = 576, 4096
IMAGE_BYTES: Final = IMAGE_TOKENS * HIDDEN_SIZE * 2
# Of these the engine's process keeps a quarter: 64 MiB, or 14 images.
IMAGE_CACHE_MIB: Final = 256
IMAGE_TOKEN: Final = 4
SAMPLING = SamplingOptions(4, temperature=0, top_p=1, seed=None, stop=(), ignore_eos=True)
CLIP_L = CLIPVisionConfig(
    hidden_size=1024,
    intermediate_size=4096,
    num_hidden_layers=24,
    num_attention_heads=16,
    image_size=336,
    patch_size=14,
)


def write_wide_checkpoint(folder: Path) -> None:
    """Write a language model as wide as a 7B model's, but of one thin layer, without a tower."""
    narrow = {"intermediate_size": 64, "num_hidden_layers": 1, "num_key_value_heads": 1}
    wide = {"hidden_size": HIDDEN_SIZE, "head_dim": 64, "max_position_embeddings": 8192}
    text = LlamaConfig(**{**TEXT, **narrow, **wide})
    config = LlavaNextConfig(
        vision_config=CLIP_L,
        text_config=text,
        image_token_index=IMAGE_TOKEN,
        image_grid_pinpoints=PINPOINTS,
    )
    write_language_model(folder, config, image_aspect_ratio="pad", dtype="bfloat16")


class EngineUnderTest:
    """The server's engine on that checkpoint, and the bytes of images that it is sent."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(
            accelerator="cpu",
            cpu_kv_cache_gib=1,
            enforce_eager=True,
            max_model_len=1024 * 6,
            max_num_seqs=8,
            image_cache_mib=IMAGE_CACHE_MIB,
        )
        start = configure_engine(settings, read_checkpoint(folder), "m", torch.device("cpu"))
        self.engine: Any = start_engine(start)
        self.sent_bytes = 0
        self._count_sent_bytes()

    def _count_sent_bytes(self) -> None:
        core = self.engine._llm.engine_core
        add_request = core.add_request_async

        async def add_and_count(request: Any) -> None:
            self.sent_bytes += sum(
                each.data["image_embeds"].data.nbytes for each in request.mm_features if each.data
            )
            await add_request(request)

        core.add_request_async = add_and_count

    async def answer(self, images: Sequence[tuple[str, Tensor]]) -> list[int]:
        """Return the greedy tokens of a prompt with these images."""
        token_ids, placed = build_prompt(images)
        outputs = self.engine.generate(
            f"r{self.sent_bytes}",
            token_ids,
            placed,
            SAMPLING,
            stream=False,
            cache_partition="",
        )
        return [token async for output in outputs for token in output.token_ids]

    def memory_mib(self) -> float:
        """Return the resident memory of the engine's process."""
        children = psutil.Process().children(recursive=True)
        (core,) = (each for each in children if "EngineCore" in each.name())
        return float(core.memory_info().rss / 2**20)


def build_prompt(images: Sequence[tuple[str, Tensor]]) -> tuple[list[int], list[EngineImage]]:
    """Return a prompt's tokens and its images."""
    token_ids, placed = [5], []
    for key, image_embeds in images:
        placed.append(EngineImage(key, len(token_ids), image_embeds))
        token_ids += [IMAGE_TOKEN] * IMAGE_TOKENS
    return [*token_ids, 6, 7], placed


def make_image(seed: int) -> Tensor:
    """Return random image_embeds."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(IMAGE_TOKENS, HIDDEN_SIZE, generator=generator).bfloat16()


async def measure_chat(tested: EngineUnderTest) -> list[float]:
    """Return how many images each turn of a chat sends, whose history grows by one a turn."""
    images = [(f"turn {number}", make_image(number)) for number in range(8)]
    sent = []
    for turn in range(1, 9):
        before = tested.sent_bytes
        await tested.answer(images[:turn])
        sent.append((tested.sent_bytes - before) / IMAGE_BYTES)
    return sent


async def measure_miss(tested: EngineUnderTest) -> dict[str, Any]:
    """Return the answers with an image that the engine only seems to hold, and with it sent."""
    known, image = make_image(1), make_image(99)
    token_ids, placed = build_prompt([("known", known), ("lost", image)])
    tested.engine._sent.leave_out_held(
        build_engine_input(token_ids, placed, HIDDEN_SIZE, max_item_tokens=2048)
    )
    missed = await tested.answer([("known", known), ("lost", image)])
    return {"missed": missed, "sent": await tested.answer([("other", known), ("new", image)])}


async def measure_memory(tested: EngineUnderTest, num_images: int) -> list[float]:
    """Return the engine's memory after each eighth of so many images."""
    base, memory = make_image(0), []
    for number in range(num_images):
        await tested.answer([(f"image {number}", base.clone())])
        if (number + 1) % (num_images // 8) == 0:
            memory.append(tested.memory_mib())
    return memory


async def measure(folder: Path, num_images: int) -> dict[str, Any]:
    """Return all figures."""
    tested = EngineUnderTest(folder)
    try:
        start = tested.memory_mib()
        chat = await measure_chat(tested)
        miss = await measure_miss(tested)
        memory = await measure_memory(tested, num_images)
    finally:
        tested.engine.close()
    return {"start": start, "chat": chat, "memory": memory, **miss}


if __name__ == "__main__":
    checkpoint, file = Path(sys.argv[1]), Path(sys.argv[2])
    write_wide_checkpoint(checkpoint)
    file.write_text(json.dumps(asyncio.run(measure(checkpoint, int(sys.argv[3])))))
