"""Names of API keys, which appear in logs, metrics and the file's headings."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
# Prefix of the names given to keys in LLAVA_API_KEYS, which have none of their own.
ENV_PREFIX: Final = "env-"


def check_name(name: str) -> str:
    """Return a name for a key of the file. Raises `ValueError`."""
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a name for a key: use up to 64 letters, digits, dots, dashes and"
            " underscores"
        )
    if name.startswith(ENV_PREFIX):
        raise ValueError(f"names that begin with '{ENV_PREFIX}' are those of LLAVA_API_KEYS")
    return name


def find_nested_names(name: str, table: Mapping[str, Any]) -> Iterator[str]:
    """Yield names with dots of the tables in a key's table, each of the first one in it."""
    for part, value in table.items():
        nested = name
        while isinstance(value, Mapping) and NAME.fullmatch(nested):
            nested = f"{nested}.{part}"
            part, value = next(iter(value.items()), ("", None))
        if nested != name and NAME.fullmatch(nested):
            yield nested
