"""transformers' Trainer for a stage."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset
from tqdm import tqdm
from transformers import ProgressCallback, Trainer, TrainerCallback, TrainingArguments

from training.loop.history import count_seconds, read_history
from training.loop.optimizer import MuonWithAdamW
from training.loop.stage import Stage
from training.saved_state import find_last_checkpoint

_LOG_STEPS = 10
_SAVE_STEPS = 50


def run_stage(stage: Stage[Any], work_dir: Path, device: torch.device) -> None:
    """Minimise a stage's loss.

    An interrupted stage resumes from its checkpoint in `work_dir/NAME` with the same result. One
    that is complete loads its weights.
    """
    folder = work_dir / stage.name
    trainer = StageTrainer(stage, _build_arguments(stage, folder, device))
    checkpoint = find_last_checkpoint(folder)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))


class StageTrainer(Trainer):  # type: ignore[misc]  # transformers is Any to mypy
    """Trains a stage with Muon and AdamW, on batches that are made as they are needed."""

    def __init__(self, stage: Stage[Any], arguments: TrainingArguments) -> None:
        super().__init__(
            _LossModule(stage),
            arguments,
            _collate,
            _Batches(stage, stage.config.steps * arguments.world_size),
            callbacks=[_Report(stage)],
            optimizers=(MuonWithAdamW(stage.module, stage.config.learning_rate), None),
        )
        self.remove_callback(ProgressCallback)
        self.add_callback(_Progress(stage.name))
        self._seconds_before = count_seconds(read_history(Path(arguments.output_dir)))
        self._started_at = time.monotonic()

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the seconds of training so far, those before an interruption included."""
        seconds = self._seconds_before + time.monotonic() - self._started_at
        super().log({**logs, "seconds": round(seconds)}, start_time)


class _LossModule(nn.Module):
    """A stage's module, whose forward pass gives the loss."""

    def __init__(self, stage: Stage[Any]) -> None:
        super().__init__()
        self.module = stage.module
        self._compute_loss = stage.compute_loss

    def forward(self, batch: Any) -> dict[str, torch.Tensor]:
        return {"loss": self._compute_loss(batch)}


class _Batches(Dataset[Any]):
    """The batches of all steps. Each step takes as many as there are processes."""

    def __init__(self, stage: Stage[Any], count: int) -> None:
        self._make_batch = stage.make_batch
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Any:
        return self._make_batch(index)


def _collate(batches: Sequence[Any]) -> dict[str, Any]:
    (batch,) = batches
    return {"batch": batch}


class _Report(TrainerCallback):  # type: ignore[misc]  # transformers is Any to mypy
    """Prints the stage's accuracy from time to time."""

    def __init__(self, stage: Stage[Any]) -> None:
        self._stage = stage

    def on_step_end(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
        step, config = state.global_step, self._stage.config
        is_due = step % config.report_every == 0 or step == config.steps
        if is_due and state.is_world_process_zero:
            tqdm.write(f"{self._stage.name} {step}: {self._stage.report()}")


class _Progress(ProgressCallback):  # type: ignore[misc]  # transformers is Any to mypy
    """A bar with the stage's name and the last loss, in place of a line for each logged loss."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        super().on_train_begin(*args, **kwargs)
        if self.training_bar is not None:
            self.training_bar.set_description(self._name)

    def on_log(self, *_: Any, logs: Any = None, **__: Any) -> None:
        if self.training_bar is not None and "loss" in logs:
            self.training_bar.set_postfix(loss=f"{logs['loss']:.4f}", refresh=False)


def _build_arguments(stage: Stage[Any], folder: Path, device: torch.device) -> TrainingArguments:
    config = stage.config
    arguments = TrainingArguments(
        str(folder),
        per_device_train_batch_size=1,  # of `_Batches`
        train_sampling_strategy="sequential",
        max_steps=config.steps,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_steps,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": 0.01},
        max_grad_norm=1.0,
        bf16=True,
        logging_steps=min(_LOG_STEPS, config.steps),
        save_steps=_SAVE_STEPS,
        save_total_limit=1,
        dataloader_pin_memory=False,
        use_cpu=device.type == "cpu",
        remove_unused_columns=False,
        label_names=[],
        report_to="none",
        ddp_find_unused_parameters=stage.find_unused_parameters,
        seed=config.seed,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # a process has one GPU
    return arguments
