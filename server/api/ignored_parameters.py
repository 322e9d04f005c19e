"""The header that names the unknown fields of a request that were ignored."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

IGNORED_HEADER: Final = "x-llava-ignored-parameters"
# Names in one header.
MAX_NAMES: Final = 32


def build_ignored_header(paths: Sequence[str]) -> dict[str, str]:
    """Return the header with the paths of ignored fields, percent-encoded; none without any."""
    if not paths:
        return {}
    names = [quote(path, safe="[]._-$") for path in paths[:MAX_NAMES]]
    if len(paths) > MAX_NAMES:
        names.append(f"and {len(paths) - MAX_NAMES} more")
    return {IGNORED_HEADER: ", ".join(names)}
