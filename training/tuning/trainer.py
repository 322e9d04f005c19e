"""transformers' Trainer for a LLaVA: learning rates, the order of records, small checkpoints."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, Subset
from transformers import Trainer, TrainingArguments

from training.tuning.dataset import Example, TuningDataset, collate
from training.tuning.library_logs import start_worker
from training.tuning.model import LlavaForTraining
from training.tuning.released_order import ReleasedBatches, ReleasedRun
from training.tuning.sampler import ModalityLengthSampler

# What has the projector's rate: its weights, and what ends a row of patches.
PROJECTOR: Final = ("projector.", "image_newline")


class LlavaTrainer(Trainer):  # type: ignore[misc]  # transformers is Any to mypy
    """Trains the parameters that require gradients.

    The projector has a learning rate of its own where `projector_lr` is given. With `lengths`,
    batches are grouped by modality and length. `as_released` takes the mean of micro-batches'
    means in place of the mean over all learned tokens of a step, and in one process the released
    trainer's order of records and number of steps.
    """

    model: LlavaForTraining

    def __init__(
        self,
        model: LlavaForTraining,
        arguments: TrainingArguments,
        train_dataset: TuningDataset | Subset[Example],
        *,
        eval_dataset: Dataset[Example] | None = None,
        projector_lr: float | None = None,
        lengths: Sequence[int] | None = None,
        as_released: bool = False,
        callbacks: Sequence[Any] = (),
    ) -> None:
        model.accepts_loss_kwargs = not as_released
        super().__init__(
            model,
            arguments,
            collate,
            train_dataset,
            eval_dataset,
            callbacks=list(callbacks),
        )
        self._projector_lr = projector_lr
        self._lengths = lengths
        self._released = self._plan_released_run(len(train_dataset)) if as_released else None
        if self._released is not None and self.args.max_steps <= 0:
            self.args.max_steps = self._released.count_steps(self.args.num_train_epochs)

    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        """Return the optimizer, with groups by weight decay and learning rate."""
        if self.optimizer is None:
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer: torch.optim.Optimizer | None = kind(self.group_parameters(), **options)
        assert self.optimizer is not None  # noqa: S101 - made above
        return self.optimizer

    def group_parameters(self) -> list[dict[str, Any]]:
        """Return the trained parameters in groups. Biases and norms do not decay."""
        decaying = set(self.get_decay_parameter_names(self.model))
        groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                has_own_rate = self._projector_lr is not None and name.startswith(PROJECTOR)
                groups.setdefault((has_own_rate, name in decaying), []).append(parameter)
        return [
            {
                "params": parameters,
                "weight_decay": self.args.weight_decay if decays else 0.0,
                "lr": self._projector_lr if has_own_rate else self.args.learning_rate,
            }
            for (has_own_rate, decays), parameters in groups.items()
        ]

    def get_train_dataloader(self) -> DataLoader[Example]:
        """Return the loader of micro-batches, in the released trainer's order if that is asked."""
        if self._released is None:
            return _prepare_workers(super().get_train_dataloader())
        arguments = self.args
        loader = DataLoader(
            self.train_dataset,
            batch_sampler=ReleasedBatches(self._released, arguments.max_steps),
            collate_fn=collate,
            num_workers=arguments.dataloader_num_workers,
            pin_memory=arguments.dataloader_pin_memory,
        )
        return _prepare_workers(self.accelerator.prepare(loader))

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Example]:
        """Return the loader of records to evaluate."""
        return _prepare_workers(super().get_eval_dataloader(eval_dataset))

    def _plan_released_run(self, num_records: int) -> ReleasedRun | None:
        """Return the released trainer's run, or None where ours is not in its order.

        Not reproduced: several processes, and epochs of less than a step.
        """
        accumulation = self.args.gradient_accumulation_steps
        run = ReleasedRun(
            num_records, self._lengths, self.args.train_batch_size, accumulation, self.args.seed
        )
        is_possible = self.args.world_size == 1 and run.batches_per_epoch >= accumulation
        return run if is_possible else None

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int] | None:
        if self._lengths is None:
            sampler: Sampler[int] | None = super()._get_train_sampler(train_dataset)
            return sampler
        return ModalityLengthSampler(
            self._lengths,
            self.args.train_batch_size,
            self.args.world_size * self.args.gradient_accumulation_steps,
            self.args.seed,
        )

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save what is trained only: a resumed run reads the rest from its sources."""
        trained: dict[str, Tensor] = self.model.trained_state(state_dict)
        super()._save(output_dir, {name: each.contiguous() for name, each in trained.items()})


def _prepare_workers(loader: DataLoader[Example]) -> DataLoader[Example]:
    # accelerate's loader has the one that starts processes within it.
    starter = getattr(loader, "base_dataloader", loader)
    starter.worker_init_fn = partial(start_worker, starter.worker_init_fn)
    return loader
