"""The size of JSON values that requests carry unread: schemas, parameters, template options."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

# Longer than any schema; OpenAI allows 120,000 characters of names and values.
MAX_JSON_CHARACTERS: Final = 500_000


def count_json_characters(value: Any, limit: int = MAX_JSON_CHARACTERS) -> int:
    """Return about the length of a value as compact JSON; stop counting beyond `limit`.

    Never more than the JSON has: escapes and the digits of numbers count as one character.
    """
    total, pending = 0, [value]
    while pending and total <= limit:
        node = pending.pop()
        if isinstance(node, dict):
            total += 1 + sum(map(len, node)) + 4 * len(node)
            pending.extend(node.values())
        elif isinstance(node, list):
            total += 1 + len(node)
            pending.extend(node)
        else:
            total += len(node) if isinstance(node, str) else 1
    return total


def _check_size(value: dict[str, Any]) -> dict[str, Any]:
    if count_json_characters(value) > MAX_JSON_CHARACTERS:
        raise PydanticCustomError("json_size", "This is too large")
    return value


# A schema, or another object whose content this server passes on.
JsonObject = Annotated[dict[str, Any], AfterValidator(_check_size)]
