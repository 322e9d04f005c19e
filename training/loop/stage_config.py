"""The hyperparameters of a stage."""

from dataclasses import dataclass, replace

_MIN_STEPS_TO_COMPILE = 200


@dataclass(frozen=True, slots=True)
class StageConfig:
    """Steps, batch size and learning rate of a stage.

    `batch_size` is the sequences of a step over all processes, `learning_rate` the peak of AdamW's,
    which decays to a hundredth. `seed` is added to a batch's index to seed it.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int = 100
    report_every: int = 200
    seed: int = 0

    @property
    def should_compile(self) -> bool:
        """Whether `torch.compile` pays: it takes a minute and saves a third of every step."""
        return self.steps >= _MIN_STEPS_TO_COMPILE

    def scale(self, factor: float) -> "StageConfig":
        """The same stage with this share of the steps."""
        steps = max(round(self.steps * factor), 1)
        return replace(self, steps=steps, warmup_steps=max(min(self.warmup_steps, steps // 4), 1))
