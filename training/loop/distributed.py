"""Data parallelism over processes; on few cores it is faster than several threads.

`torchrun` sets the environment: `RANK`, `WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT`.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import distributed, nn


def init_process_group() -> None:
    """Join the other processes, if the environment names any."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        distributed.init_process_group("gloo")


def get_rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


@contextmanager
def rank_zero_first() -> Iterator[None]:
    """Run the block in rank 0 first; the other ranks then find its files."""
    if get_rank() > 0:
        distributed.barrier()
    yield
    if get_rank() == 0 and distributed.is_initialized():
        distributed.barrier()


def get_seed_offset() -> int:
    """This rank's offset to a step's seed: no two ranks draw the same samples."""
    return 100_000_000 * get_rank()


def get_local_batch_size(batch_size: int) -> int:
    """This rank's share of a batch."""
    if not distributed.is_initialized():
        return batch_size
    return batch_size // distributed.get_world_size()


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Average the gradients over all ranks.

    A rank whose part of the batch has no image has no gradients for the projector: they count as 0.
    """
    if not distributed.is_initialized():
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))
