"""Records as batches of token ids, labels and pixel values."""

import bisect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import TypedDict

import torch
from torch import Tensor
from torch.utils.data import Dataset

from training.tuning.errors import DataError
from training.tuning.images import ImageReader
from training.tuning.prompts import IGNORED, IMAGE_TOKEN_ID, PromptLabeller
from training.tuning.record_files import RecordFile
from training.tuning.records import Record, parse_record


class Example(TypedDict):
    """One record: ids and labels (length,), and pixel values (images, 3, size, size).

    Each image's place is as many `IMAGE_TOKEN_ID` as it has embeddings; of image i, the first
    `image_lengths[i]` are used.
    """

    input_ids: Tensor
    labels: Tensor
    pixel_values: Tensor
    image_lengths: Tensor


class Batch(TypedDict):
    """Examples, padded on the right: (batch, longest), and the pixel values of all images."""

    input_ids: Tensor
    labels: Tensor
    attention_mask: Tensor
    pixel_values: Tensor
    image_lengths: Tensor


@dataclass(frozen=True)
class TuningDataset(Dataset[Example]):
    """The records of all files, read and preprocessed as they are needed.

    Examples have at most `max_length` ids: what is longer is cut at its end. One whose images do
    not fit, or that has nothing to learn, is refused, unless `keeps_useless`, as the released
    trainer does.
    """

    files: Sequence[RecordFile]
    labeller: PromptLabeller
    images: ImageReader
    tokens_per_image: int
    max_length: int
    keeps_useless: bool = False

    def __len__(self) -> int:
        return sum(map(len, self.files))

    def __getitem__(self, index: int) -> Example:
        record = self.read_record(index)
        example = self.tokenize(record)
        example["pixel_values"] = self._read_images(record)
        return example

    def read_record(self, index: int) -> Record:
        """Return a record. Raises `DataError`."""
        starts = list(accumulate(map(len, self.files), initial=0))
        number = bisect.bisect_right(starts, index) - 1
        file, offset = self.files[number], index - starts[number]
        return parse_record(file.read(offset), file.describe(offset))

    def tokenize(self, record: Record) -> Example:
        """Return a record's ids and labels, without its pixels. Raises `DataError`."""
        prompt = self.labeller.label(record)
        ids: list[int] = []
        labels: list[int] = []
        for token, label in zip(prompt.input_ids, prompt.labels, strict=True):
            count = self.tokens_per_image if token == IMAGE_TOKEN_ID else 1
            ids += [token] * count
            labels += [label] * count
        num_images = prompt.input_ids.count(IMAGE_TOKEN_ID)
        ids, labels = ids[: self.max_length], labels[: self.max_length]
        room = ids.count(IMAGE_TOKEN_ID)
        if not self.keeps_useless:
            if room < num_images * self.tokens_per_image:
                raise DataError(
                    f"{record.source}: its images do not fit into {self.max_length} tokens"
                )
            if all(label == IGNORED for label in labels[1:]):
                raise DataError(f"{record.source}: no answer is within {self.max_length} tokens")
        starts = torch.arange(num_images) * self.tokens_per_image
        return Example(
            input_ids=torch.tensor(ids),
            labels=torch.tensor(labels),
            pixel_values=torch.empty(0),
            image_lengths=(room - starts).clamp(0, self.tokens_per_image),
        )

    def check(self, record: Record) -> None:
        """Raise `DataError` for a record that cannot be trained. Images are only looked for.

        A record that is short enough has all its images and answers: labels are not needed.
        """
        if self.labeller.count(record, self.tokens_per_image) > self.max_length:
            self.tokenize(record)
        with _name_source(record):
            for name in record.images:
                self.images.find(name)

    def _read_images(self, record: Record) -> Tensor:
        size = self.images.size
        with _name_source(record):
            views = [self.images.read(name) for name in record.images]
        return torch.stack(views) if views else torch.empty(0, 3, size, size)


@contextmanager
def _name_source(record: Record) -> Iterator[None]:
    """Have errors say which record they are about."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{record.source}: {error}") from None


def find_flaws(dataset: TuningDataset) -> Iterator[tuple[int, str]]:
    """Yield each bad record's index and what is wrong with it."""
    for index in range(len(dataset)):
        try:
            dataset.check(dataset.read_record(index))
        except DataError as error:
            yield index, str(error)


def collate(examples: Sequence[Example]) -> Batch:
    """Pad examples on the right, as training expects them."""
    return Batch(
        input_ids=_pad([each["input_ids"] for each in examples], 0),
        labels=_pad([each["labels"] for each in examples], IGNORED),
        attention_mask=_pad([torch.ones_like(each["input_ids"]) for each in examples], 0),
        pixel_values=torch.cat([each["pixel_values"] for each in examples]),
        image_lengths=torch.cat([each["image_lengths"] for each in examples]),
    )


def _pad(rows: Sequence[Tensor], value: int) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)
