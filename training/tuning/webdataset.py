"""WebDataset's shards: tar files whose members of one name are one sample.

https://github.com/webdataset/webdataset, "The WebDataset format".
"""

import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training.tuning.errors import NO_JSON, DataError

# A sample's key is its members' path up to the first dot of the name; the rest tells the kind.
_MEMBER: Final = re.compile(r"((?:.*/)?[^/.]+)\.([^/]+)")
_IMAGE: Final = re.compile(r"(.*\.)?(jpe?g|png|webp|gif|bmp|tiff?|avif|heic|jp2|ppm|img)", re.I)


@dataclass(frozen=True, slots=True)
class TarMember:
    """A file within a shard: `size` bytes from `start`."""

    shard: Path
    name: str
    start: int
    size: int

    def read(self, max_bytes: int = -1) -> bytes:
        """Return its bytes, or the first `max_bytes` of them."""
        with self.shard.open("rb") as file:
            file.seek(self.start)
            return file.read(self.size if max_bytes < 0 else min(self.size, max_bytes))

    def __str__(self) -> str:
        return f"{self.name} of {self.shard}"


class WebDatasetShard:
    """A shard with an image or several in each sample, and what is said about them.

    That is a record in `KEY.json`, or a caption in `KEY.txt`. Only where members lie is kept in
    memory.
    """

    def __init__(self, path: Path) -> None:
        """Raise `DataError`."""
        self._path = path
        self._samples: dict[str, dict[str, TarMember]] = {}
        self._repeated: dict[str, str] = {}  # by key, the kind that a sample has twice
        try:
            for member in _list_members(path):
                if match := _MEMBER.fullmatch(member.name):
                    self._add(match[1], match[2].lower(), member)
        except (OSError, tarfile.TarError) as error:
            raise DataError(f"{path} is not an uncompressed tar file: {error}") from None
        self._keys = list(self._samples)

    def __len__(self) -> int:
        return len(self._keys)

    def read(self, index: int) -> Any:
        """Return a sample as a record; its images are `TarMember`s. Raises `DataError`."""
        key = self._keys[index]
        sample = self._samples[key]
        if key in self._repeated:
            raise DataError(f"{self.describe(index)} has two members .{self._repeated[key]}")
        if not sample.keys() & {"json", "txt"}:
            raise DataError(f"{self.describe(index)} has neither a .json nor a .txt")
        record = self._read_json(index, sample)
        images = [member for kind, member in sample.items() if _IMAGE.fullmatch(kind)]
        if "txt" in sample and not (isinstance(record, Mapping) and "conversations" in record):
            if not images:
                raise DataError(f"{self.describe(index)} has a caption and no image")
            record = self._build_captioned(index, sample)
        if images and isinstance(record, Mapping):
            return {"id": key, **record, "image": images}
        return record

    def describe(self, index: int) -> str:
        """Return the file and the sample's key."""
        return f"{self._path}, sample {self._keys[index]}"

    def _add(self, key: str, kind: str, member: TarMember) -> None:
        sample = self._samples.setdefault(key, {})
        if kind in sample:
            self._repeated[key] = kind
        sample[kind] = member

    def _read_json(self, index: int, sample: Mapping[str, TarMember]) -> Any:
        if "json" not in sample:
            return {}
        try:
            return json.loads(sample["json"].read())
        except NO_JSON as error:
            raise DataError(f"{self.describe(index)} has no usable .json: {error}") from None

    def _build_captioned(self, index: int, sample: Mapping[str, TarMember]) -> dict[str, Any]:
        try:
            caption = sample["txt"].read().decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{self.describe(index)} has no usable .txt: {error}") from None
        turns = [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": caption}]
        return {"conversations": turns}


def _list_members(path: Path) -> list[TarMember]:
    """Return a tar's files. Raises `OSError`, `tarfile.TarError`."""
    with tarfile.open(path, "r:") as tar:
        members = [
            TarMember(path, each.name, each.offset_data, each.size)
            for each in tar
            if each.isreg() and not each.issparse()
        ]
        # tarfile takes a damaged header for the end.
        if any(_read_block(path, tar.offset)):
            raise tarfile.ReadError(f"it is damaged at byte {tar.offset}")
    return members


def _read_block(path: Path, start: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(tarfile.BLOCKSIZE)
