"""How many answers a decoder gets right, word for word, by kind of question."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from model_store.recipe.dialogues import Dialogue, mixed, single_image
from model_store.recipe.questions import KINDS
from model_store.recipe.scenes import Scene
from model_store.recipe.sequences import Batch, Encoder, collate, pack
from model_store.recipe.speaker import Embed, Speaker

_BATCH = 16


@dataclass(frozen=True, slots=True)
class Score:
    """Answers asked for and answers right, by kind."""

    asked: Counter[str]
    right: Counter[str]

    @property
    def exact(self) -> float:
        """The share of the simple kinds' answers that is right."""
        return sum(self.right[kind] for kind in KINDS) / sum(self.asked[kind] for kind in KINDS)

    def __str__(self) -> str:
        kinds = sorted(self.asked)
        shares = ", ".join(f"{kind} {self.right[kind] / self.asked[kind]:.3f}" for kind in kinds)
        return f"exact {self.exact:.4f} of {sum(self.asked.values())} ({shares})"


def examine(encode: Encoder, scenes: Sequence[Scene], count: int, seed: int) -> list[Batch]:
    """Questions on each of the first `count` scenes, then on mixtures of images and turns."""
    rng = random.Random(seed)
    dialogues: list[Dialogue] = [single_image(rng, scenes, index) for index in range(count)]
    dialogues += [mixed(rng, scenes) for _ in range(count // 4)]
    packed = [pack(encode, dialogue) for dialogue in dialogues]
    return [collate(packed[start : start + _BATCH]) for start in range(0, len(packed), _BATCH)]


@torch.no_grad()
def measure(speaker: Speaker, embed: Embed, batches: Sequence[Batch], autocast: bool) -> Score:
    """Answer every question; an answer is right if greedy decoding would give exactly it."""
    score = Score(Counter(), Counter())
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            answered = speaker(batch, embed(batch.images))
        score.asked.update(batch.kinds)
        right = answered.right.tolist()
        score.right.update(kind for kind, good in zip(batch.kinds, right, strict=True) if good)
    return score
