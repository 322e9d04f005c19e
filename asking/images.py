"""Images of questions, as base64 `data:` URLs."""

import base64
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
        kind = next((kind for start, kind in _SIGNATURES.items() if data.startswith(start)), None)
        if kind is None:
            raise RunError(f"{self.name}: neither PNG, JPEG, GIF nor WebP")
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def find_image(name: str, *paths: Path) -> QuestionImage:
    """Return the first of `paths` that is a file. Raises `RunError` if none is."""
    for path in paths:
        if path.is_file():
            return QuestionImage(name, path.read_bytes)
    looked = ", ".join(map(str, paths))
    raise RunError(f"the image {name} is missing; looked for {looked}")
