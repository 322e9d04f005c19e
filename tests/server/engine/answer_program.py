"""A program that answers through the server's stages and vLLM, and writes tokens and logprobs.

A process of its own, since vLLM's front end leaves sockets and settings behind. Its arguments are a
checkpoint, a file for the answers, and settings in JSON. It ends when its input does.
"""

import asyncio
import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from torch import Tensor

from server.checkpoint.config import Checkpoint, read_checkpoint
from server.engine.base import EngineImage
from server.engine_loading import configure_engine, start_engine
from server.images.decode.decode import DecodedImage, decode
from server.images.vision.weights import load_vision_model
from server.media_loading import build_decode_options
from server.prompt.builder import PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.tokenizer import read_tokenizer
from server.prompt.turns import split_turns
from server.protocol.chat.messages import Message
from server.settings import Settings
from tests.server.pictures import build_data_url, encode_image, make_photo

NUM_TOKENS: Final = 12
CPU = torch.device("cpu")
PICTURES = [
    make_photo(100, 60, 1),
    make_photo(60, 100, 2),
    make_photo(64, 64, 3),
    make_photo(300, 40, 4),
]


@dataclass(frozen=True)
class Answer:
    """A prompt, the greedy answer to it, and the logprob of each of its tokens."""

    prompt: list[int]
    tokens: list[int]
    logprobs: list[float]


@dataclass(frozen=True)
class Conversation:
    """Pictures, and turns about them: questions with the answers in between."""

    pictures: Sequence[Image.Image]
    turns: Sequence[str]

    def messages(self) -> list[Message]:
        """Return the messages, with all pictures in the first turn."""
        images = [
            {"type": "image_url", "image_url": {"url": build_data_url(b"x")}} for _ in self.pictures
        ]
        roles = ("user", "assistant")
        return [
            Message.model_validate(
                {
                    "role": roles[index % 2],
                    "content": [*([] if index else images), {"type": "text", "text": text}],
                }
            )
            for index, text in enumerate(self.turns)
        ]


CONVERSATIONS = [
    Conversation([], ["Hello."]),
    *(Conversation([picture], ["What color is it?"]) for picture in PICTURES),
    Conversation(PICTURES[:2], ["What do they show?"]),
    Conversation(PICTURES[3:0:-1], ["What shape is it?", "A circle.", "How many are there?"]),
]


class ServedCheckpoint:
    """A checkpoint behind the stages of the server, down to vLLM."""

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        self._options = build_decode_options(settings, checkpoint.image)
        dtype = getattr(torch, checkpoint.resolve_dtype(settings.dtype, on_cpu=True))
        self._vision = load_vision_model(checkpoint, CPU, dtype)
        self.engine: Any = start_engine(configure_engine(settings, checkpoint, "m", CPU))
        tokenizer = read_tokenizer(checkpoint.path)
        self._prompt = PromptBuilder(
            choose_prompt_format(tokenizer, checkpoint.text), self.engine.max_model_len
        )

    def embed(self, picture: Image.Image) -> Tensor:
        """Return the image embeddings of a picture, from its encoded bytes."""
        decoded = decode(encode_image(picture), self._options)
        assert isinstance(decoded, DecodedImage)
        image_embeds = self._vision(torch.from_numpy(decoded.views.copy()))
        return self._vision.merge(image_embeds, decoded.image_size)

    async def generate_answer(self, index: int) -> Answer:
        """Return the engine's greedy answer."""
        # These read environment variables that `start_engine` sets.
        from vllm.sampling_params import SamplingParams

        from server.engine.vllm.inputs import build_engine_input

        conversation = CONVERSATIONS[index]
        embeds = [self.embed(picture) for picture in conversation.pictures]
        prompt = self._prompt.build(
            split_turns(conversation.messages()), [len(each) for each in embeds]
        )
        images = [
            EngineImage(f"{index}-{number}", placeholder.offset, image_embeds)
            for number, (placeholder, image_embeds) in enumerate(
                zip(prompt.placeholders, embeds, strict=True)
            )
        ]
        params = SamplingParams(max_tokens=NUM_TOKENS, temperature=0, logprobs=1, ignore_eos=True)
        engine_input = build_engine_input(
            prompt.token_ids, images, self.engine._hidden_size, max_item_tokens=2048
        )
        generated = self.engine._llm.generate(engine_input, params, str(index))
        answer = [output.outputs[0] async for output in generated][-1]
        logprobs = [
            step[token].logprob
            for step, token in zip(answer.logprobs, answer.token_ids, strict=True)
        ]
        return Answer(prompt.token_ids, list(answer.token_ids), logprobs)


async def answer_all(served: ServedCheckpoint) -> list[Answer]:
    """Answer all at once, so that one engine step gets images of unequal lengths."""
    return await asyncio.gather(*map(served.generate_answer, range(len(CONVERSATIONS))))


def write_answers(file: Path, answers: Sequence[Answer]) -> None:
    """Write the answers, then say so."""
    file.write_text(json.dumps([dataclasses.asdict(answer) for answer in answers]))
    print("answered", flush=True)


async def main(folder: Path, file: Path, settings: dict[str, Any]) -> None:
    """Answer, write the answers, and wait for the end of the input."""
    settings = {"cpu_kv_cache_gib": 1, "accelerator": "cpu", **settings}
    served = ServedCheckpoint(read_checkpoint(folder), Settings(**settings))
    try:
        write_answers(file, await answer_all(served))
        sys.stdin.read()
    finally:
        served.engine.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])))
