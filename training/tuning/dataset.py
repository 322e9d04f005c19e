"""Records as batches of token ids, labels and pixel values."""

import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from itertools import accumulate
from typing import TypedDict

import torch
from torch import Tensor
from torch.utils.data import Dataset

from llava_spec.anyres import Size
from training.tuning.errors import DataError
from training.tuning.images import ImageReader, PreparedImage
from training.tuning.prompts import IGNORED, IMAGE_TOKEN_ID, PromptLabeller
from training.tuning.record_files import RecordFile
from training.tuning.records import IMAGE_TAG, Record, parse_record
from training.tuning.tiles import TileLayout


class TokenizedRecord(TypedDict):
    """Ids and labels (length,), and how many embeddings of each image are used."""

    input_ids: Tensor
    labels: Tensor
    image_lengths: Tensor


class Example(TokenizedRecord):
    """One record: ids and labels (length,), and pixel values (views, 3, size, size).

    Image i has `num_views[i]` of the views; its (width, height) was `image_sizes[i]`. Its place is
    as many `IMAGE_TOKEN_ID` as it has embeddings, of which the first `image_lengths[i]` are used.
    """

    pixel_values: Tensor
    num_views: Tensor
    image_sizes: Tensor


class Batch(TypedDict):
    """Examples, padded on the right: (batch, longest), and the views of all images."""

    input_ids: Tensor
    labels: Tensor
    attention_mask: Tensor
    pixel_values: Tensor
    num_views: Tensor
    image_sizes: Tensor
    image_lengths: Tensor


class Remark(Enum):
    """What is odd about a record that is trained."""

    CUT = auto()  # at `max_length`
    TAG_WITHOUT_IMAGE = auto()  # text, to the released trainer as well


@dataclass(frozen=True)
class TuningDataset(Dataset[Example]):
    """The records of all files, read and preprocessed as they are needed.

    Examples have at most `max_length` ids: what is longer is cut at its end. One whose images do
    not fit, or that has nothing to learn, is refused, unless `keeps_useless`, as the released
    trainer does. Without `tiles` an image has `tokens_per_image`; with them its size decides, and
    none is ever cut.
    """

    files: Sequence[RecordFile]
    labeller: PromptLabeller
    images: ImageReader
    tokens_per_image: int
    max_length: int
    keeps_useless: bool = False
    tiles: TileLayout | None = None

    def __len__(self) -> int:
        return sum(map(len, self.files))

    def __getitem__(self, index: int) -> Example:
        record = self.read_record(index)
        images = self._read_images(record)
        size = self.images.size
        return Example(
            **self.tokenize(record, [self._count_image_tokens(image.size) for image in images]),
            pixel_values=torch.cat(
                [torch.empty(0, 3, size, size), *(image.pixel_values for image in images)]
            ),
            num_views=torch.tensor([len(image.pixel_values) for image in images]).long(),
            image_sizes=torch.tensor([image.size for image in images]).long().view(-1, 2),
        )

    def read_record(self, index: int) -> Record:
        """Return a record. Raises `DataError`."""
        starts = list(accumulate(map(len, self.files), initial=0))
        number = bisect.bisect_right(starts, index) - 1
        file, offset = self.files[number], index - starts[number]
        return parse_record(file.read(offset), file.describe(offset))

    def tokenize(self, record: Record, image_tokens: Sequence[int]) -> TokenizedRecord:
        """Return a record's ids and labels, given each image's number of image tokens.

        Raises `DataError`.
        """
        prompt = self.labeller.label(record)
        counts = iter(image_tokens)
        ids: list[int] = []
        labels: list[int] = []
        for token, label in zip(prompt.input_ids, prompt.labels, strict=True):
            count = next(counts) if token == IMAGE_TOKEN_ID else 1
            ids += [token] * count
            labels += [label] * count
        ids, labels = ids[: self.max_length], labels[: self.max_length]
        room = ids.count(IMAGE_TOKEN_ID)
        if room < sum(image_tokens) and (self.tiles is not None or not self.keeps_useless):
            raise DataError(
                f"{record.source}: its images do not fit into --model-max-length {self.max_length}"
            )
        if all(label == IGNORED for label in labels[1:]) and not self.keeps_useless:
            raise DataError(
                f"{record.source}: no answer is within --model-max-length {self.max_length}"
            )
        lengths = torch.tensor(image_tokens).long()
        starts = lengths.cumsum(0) - lengths
        return TokenizedRecord(
            input_ids=torch.tensor(ids),
            labels=torch.tensor(labels),
            image_lengths=(room - starts).clamp(min=0).minimum(lengths),
        )

    def check(self, record: Record) -> list[Remark]:
        """Return what is odd about a record. Raise `DataError` if it cannot be trained.

        No image is decoded. A record that is short enough has all its images and answers: labels
        are not needed.
        """
        remarks = []
        image_tokens = self.count_image_tokens(record)
        num_tokens = self.labeller.count(record) + sum(image_tokens) - len(image_tokens)
        if num_tokens > self.max_length:
            self.tokenize(record, image_tokens)
            remarks.append(Remark.CUT)
        if not record.images and any(IMAGE_TAG in text for _, text in record.turns):
            remarks.append(Remark.TAG_WITHOUT_IMAGE)
        return remarks

    def count_image_tokens(self, record: Record) -> list[int]:
        """Return the number of image tokens of each of a record's images. Raises `DataError`.

        Images are looked for and their headers read, but no pixel is decoded.
        """
        with _name_source(record):
            if self.tiles is not None:
                sizes = map(self.images.read_size, record.images)
                return [self.tiles.count_image_tokens(size) for size in sizes]
            for name in record.images:
                self.images.check(name)
        return [self.tokens_per_image] * len(record.images)

    def _count_image_tokens(self, image_size: Size) -> int:
        if self.tiles is None:
            return self.tokens_per_image
        return self.tiles.count_image_tokens(image_size)

    def _read_images(self, record: Record) -> list[PreparedImage]:
        with _name_source(record):
            return [self.images.read(name) for name in record.images]


@contextmanager
def _name_source(record: Record) -> Iterator[None]:
    """Have errors say which record they are about."""
    try:
        yield
    except DataError as error:
        raise type(error)(f"{record.source}: {error}") from None


def find_flaws(
    dataset: TuningDataset, remarks: Counter[Remark], advance: Callable[[], object] = lambda: None
) -> Iterator[tuple[int, DataError]]:
    """Yield each bad record's index and what is wrong with it.

    Counts what is odd about the others in `remarks`, and calls `advance` after each record.
    """
    for index in range(len(dataset)):
        try:
            remarks.update(dataset.check(dataset.read_record(index)))
        except DataError as error:
            yield index, type(error)(str(error))  # the caught one keeps the record alive
        advance()


def collate(examples: Sequence[Example]) -> Batch:
    """Pad examples on the right, as training expects them."""
    return Batch(
        input_ids=_pad([each["input_ids"] for each in examples], 0),
        labels=_pad([each["labels"] for each in examples], IGNORED),
        attention_mask=_pad([torch.ones_like(each["input_ids"]) for each in examples], 0),
        pixel_values=torch.cat([each["pixel_values"] for each in examples]),
        num_views=torch.cat([each["num_views"] for each in examples]),
        image_sizes=torch.cat([each["image_sizes"] for each in examples]),
        image_lengths=torch.cat([each["image_lengths"] for each in examples]),
    )


def _pad(rows: Sequence[Tensor], value: int) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)
