"""Converts a written release and reads the result."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from model_store.convert.conversion import plan_conversion, write_conversion
from tests.model_store.released import WrittenRelease


@dataclass(frozen=True, slots=True)
class Converted:
    """The content of a converted checkpoint."""

    path: Path
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    tokenizer: Tokenizer

    def json(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.path / name).read_text())
        return content


def convert(
    released: WrittenRelease, out: Path, conv_mode: str | None = None, dtype: str | None = None
) -> Converted:
    """Convert with the release's own tower and base."""
    write_conversion(
        plan_conversion(released.path, released.tower, released.base, conv_mode, dtype), out
    )
    return read_converted(out)


def read_converted(path: Path) -> Converted:
    """Read a converted checkpoint, its weights in one file or in shards."""
    tensors: dict[str, Tensor] = {}
    for file in sorted(path.glob("*.safetensors")):
        tensors |= load_file(file)
    return Converted(
        path,
        json.loads((path / "config.json").read_text()),
        tensors,
        Tokenizer.from_file(str(path / "tokenizer.json")),
    )
