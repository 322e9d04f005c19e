"""The `Content-Encoding` header and its decoders."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from server.api.inflating.decoders import (
    BrotliDecoder,
    CorruptData,
    Decoder,
    DeflateDecoder,
    GzipDecoder,
    ZstdDecoder,
)
from server.errors import BodyTooLarge, InvalidContentEncoding, UnsupportedContentEncoding

MAX_CODINGS: Final = 2
DECODERS: Final[Mapping[str, Callable[[], Decoder]]] = {
    "gzip": GzipDecoder,
    "x-gzip": GzipDecoder,
    "deflate": DeflateDecoder,
    "br": BrotliDecoder,
    "zstd": ZstdDecoder,
}


def parse_codings(headers: Sequence[str]) -> list[str]:
    """Return the codings of all `Content-Encoding` headers, in the order in which to undo them.

    Raises `UnsupportedContentEncoding` (415).
    """
    names = [name.strip().lower() for header in headers for name in header.split(",")]
    codings = [name for name in names if name not in ("", "identity")]
    if len(codings) > MAX_CODINGS or not DECODERS.keys() >= set(codings):
        raise UnsupportedContentEncoding(
            "This Content-Encoding is not supported: send the body as it is, or as gzip, deflate,"
            f" br or zstd, or as {MAX_CODINGS} of them."
        )
    return codings[::-1]


class Inflater:
    """Undoes all codings of one body. No stage may produce more than `max_bytes`."""

    def __init__(self, codings: Sequence[str], max_bytes: int) -> None:
        self._codings = codings
        self._decoders = [DECODERS[coding]() for coding in codings]
        self._produced = [0] * len(codings)
        self._max_bytes = max_bytes

    def inflate(self, data: bytes) -> Iterator[bytes]:
        """Yield the body's bytes, in bounded steps; pieces may be empty.

        Raises `InvalidContentEncoding` and `BodyTooLarge` (413).
        """
        return self._run(0, data)

    def _run(self, stage: int, data: bytes) -> Iterator[bytes]:
        if stage == len(self._decoders):
            yield data
            return
        try:
            for piece in self._decoders[stage].decode(data):
                self._count(stage, len(piece))
                yield from self._run(stage + 1, piece)
        except CorruptData as error:
            raise self._describe(stage, error) from None

    def _count(self, stage: int, num_bytes: int) -> None:
        self._produced[stage] += num_bytes
        if self._produced[stage] > self._max_bytes:
            raise BodyTooLarge(
                f"The request body exceeds the limit of {self._max_bytes} bytes once decompressed."
            )

    def finish(self) -> None:
        """Raise `InvalidContentEncoding` unless the body was complete."""
        for stage, decoder in enumerate(self._decoders):
            try:
                decoder.finish()
            except CorruptData as error:
                raise self._describe(stage, error) from None

    def _describe(self, stage: int, error: CorruptData) -> InvalidContentEncoding:
        return InvalidContentEncoding(f"The body is not valid {self._codings[stage]}: {error}.")
