"""The header that names the unknown fields of a request that were ignored."""

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

IGNORED_HEADER: Final = "x-llava-ignored-parameters"
# Bytes of the header's value; many clients and proxies accept 8 KiB of headers in all.
MAX_LENGTH: Final = 2048
SEPARATOR: Final = ", "


def build_ignored_header(paths: Sequence[str]) -> dict[str, str]:
    """Return the header with the paths of ignored fields, percent-encoded; none without any."""
    if not paths:
        return {}
    names = list(_take_names(paths))
    if len(paths) > len(names):
        names.append(f"and {len(paths) - len(names)} more")
    return {IGNORED_HEADER: SEPARATOR.join(names)}


def _take_names(paths: Sequence[str]) -> Iterator[str]:
    """Yield names while they, and the count of the remaining ones, fit."""
    room = MAX_LENGTH - len(SEPARATOR + f"and {len(paths)} more")
    for path in paths:
        name = quote(path, safe="[]._-$")
        room -= len(name + SEPARATOR)
        if room < 0:
            return
        yield name
