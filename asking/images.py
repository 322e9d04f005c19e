"""Images of questions, as base64 `data:` URLs."""

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asking.errors import RunError

_SIGNATURES: Final = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


@dataclass(frozen=True, slots=True)
class QuestionImage:
    """An image; `load` returns its encoded bytes, `name` identifies it."""

    name: str
    load: Callable[[], bytes]

    def to_data_url(self) -> str:
        """Return a base64 `data:` URL. Raises `RunError` for an unknown format."""
        data = self.load()
        return f"data:{detect_kind(data, self.name)};base64,{base64.b64encode(data).decode()}"


def detect_kind(start: bytes, name: str) -> str:
    """Return the MIME type by an image's first bytes. Raises `RunError` for an unknown format."""
    kinds = (kind for signature, kind in _SIGNATURES.items() if start.startswith(signature))
    kind = next(kinds, None)
    if kind is None:
        raise RunError(f"{name}: neither PNG, JPEG, GIF nor WebP")
    return kind


def find_image(name: str, *paths: Path) -> QuestionImage:
    """Return the first of `paths` that is a file.

    Its first bytes are read now, so that a run does not end midway at a file that is not an image.
    Raises `RunError` for such a file, and if none exists.
    """
    for path in paths:
        if os.path.isfile(path):
            _check(name, path)
            return QuestionImage(name, path.read_bytes)
    looked = ", ".join(map(str, paths))
    raise RunError(f"the image {name} is missing; looked for {looked}")


def _check(name: str, path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(max(map(len, _SIGNATURES)))
    except OSError as error:
        raise RunError(f"the image {name} cannot be read: {error.strerror}") from None
    detect_kind(start, name)
