"""The order of records: batches of like lengths, with images or without."""

from collections.abc import Iterator, Sequence

import torch
from torch import Generator
from torch.utils.data import Sampler


class ModalityLengthSampler(Sampler[int]):
    """Groups records of like length into batches that have images, or that have none.

    Follows `--group_by_modality_length` of the released trainer: `lengths` are in words, negative
    for records without an image. `world_size` counts processes times accumulated micro-batches.
    An epoch's order depends on `seed` and its number alone, so that a resumed run goes on with it.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, world_size: int, seed: int) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._world_size = world_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch; accelerate calls it."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed + self._epoch)
            return iter(
                order_by_modality_and_length(self._lengths, self._batch_size, self._world_size)
            )


def order_by_modality_and_length(
    lengths: Sequence[int], batch_size: int, world_size: int, generator: Generator | None = None
) -> list[int]:
    """Return the indices of all records in the order that they are trained in.

    What is left over of both kinds comes last, together.
    """
    size = batch_size * world_size
    with_image = [index for index, length in enumerate(lengths) if length > 0]
    without = [index for index, length in enumerate(lengths) if length < 0]
    if not with_image or not without:
        return _order_by_length(lengths, size, world_size, generator)
    whole: list[list[int]] = []
    rest: list[int] = []
    for kind in (with_image, without):
        kind_lengths = [abs(lengths[index]) for index in kind]
        order = [kind[each] for each in _order_by_length(kind_lengths, size, world_size, generator)]
        *batches, last = [order[start : start + size] for start in range(0, len(order), size)]
        whole += batches
        rest += last
    mixed = [whole[each] for each in torch.randperm(len(whole), generator=generator).tolist()]
    return [index for batch in (*mixed, sorted(rest)) for index in batch]


def _order_by_length(
    lengths: Sequence[int], size: int, world_size: int, generator: Generator | None
) -> list[int]:
    """Shuffle, and sort each `size` records, the longest first, into equal parts."""
    shuffled = torch.randperm(len(lengths), generator=generator).tolist()
    order: list[int] = []
    for start in range(0, len(shuffled), size):
        longest_first = sorted(
            shuffled[start : start + size], key=lambda index: lengths[index], reverse=True
        )
        order += [i for part in _split_evenly(longest_first, lengths, world_size) for i in part]
    return order


def _split_evenly(
    indices: Sequence[int], lengths: Sequence[int], num_parts: int
) -> list[list[int]]:
    """Split records into parts of equal number and about equal length, one for each process."""
    room, remainder = divmod(len(indices), num_parts)
    if remainder:
        return [list(indices[part::num_parts]) for part in range(num_parts)]
    parts: list[list[int]] = [[] for _ in range(num_parts)]
    totals = [0] * num_parts
    for index in indices:
        open_parts = [part for part in range(num_parts) if len(parts[part]) < room]
        shortest = min(open_parts, key=lambda part: totals[part])
        parts[shortest].append(index)
        totals[shortest] += lengths[index]
    return parts
