"""How much of everything: scenes to draw and each stage's schedule."""

from dataclasses import dataclass, replace
from typing import Final

from training.loop.training_loop import Schedule

MODEL_NAME: Final = "llava-tiny"
MODEL_SEED: Final = 0
CORPUS_SEED: Final = 0
TRAIN_SEED: Final = 1
HELD_OUT_SEED: Final = 2
UNSEEN_SEED: Final = 3

# Stages in their order: what comes before the paper's two, and these.
STAGES: Final = ("tower", "language", "alignment", "instruction")


@dataclass(frozen=True, slots=True)
class Plan:
    """`corpus` is conversations for the tokenizer, `stages` are in the order of `STAGES`."""

    corpus: int
    train_scenes: int
    held_out_scenes: int
    unseen_scenes: int
    tower: Schedule
    language: Schedule
    alignment: Schedule
    instruction: Schedule

    def schedule(self, stage: str) -> Schedule:
        schedule: Schedule = getattr(self, stage)
        return schedule

    def scaled(self, factor: float) -> "Plan":
        """A plan with this share of the scenes to learn from and of every stage's steps."""
        return replace(
            self,
            train_scenes=max(round(self.train_scenes * factor), 100),
            tower=self.tower.scaled(factor),
            language=self.language.scaled(factor),
            alignment=self.alignment.scaled(factor),
            instruction=self.instruction.scaled(factor),
        )


FULL: Final = Plan(
    corpus=3000,
    train_scenes=80_000,
    held_out_scenes=1000,
    unseen_scenes=1000,
    tower=Schedule(steps=6000, batch=64, rate=1e-3, warm_up=60, report_every=250),
    language=Schedule(steps=4000, batch=8, rate=1e-3, warm_up=60, report_every=250, seed=2_000_000),
    alignment=Schedule(
        steps=400, batch=32, rate=1e-3, warm_up=20, report_every=100, seed=3_000_000
    ),
    instruction=Schedule(
        steps=3000, batch=16, rate=8e-4, warm_up=60, report_every=250, seed=4_000_000
    ),
)
_FEW = Schedule(steps=3, batch=2, rate=1e-3, warm_up=1)
QUICK: Final = Plan(60, 40, 100, 20, _FEW, _FEW, _FEW, _FEW)
