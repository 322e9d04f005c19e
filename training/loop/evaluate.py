"""Exact-match accuracy of greedy answers, by kind of question."""

import random
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

from training.data.dialogues import (
    sample_single_image_dialogue,
    sample_text_only_dialogue,
    sample_two_image_dialogue,
)
from training.data.question_kinds import RESPONSE_TYPES
from training.data.scenes import Scene
from training.data.simple_questions import SIMPLE_KINDS
from training.loop.compute import autocast
from training.model.batch import Batch, collate
from training.model.packed_decoder import EmbedImages, PackedDecoder
from training.model.packing import pack
from training.model.tokenizer import CachedTokenizer

_BATCH_SIZE = 16


@dataclass(frozen=True, slots=True)
class EvalResult:
    """The numbers of answers and of correct answers, by kind of question."""

    total: Counter[str]
    correct: Counter[str]

    @property
    def simple_accuracy(self) -> float:
        """The accuracy on the simple kinds."""
        return self.compute_accuracy(SIMPLE_KINDS)

    def compute_accuracy(self, kinds: Collection[str]) -> float:
        """The share of these kinds' answers that is correct; 0 without answers."""
        total = sum(self.total[kind] for kind in kinds)
        return sum(self.correct[kind] for kind in kinds) / total if total else 0.0

    def as_json(self) -> dict[str, object]:
        """Percentages by the paper's response types and by kind of question."""
        kinds = {kind: 100 * self.correct[kind] / self.total[kind] for kind in sorted(self.total)}
        responses = {
            name: 100 * self.compute_accuracy(kinds) for name, kinds in RESPONSE_TYPES.items()
        }
        return {"responses": responses, "kinds": kinds, "answers": sum(self.total.values())}

    def __str__(self) -> str:
        by_kind = [
            f"{kind} {self.correct[kind] / self.total[kind]:.3f}" for kind in sorted(self.total)
        ]
        by_type = [
            f"{name} {self.compute_accuracy(kinds):.4f}" for name, kinds in RESPONSE_TYPES.items()
        ]
        return f"{', '.join(by_type)} of {sum(self.total.values())} ({', '.join(by_kind)})"


def build_eval_batches(
    encode: CachedTokenizer, scenes: Sequence[Scene], count: int, seed: int
) -> list[Batch]:
    """Sample questions on each of the first `count` scenes, on some pairs, and without an image."""
    rng = random.Random(seed)
    single = [sample_single_image_dialogue(rng, scenes, index) for index in range(count)]
    pairs = [
        sample_two_image_dialogue(rng, scenes, (index, index + 1))
        for index in range(0, count - 1, 8)
    ]
    text_only = [sample_text_only_dialogue(rng) for _ in range(max(count // 32, 1))]
    return [
        collate([pack(encode, dialogue) for dialogue in dialogues[start : start + _BATCH_SIZE]])
        for dialogues in (single, pairs, text_only)
        for start in range(0, len(dialogues), _BATCH_SIZE)
    ]


@torch.no_grad()
def evaluate(
    decoder: PackedDecoder,
    embed: EmbedImages,
    batches: Sequence[Batch],
    device: torch.device | None = None,
) -> EvalResult:
    """Answer every question and count the exact matches.

    Runs in mixed precision on `device` if given, else in the weights' own precision.
    """
    result = EvalResult(Counter(), Counter())
    for batch in batches:
        if device is None:
            scores = decoder(batch, embed(batch.images))
        else:
            with autocast(device):
                scores = decoder(batch.to(device), embed(batch.images))
        result.total.update(batch.kinds)
        is_correct = scores.is_correct.tolist()
        result.correct.update(
            kind for kind, correct in zip(batch.kinds, is_correct, strict=True) if correct
        )
    return result
