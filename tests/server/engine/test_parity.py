"""Greedy tokens and their logprobs, real engine and stages against transformers, in float32."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from server.checkpoint import Checkpoint, read_checkpoint
from server.engine.base import EngineImage
from server.loading import _decode_options, _start_engine
from server.media.decode import Decoded, decode
from server.prompt import PromptBuilder, read_tokenizer
from server.protocol.messages import Message
from server.settings import Settings
from server.vision.weights import load_vision_model
from tests.server.engine.checkpoints import (
    LLAMA,
    MISTRAL,
    linear_llava,
    llava_next,
    write_checkpoint,
)
from tests.server.media.test_image_processor import square
from tests.server.pictures import data_url, encoded, photo
from tests.server.released import Pixels, anyres_views
from tests.server.vision.test_tower import normalised

NUM_TOKENS = 12
CPU = torch.device("cpu")
# What starting an engine sets for its processes.
VARIABLES = (
    "VLLM_CPU_KVCACHE_SPACE",
    "VLLM_NO_USAGE_STATS",
    "DO_NOT_TRACK",
    "VLLM_LOGGING_LEVEL",
    "VLLM_WORKER_MULTIPROC_METHOD",
)
PICTURES = [photo(100, 60, 1), photo(60, 100, 2), photo(64, 64, 3), photo(300, 40, 4)]


@dataclass(frozen=True)
class Conversation:
    """What is asked about which pictures; answers between the questions are given."""

    pictures: Sequence[Image.Image]
    turns: Sequence[str]

    def messages(self) -> list[Message]:
        """Put all pictures into the first turn."""
        images = [
            {"type": "image_url", "image_url": {"url": data_url(b"x")}} for _ in self.pictures
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


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "ERROR")


class Served:
    """A checkpoint behind the stages of the server, down to vLLM."""

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        self._options = _decode_options(settings, checkpoint.image)
        self._vision = load_vision_model(checkpoint, CPU)
        self.engine: Any = _start_engine(settings, checkpoint, "m", CPU)
        tokenizer = read_tokenizer(checkpoint.path)
        self._prompt = PromptBuilder(tokenizer, checkpoint.text, self.engine.max_model_len)

    def embed(self, picture: Image.Image) -> Tensor:
        """Go from encoded bytes to rows of the prompt."""
        decoded = decode(encoded(picture), self._options)
        assert isinstance(decoded, Decoded)
        image_embeds = self._vision(torch.from_numpy(decoded.views))
        return self._vision.merge(image_embeds, decoded.image_size)

    async def ask(self, index: int) -> tuple[list[int], list[int], list[float]]:
        """Return the prompt, the greedy answer and its logprobs."""
        from vllm.sampling_params import SamplingParams

        conversation = CONVERSATIONS[index]
        embeds = [self.embed(picture) for picture in conversation.pictures]
        prompt = self._prompt.build(conversation.messages(), [len(each) for each in embeds])
        images = [
            EngineImage(f"{index}-{number}", place.offset, rows)
            for number, (place, rows) in enumerate(zip(prompt.placeholders, embeds, strict=True))
        ]
        params = SamplingParams(max_tokens=NUM_TOKENS, temperature=0, logprobs=1, ignore_eos=True)
        engine_input = self.engine._engine_input(prompt.token_ids, images)
        async for output in self.engine._llm.generate(engine_input, params, str(index)):
            answer = output.outputs[0]
        logprobs = [
            step[token].logprob
            for step, token in zip(answer.logprobs, answer.token_ids, strict=True)
        ]
        return prompt.token_ids, list(answer.token_ids), logprobs


class Reference:
    """transformers, given the same tokens, and pixels as the released code makes them."""

    def __init__(self, model: Any, checkpoint: Checkpoint) -> None:
        self.model = model
        self._image, self._merge = checkpoint.image, checkpoint.vision.patch_merge

    def answer(
        self, token_ids: list[int], pictures: Sequence[Image.Image]
    ) -> tuple[list[int], list[float]]:
        """Return the greedy answer and its logprobs."""
        generated = self.model.generate(
            **self._inputs(torch.tensor([token_ids]), pictures),
            do_sample=False,
            min_new_tokens=NUM_TOKENS,
            max_new_tokens=NUM_TOKENS,
            eos_token_id=None,
            output_logits=True,
            return_dict_in_generate=True,
        )
        tokens = generated.sequences[0, -NUM_TOKENS:].tolist()
        steps = torch.stack(generated.logits)[:, 0].log_softmax(-1)
        return tokens, steps[range(NUM_TOKENS), tokens].tolist()

    def _inputs(self, token_ids: Tensor, pictures: Sequence[Image.Image]) -> dict[str, Tensor]:
        inputs = {"input_ids": token_ids, "attention_mask": torch.ones_like(token_ids)}
        if not pictures:
            return inputs
        views = [normalised(torch.from_numpy(self._views(picture))) for picture in pictures]
        if self._image.aspect_ratio == "pad":
            return {**inputs, "pixel_values": torch.cat(views)}
        if self._merge == "flat":  # which transformers does not know
            return {**inputs, "inputs_embeds": self._flat(token_ids, torch.cat(views))}
        sizes = torch.tensor([picture.size[::-1] for picture in pictures])
        padded = torch.nn.utils.rnn.pad_sequence(views, batch_first=True)
        return {**inputs, "pixel_values": padded, "image_sizes": sizes}

    def _views(self, picture: Image.Image) -> Pixels:
        if self._image.aspect_ratio == "anyres":
            return anyres_views(picture, self._image.size, self._image.grid_pinpoints)
        padded = Image.fromarray(square(np.asarray(picture)))
        size = self._image.size
        return np.asarray(padded.resize((size, size), Image.Resampling.BICUBIC))[None]

    def _flat(self, token_ids: Tensor, pixel_values: Tensor) -> Tensor:
        model = self.model.model
        hidden = model.vision_tower(pixel_values, output_hidden_states=True).hidden_states[-2]
        rows = model.multi_modal_projector(hidden[:, 1:]).flatten(0, 1)
        embeds: Tensor = self.model.get_input_embeddings()(token_ids)
        embeds[token_ids == self.model.config.image_token_index] = rows
        return embeds


CHECKPOINTS = {
    "linear": (linear_llava, {"mm_projector_type": "linear", "image_aspect_ratio": "pad"}),
    "spatial_unpad": (lambda: llava_next(MISTRAL), {}),
    "flat": (lambda: llava_next(LLAMA), {"mm_patch_merge_type": "flat"}),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
async def test_answers_equal_transformers(name: str, tmp_path: Path) -> None:
    make, said = CHECKPOINTS[name]
    model = make()
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, model, **said))
    reference = Reference(model, checkpoint)
    settings = Settings(cpu_kv_cache_gib=1, accelerator="cpu")
    served = await asyncio.to_thread(Served, checkpoint, settings)
    try:
        # All at once, so that images of unequal lengths meet in one step.
        answers = await asyncio.gather(*map(served.ask, range(len(CONVERSATIONS))))
    finally:
        served.engine.close()
    lengths = set()
    for conversation, (token_ids, tokens, logprobs) in zip(CONVERSATIONS, answers, strict=True):
        with torch.inference_mode():
            expected = reference.answer(token_ids, conversation.pictures)
        assert tokens == expected[0]
        torch.testing.assert_close(logprobs, expected[1], rtol=0, atol=1e-4)
        lengths.add(len(token_ids))
    assert len({tuple(tokens) for _, tokens, _ in answers}) == len(CONVERSATIONS)
    assert len(lengths) > 3
