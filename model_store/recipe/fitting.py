"""The training loop all stages share: AdamW, warm-up and cosine, resumable checkpoints."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from model_store.recipe.parallel import average_gradients, rank

Loss = Callable[[int], torch.Tensor]
Report = Callable[[], str]

_CHECKPOINT_SECONDS = 120.0
_WORTH_COMPILING = 200


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a stage learns; `batch` is samples a step.

    A stage with `stop` ends there, before its rate has fallen: the next goes on from it.
    """

    steps: int
    batch: int
    rate: float
    warm_up: int = 100
    report_every: int = 200
    stop: int | None = None

    def rate_at(self, step: int) -> float:
        """Linear warm-up, then a cosine down to a fiftieth."""
        warm = min(1.0, (step + 1) / self.warm_up)
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.rate * warm * (0.02 + 0.98 * cosine)


def fit(
    name: str, module: nn.Module, loss_at: Loss, schedule: Schedule, work: Path, report: Report
) -> None:
    """Minimise `loss_at(step)` over the module's parameters that require gradients.

    `loss_at` must derive its batch from the step alone: then an interrupted stage goes on from
    `work/name.pt` as if it had not been.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(_groups(parameters), betas=(0.9, 0.98))
    path = work / f"{name}.pt"
    first, last = _resume(path, module, optimizer), schedule.stop or schedule.steps
    saved = time.monotonic()
    bar = tqdm(range(first, last), name, initial=first, total=last, mininterval=5)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step)
        loss = loss_at(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        done = step + 1
        if rank() > 0:
            continue
        if done % schedule.report_every == 0 or done == last:
            tqdm.write(f"{name} {done}: loss {loss.item():.4f} {report()}")
        if time.monotonic() - saved > _CHECKPOINT_SECONDS or done == last:
            _save(path, module, optimizer, done)
            saved = time.monotonic()


def compile_if_long(function: Callable[..., Any], schedule: Schedule) -> Callable[..., Any]:
    """Compiling takes a minute and saves a third of every step: not worth it for a few."""
    return torch.compile(function) if schedule.steps >= _WORTH_COMPILING else function


def _groups(parameters: list[nn.Parameter]) -> list[dict[str, object]]:
    """Decay matrices, not gains and biases."""
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _save(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    state = {"module": module.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def _resume(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
