"""How many answers a decoder gets right, word for word, by kind of question."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from training.data.dialogues import no_image, single_image, two_images
from training.data.question_kinds import RESPONSES
from training.data.scenes import Scene
from training.data.simple_questions import SIMPLE
from training.loop.compute import mixed_precision
from training.model.packed_decoder import Embed, PackedDecoder
from training.model.packing import Batch, PieceEncoder, collate, pack

_BATCH = 16


@dataclass(frozen=True, slots=True)
class Score:
    """Answers asked for and answers right, by kind."""

    asked: Counter[str]
    right: Counter[str]

    @property
    def exact(self) -> float:
        """The share of the simple kinds' answers that is right."""
        return self.share(SIMPLE)

    def share(self, kinds: Iterable[str]) -> float:
        """Of the answers of these kinds, the share that is right."""
        asked = sum(self.asked[kind] for kind in kinds)
        return sum(self.right[kind] for kind in kinds) / asked if asked else 0.0

    def as_json(self) -> dict[str, object]:
        """Percentages by the paper's kinds of responses and by kind of question."""
        kinds = {kind: 100 * self.right[kind] / self.asked[kind] for kind in sorted(self.asked)}
        responses = {name: 100 * self.share(kinds) for name, kinds in RESPONSES.items()}
        return {"responses": responses, "kinds": kinds, "answers": sum(self.asked.values())}

    def __str__(self) -> str:
        shares = [
            f"{kind} {self.right[kind] / self.asked[kind]:.3f}" for kind in sorted(self.asked)
        ]
        groups = [f"{name} {self.share(kinds):.4f}" for name, kinds in RESPONSES.items()]
        return f"{', '.join(groups)} of {sum(self.asked.values())} ({', '.join(shares)})"


def sample_exam(
    encode: PieceEncoder, scenes: Sequence[Scene], count: int, seed: int
) -> list[Batch]:
    """Questions on each of the first `count` scenes, some on pairs of them, some without any."""
    rng = random.Random(seed)
    alone = [single_image(rng, scenes, index) for index in range(count)]
    pairs = [two_images(rng, scenes, (index, index + 1)) for index in range(0, count - 1, 8)]
    none = [no_image(rng) for _ in range(max(count // 32, 1))]
    return [
        collate([pack(encode, dialogue) for dialogue in dialogues[start : start + _BATCH]])
        for dialogues in (alone, pairs, none)
        for start in range(0, len(dialogues), _BATCH)
    ]


@torch.no_grad()
def measure(
    speaker: PackedDecoder,
    embed: Embed,
    batches: Sequence[Batch],
    device: torch.device | None = None,
) -> Score:
    """Answer every question; an answer is right if greedy decoding would give exactly it.

    With a `device` in mixed precision there, else in the weights' own.
    """
    score = Score(Counter(), Counter())
    for batch in batches:
        if device is None:
            answered = speaker(batch, embed(batch.images))
        else:
            with mixed_precision(device):
                answered = speaker(batch.to(device), embed(batch.images))
        score.asked.update(batch.kinds)
        right = answered.right.tolist()
        score.right.update(kind for kind, good in zip(batch.kinds, right, strict=True) if good)
    return score
