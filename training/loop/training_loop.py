"""The training loop all stages share: Muon, AdamW, one schedule, resumable checkpoints, a log."""

import json
import math
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from training.loop.distributed import average_gradients, rank

Loss = Callable[[int], torch.Tensor]
Report = Callable[[], str]
Optimizers = tuple[torch.optim.Muon, torch.optim.AdamW]

_CHECKPOINT_SECONDS = 120.0
_WORTH_COMPILING = 200
_LOG_EVERY = 10
# Muon's rate as a multiple of AdamW's.
_MUON_RATE = 4.0
# The matrices between hidden states: those of the layers and the projector.
_INNER = re.compile(r"(^|\.)(layers|linear_\d+)\.")


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a stage learns; `batch` is samples a step, `seed` draws them."""

    steps: int
    batch: int
    rate: float
    warm_up: int = 100
    report_every: int = 200
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """Linear warm-up, then a cosine down to a hundredth."""
        warm = min(1.0, (step + 1) / self.warm_up)
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.rate * warm * (0.01 + 0.99 * cosine)

    def scaled(self, factor: float) -> "Schedule":
        """The same with this share of the steps."""
        steps = max(round(self.steps * factor), 1)
        return replace(self, steps=steps, warm_up=max(min(self.warm_up, steps // 4), 1))


def fit(
    name: str, module: nn.Module, loss_at: Loss, schedule: Schedule, work: Path, report: Report
) -> None:
    """Minimise `loss_at(step)` over the module's parameters that require gradients.

    `loss_at` must derive its batch from the step alone: then an interrupted stage goes on from
    `work/name.pt` as if it had not been. Losses go to `work/name.jsonl`, every tenth step.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizers = _optimizers(module)
    path = work / f"{name}.pt"
    first = _resume(path, module, optimizers)
    log = _Log(work / f"{name}.jsonl", first)
    saved = time.monotonic()
    bar = tqdm(
        range(first, schedule.steps), name, initial=first, total=schedule.steps, mininterval=5
    )
    for step in bar:
        loss = loss_at(step)
        module.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        _update(optimizers, schedule, step)
        done = step + 1
        if rank() > 0:
            continue
        log.add(done, loss)
        if done % schedule.report_every == 0 or done == schedule.steps:
            tqdm.write(f"{name} {done}: loss {loss.item():.4f} {report()}")
        if time.monotonic() - saved > _CHECKPOINT_SECONDS or done == schedule.steps:
            _save(path, module, optimizers, done)
            saved = time.monotonic()


class _Log:
    """Mean losses of ten steps each and seconds so far, as JSON lines.

    A resumed stage drops the lines of steps that it will redo.
    """

    def __init__(self, path: Path, first: int) -> None:
        self._path = path
        self._losses: list[torch.Tensor] = []
        self._started = time.monotonic()
        if rank() == 0:
            kept = [line for line in read_log(path) if line["step"] <= first]
            self._started -= kept[-1]["seconds"] if kept else 0
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{json.dumps(line)}\n" for line in kept))

    def add(self, step: int, loss: torch.Tensor) -> None:
        self._losses.append(loss.detach())
        if step % _LOG_EVERY == 0:
            mean = torch.stack(self._losses).mean().item()
            seconds = round(time.monotonic() - self._started)
            line = {"step": step, "loss": round(mean, 5), "seconds": seconds}
            with self._path.open("a") as file:
                file.write(json.dumps(line) + "\n")
            self._losses.clear()


def read_log(path: Path) -> list[dict[str, Any]]:
    """A stage's `step`, `loss` and `seconds`, or nothing where it has not begun."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def compile_if_long(function: Callable[..., Any], schedule: Schedule) -> Callable[..., Any]:
    """Compiling takes a minute and saves a third of every step: not worth it for a few."""
    if schedule.steps < _WORTH_COMPILING:
        return function
    return torch.compile(function, dynamic=False)


def _optimizers(module: nn.Module) -> Optimizers:
    """Muon for the matrices inside, which learn in about half of AdamW's steps; AdamW for the rest.

    Embeddings and heads are no matrices between hidden states, for which Muon is made.
    """
    inner, outer, gains = list[nn.Parameter](), list[nn.Parameter](), list[nn.Parameter]()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            matrix = inner if _INNER.search(name) else outer
            (matrix if parameter.ndim == 2 else gains).append(parameter)
    groups = [
        {"params": outer, "weight_decay": 0.05},
        {"params": gains, "weight_decay": 0.0},
    ]
    muon = torch.optim.Muon(inner, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    return muon, torch.optim.AdamW(groups, betas=(0.9, 0.98))


def _update(optimizers: Optimizers, schedule: Schedule, step: int) -> None:
    for optimizer, scale in zip(optimizers, (_MUON_RATE, 1.0), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = scale * schedule.rate_at(step)
        optimizer.step()


def _save(path: Path, module: nn.Module, optimizers: Optimizers, step: int) -> None:
    states = [optimizer.state_dict() for optimizer in optimizers]
    state = {"module": module.state_dict(), "optimizers": states, "step": step}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def _resume(path: Path, module: nn.Module, optimizers: Optimizers) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    module.load_state_dict(state["module"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return int(state["step"])
