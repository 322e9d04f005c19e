"""A stage that learns to mirror its input, in one process or, run by `torchrun`, in several."""

import sys
from contextlib import suppress
from pathlib import Path

import torch
from accelerate import PartialState

from training.loop.compute import split_batch
from training.loop.stage import Stage
from training.loop.stage_config import StageConfig
from training.loop.trainer import run_stage

CONFIG = StageConfig(steps=24, batch_size=8, learning_rate=0.1, warmup_steps=2, report_every=8)


class Mirror:
    """Trains the stage; `batches` are the indices it made batches of, `reports` their number."""

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir
        self.batches: list[int] = []
        self.reports = 0

    def train(self, interrupt_at: int | None = None) -> torch.Tensor:
        """Resume the stage and return the weights; `interrupt_at` counts this call's steps."""
        torch.manual_seed(0)
        layer = torch.nn.Linear(4, 4)
        module = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([layer])})
        steps = iter(range(CONFIG.steps))

        def make_batch(index: int) -> torch.Tensor:
            self.batches.append(index)
            generator = torch.Generator().manual_seed(index)
            return torch.randn(split_batch(CONFIG.batch_size), 4, generator=generator)

        def compute_loss(inputs: torch.Tensor) -> torch.Tensor:
            if next(steps) == interrupt_at:
                raise KeyboardInterrupt
            noise = torch.randn_like(inputs)  # which a resumed stage must draw again
            loss: torch.Tensor = (layer(inputs + noise / 100) - inputs.flip(1)).square().mean()
            return loss

        def report() -> str:
            self.reports += 1
            return ""

        stage = Stage("mirror", CONFIG, module, make_batch, compute_loss, report)
        with suppress(KeyboardInterrupt):
            run_stage(stage, self._work_dir, torch.device("cpu"))
        return layer.weight.detach().clone()


def main(folder: Path) -> None:
    """Train as one of several processes, and write down what it did."""
    processes = PartialState(cpu=True)
    mirror = Mirror(folder)
    weights = mirror.train()
    result = {"weights": weights, "batches": mirror.batches, "reports": mirror.reports}
    torch.save(result, folder / f"{processes.process_index}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
