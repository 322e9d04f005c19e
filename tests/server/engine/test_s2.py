"""A checkpoint with an S2 tower, served: greedy tokens and logprobs against transformers' parts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import LlavaConfig, LlavaForConditionalGeneration

from server.checkpoint.config import Checkpoint, read_checkpoint
from server.images.vision.s2 import extract_multiscale_features
from tests.server.engine.answer_program import CONVERSATIONS
from tests.server.engine.answering import run_answer_program
from tests.server.engine.checkpoints import LLAMA, SIZE, TOWER, randomise, write_checkpoint
from tests.server.engine.test_parity import Reference
from tests.server.images.vision.test_tower import normalize

SCALES = (SIZE, 2 * SIZE, 3 * SIZE)
S2: dict[str, Any] = {
    "s2": True,
    "s2_scales": ",".join(map(str, SCALES)),
    "image_aspect_ratio": "pad",
}


class S2Reference(Reference):
    """transformers' model, with the features of all scales in place of its tower's."""

    def _inputs(self, token_ids: Tensor, pictures: Sequence[Image.Image]) -> dict[str, Tensor]:
        inputs = {"input_ids": token_ids, "attention_mask": torch.ones_like(token_ids)}
        embeds: Tensor = self.model.get_input_embeddings()(token_ids)
        if pictures:
            views = [normalize(torch.from_numpy(self._views(picture))) for picture in pictures]
            features = extract_multiscale_features(self._tower, torch.cat(views), SCALES)
            image_embeds = self.model.model.multi_modal_projector(features).flatten(0, 1)
            embeds[token_ids == self.model.config.image_token_index] = image_embeds
        return {**inputs, "inputs_embeds": embeds}

    def _tower(self, pixel_values: Tensor) -> Tensor:
        states = self.model.model.vision_tower(pixel_values, output_hidden_states=True)
        features: Tensor = states.hidden_states[-2][:, 1:]
        return features


def build_model() -> Any:
    """Return a random LLaVA-1.5 whose projector takes the features of three scales."""
    config = LlavaConfig(vision_config=TOWER, text_config=LLAMA, image_token_index=4)
    model = LlavaForConditionalGeneration(config)
    projector = model.model.multi_modal_projector
    projector.linear_1 = nn.Linear(3 * TOWER.hidden_size, projector.linear_1.out_features)
    return randomise(model, seed=2)


def read_s2_checkpoint(folder: Path, model: Any) -> Checkpoint:
    checkpoint = read_checkpoint(write_checkpoint(folder, model, **S2))
    assert checkpoint.vision.s2_scales == SCALES
    return checkpoint


def test_answers_equal_transformers(tmp_path: Path) -> None:
    model = build_model()
    checkpoint = read_s2_checkpoint(tmp_path, model)
    reference = S2Reference(model, checkpoint)
    answers = run_answer_program(checkpoint)
    for conversation, answer in zip(CONVERSATIONS, answers, strict=True):
        with torch.inference_mode():
            tokens, logprobs = reference.answer(answer.prompt, conversation.pictures)
        assert answer.tokens == tokens
        assert answer.logprobs == pytest.approx(logprobs, rel=0, abs=1e-4)
    assert len({tuple(answer.tokens) for answer in answers}) == len(CONVERSATIONS)
