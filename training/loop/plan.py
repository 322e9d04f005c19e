"""The training plan: numbers of scenes, seeds, and each stage's hyperparameters."""

from dataclasses import dataclass, replace
from typing import Final

from training.loop.stage_config import StageConfig

MODEL_NAME: Final = "llava-tiny"
MODEL_SEED: Final = 0
CORPUS_SEED: Final = 0
TRAIN_SEED: Final = 1
HELD_OUT_SEED: Final = 2
UNSEEN_SEED: Final = 3

# The stages in order: two of pretraining, then the paper's two.
STAGES: Final = ("tower", "language", "alignment", "instruction")


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Sizes of the data sets and a config for each of `STAGES`.

    `corpus_size` is the number of conversations that the tokenizer is trained on.
    """

    corpus_size: int
    train_scenes: int
    held_out_scenes: int
    unseen_scenes: int
    tower: StageConfig
    language: StageConfig
    alignment: StageConfig
    instruction: StageConfig

    def get_stage_config(self, stage: str) -> StageConfig:
        config: StageConfig = getattr(self, stage)
        return config

    def scale(self, factor: float) -> "TrainingPlan":
        """The plan with this share of the training scenes and of every stage's steps."""
        return replace(
            self,
            train_scenes=max(round(self.train_scenes * factor), 100),
            tower=self.tower.scale(factor),
            language=self.language.scale(factor),
            alignment=self.alignment.scale(factor),
            instruction=self.instruction.scale(factor),
        )


FULL: Final = TrainingPlan(
    corpus_size=3000,
    train_scenes=80_000,
    held_out_scenes=1000,
    unseen_scenes=1000,
    tower=StageConfig(
        steps=6000, batch_size=64, learning_rate=1e-3, warmup_steps=60, report_every=250
    ),
    language=StageConfig(
        steps=4000,
        batch_size=8,
        learning_rate=1e-3,
        warmup_steps=60,
        report_every=250,
        seed=2_000_000,
    ),
    alignment=StageConfig(
        steps=400,
        batch_size=32,
        learning_rate=1e-3,
        warmup_steps=20,
        report_every=100,
        seed=3_000_000,
    ),
    instruction=StageConfig(
        steps=3000,
        batch_size=16,
        learning_rate=8e-4,
        warmup_steps=60,
        report_every=250,
        seed=4_000_000,
    ),
)
_QUICK_STAGE = StageConfig(steps=3, batch_size=2, learning_rate=1e-3, warmup_steps=1)
QUICK: Final = TrainingPlan(60, 40, 100, 20, _QUICK_STAGE, _QUICK_STAGE, _QUICK_STAGE, _QUICK_STAGE)
