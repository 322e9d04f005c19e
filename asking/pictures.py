"""Pictures on their way into a request."""

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
class Picture:
    """`load` makes the encoded bytes when they are needed; `name` tells pictures apart."""

    name: str
    load: Callable[[], bytes]

    def data_url(self) -> str:
        """The picture as a base64 `data:` URL. Raises `RunError`."""
        data = self.load()
        kind = next((kind for start, kind in _SIGNATURES.items() if data.startswith(start)), None)
        if kind is None:
            raise RunError(f"{self.name}: neither PNG, JPEG, GIF nor WebP")
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def picture_file(name: str, *places: Path) -> Picture:
    """The first of `places` that is a file. Raises `RunError` where none is."""
    for place in places:
        if place.is_file():
            return Picture(name, place.read_bytes)
    looked = ", ".join(map(str, places))
    raise RunError(f"the image {name} is missing; looked for {looked}")
