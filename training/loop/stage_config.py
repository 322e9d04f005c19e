"""The hyperparameters of a stage."""

import math
from dataclasses import dataclass, replace

_MIN_STEPS_TO_COMPILE = 200


@dataclass(frozen=True, slots=True)
class StageConfig:
    """Steps, batch size and learning rate of a stage.

    `batch_size` is sequences a step, `learning_rate` the peak of AdamW's; `seed` is added to the
    step to seed a batch.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int = 100
    report_every: int = 200
    seed: int = 0

    def compute_learning_rate(self, step: int) -> float:
        """Linear warm-up, then a cosine decay to a hundredth."""
        warmup = min(1.0, (step + 1) / self.warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * warmup * (0.01 + 0.99 * cosine)

    @property
    def should_compile(self) -> bool:
        """Whether `torch.compile` pays: it takes a minute and saves a third of every step."""
        return self.steps >= _MIN_STEPS_TO_COMPILE

    def scale(self, factor: float) -> "StageConfig":
        """The same stage with this share of the steps."""
        steps = max(round(self.steps * factor), 1)
        return replace(self, steps=steps, warmup_steps=max(min(self.warmup_steps, steps // 4), 1))
