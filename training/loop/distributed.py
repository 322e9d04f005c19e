"""Several processes, each with a share of every batch: on few cores faster than several threads.

Start each with `RANK`, `WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT` as `torchrun` sets them.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import distributed, nn


def join_group() -> None:
    """Find the other processes, if the environment says that there are any."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        distributed.init_process_group("gloo")


def rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


@contextmanager
def first_process_first() -> Iterator[None]:
    """The others enter when the first has left: they find its files."""
    if rank() > 0:
        distributed.barrier()
    yield
    if rank() == 0 and distributed.is_initialized():
        distributed.barrier()


def own_seed() -> int:
    """To be added to a step's seed, so that no two processes draw the same samples."""
    return 100_000_000 * rank()


def share(batch: int) -> int:
    """How many of a batch's samples are this process's."""
    return batch // distributed.get_world_size() if distributed.is_initialized() else batch


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Give every process the mean of all processes' gradients.

    A process whose share of the batch shows no image has none for the projector: they count as 0.
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
