"""The training loop that all stages share."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from training.loop.checkpoints import resume_checkpoint, save_checkpoint
from training.loop.distributed import average_gradients, get_rank
from training.loop.loss_log import LossLog
from training.loop.optimizers import Optimizers, build_optimizers, step_optimizers
from training.loop.stage_config import StageConfig

# Step -> loss.
ComputeLoss = Callable[[int], torch.Tensor]
# A line on the stage's accuracy so far.
Report = Callable[[], str]

_CHECKPOINT_SECONDS = 120.0


def run_training_loop(
    name: str,
    module: nn.Module,
    compute_loss: ComputeLoss,
    config: StageConfig,
    work_dir: Path,
    report: Report,
) -> None:
    """Minimise `compute_loss(step)` over the module's parameters that require gradients.

    `compute_loss` must derive its batch from the step alone. An interrupted stage then resumes from
    `work_dir/name.pt` with the same result. Losses go to `work_dir/name.jsonl`, every tenth step.
    """
    optimizers = build_optimizers(module)
    path = work_dir / f"{name}.pt"
    first_step = resume_checkpoint(path, module, optimizers)
    log = LossLog(work_dir / f"{name}.jsonl", first_step) if get_rank() == 0 else None
    saved_at = time.monotonic()
    for step in _show_progress(name, first_step, config.steps):
        loss = _train_step(module, compute_loss, optimizers, config, step)
        if log is None:
            continue
        steps_done = step + 1
        is_last = steps_done == config.steps
        log.add(steps_done, loss)
        if steps_done % config.report_every == 0 or is_last:
            tqdm.write(f"{name} {steps_done}: loss {loss.item():.4f} {report()}")
        if time.monotonic() - saved_at > _CHECKPOINT_SECONDS or is_last:
            save_checkpoint(path, module, optimizers, steps_done)
            saved_at = time.monotonic()


def _show_progress(name: str, first_step: int, steps: int) -> "tqdm[int]":
    return tqdm(range(first_step, steps), name, initial=first_step, total=steps, mininterval=5)


def _train_step(
    module: nn.Module,
    compute_loss: ComputeLoss,
    optimizers: Optimizers,
    config: StageConfig,
    step: int,
) -> torch.Tensor:
    """Compute the loss and update the parameters with clipped gradients."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    loss = compute_loss(step)
    module.zero_grad(set_to_none=True)
    loss.backward()
    average_gradients(parameters)
    nn.utils.clip_grad_norm_(parameters, 1.0)
    step_optimizers(optimizers, config, step)
    return loss
