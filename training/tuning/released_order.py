"""The released trainer's micro-batches, for `--as-released`: those of transformers 4.37."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

import torch
from torch import Generator
from torch.utils.data import Sampler

from training.tuning.sampler import order_by_modality_and_length


@dataclass(frozen=True, slots=True)
class ReleasedRun:
    """What decides the micro-batches of a run in one process.

    With `lengths` they are grouped by modality and length, as `ModalityLengthSampler` says.
    """

    num_records: int
    lengths: Sequence[int] | None
    batch_size: int
    accumulation: int
    seed: int

    @property
    def batches_per_epoch(self) -> int:
        """The number of micro-batches of an epoch; the last may have fewer records."""
        return math.ceil(self.num_records / self.batch_size)

    def count_steps(self, epochs: float) -> int:
        """Return the number of steps. What is left of an epoch is part of the next one's first."""
        return math.ceil(epochs * (self.batches_per_epoch // self.accumulation))


class ReleasedBatches(Sampler[list[int]]):
    """Yields the micro-batches of all epochs: to the trainer they are one epoch.

    An order depends on the seed alone, so that a resumed run goes on with it. It is the released
    trainer's as long as nothing but its data loader draws from torch's generator on the CPU: there,
    dropout does.
    """

    def __init__(self, run: ReleasedRun, num_steps: int) -> None:
        self._run = run
        self._num_batches = num_steps * run.accumulation

    def __len__(self) -> int:
        return self._num_batches

    def __iter__(self) -> Iterator[list[int]]:
        return islice(self._generate(), self._num_batches)

    def _generate(self) -> Iterator[list[int]]:
        run = self._run
        generator = Generator().manual_seed(run.seed)
        for _ in count():
            order = _order_epoch(run, generator)
            for start in range(0, len(order), run.batch_size):
                yield order[start : start + run.batch_size]


def _order_epoch(run: ReleasedRun, generator: Generator) -> list[int]:
    _draw_seed(generator)  # the data loader's, of its worker processes
    if run.lengths is None:
        own = Generator().manual_seed(_draw_seed(generator))  # RandomSampler's
        order: list[int] = torch.randperm(run.num_records, generator=own).tolist()
        return order
    return order_by_modality_and_length(
        run.lengths, run.batch_size, run.accumulation, generator=generator
    )


def _draw_seed(generator: Generator) -> int:
    return int(torch.empty((), dtype=torch.int64).random_(generator=generator).item())
