"""Greedy tokens and their logprobs, real engine and stages against transformers, in float32."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from server.checkpoint.config import Checkpoint, read_checkpoint
from tests.server.engine.answer_program import CONVERSATIONS, NUM_TOKENS, Answer
from tests.server.engine.answering import run_answer_program
from tests.server.engine.checkpoints import (
    LLAMA,
    MISTRAL,
    llava_next,
    write_checkpoint,
)
from tests.server.images.decode.test_image_processor import pad_to_square
from tests.server.images.vision.test_tower import normalize
from tests.server.released import Pixels, anyres_views

EMBEDDED = Path(__file__).parents[3] / "model_store" / "llava-tiny"


class Reference:
    """transformers with the same tokens, and pixels preprocessed as by the released code."""

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
        views = [normalize(torch.from_numpy(self._views(picture))) for picture in pictures]
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
        padded = Image.fromarray(pad_to_square(np.asarray(picture)))
        size = self._image.size
        return np.array(padded.resize((size, size), Image.Resampling.BICUBIC))[None]

    def _flat(self, token_ids: Tensor, pixel_values: Tensor) -> Tensor:
        model = self.model.model
        hidden = model.vision_tower(pixel_values, output_hidden_states=True).hidden_states[-2]
        image_embeds = model.multi_modal_projector(hidden[:, 1:]).flatten(0, 1)
        embeds: Tensor = self.model.get_input_embeddings()(token_ids)
        embeds[token_ids == self.model.config.image_token_index] = image_embeds
        return embeds


CHECKPOINTS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "spatial_unpad": (lambda: llava_next(MISTRAL), {}),
    "flat": (
        lambda: llava_next(LLAMA),
        {"mm_patch_merge_type": "flat", "published_names": False},
    ),
}


def assert_same_answers(model: Any, checkpoint: Checkpoint) -> list[Answer]:
    """Compare the served answers with transformers'; return the former."""
    reference = Reference(model, checkpoint)
    answers = run_answer_program(checkpoint)
    for conversation, answer in zip(CONVERSATIONS, answers, strict=True):
        with torch.inference_mode():
            tokens, logprobs = reference.answer(answer.prompt, conversation.pictures)
        assert answer.tokens == tokens
        assert answer.logprobs == pytest.approx(logprobs, rel=0, abs=1e-4)
    return answers


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_answers_equal_transformers(name: str, tmp_path: Path) -> None:
    build_model, changes = CHECKPOINTS[name]
    model = build_model()
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, model, **changes))
    answers = assert_same_answers(model, checkpoint)
    # Every conversation gets a different answer: the pictures have an effect.
    assert len({tuple(answer.tokens) for answer in answers}) == len(CONVERSATIONS)


def test_the_embedded_model_answers_as_in_transformers(tmp_path: Path) -> None:
    folder = tmp_path / "llava-tiny"
    shutil.copytree(EMBEDDED, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float32"}))
    model = LlavaForConditionalGeneration.from_pretrained(EMBEDDED, dtype=torch.float32).eval()
    assert_same_answers(model, read_checkpoint(folder))
