"""JSON schemas of clients: bounded in depth, and rewritten for the grammar's compiler."""

from typing import Any, Final

from server.errors import InvalidValue
from server.structured_outputs.discriminated_unions import discriminated_oneof_to_anyof
from server.structured_outputs.narrowing import build_any_object_schema, narrow_schema

# vLLM's own limit; OpenAI allows 10 levels of objects, each of which takes two here.
MAX_DEPTH: Final = 64


def check_nesting(schema: dict[str, Any], param: str) -> None:
    """Raise `InvalidValue`, naming `param`, where objects and lists are nested too deeply.

    All that walks a schema does so by recursion.
    """
    level: list[Any] = [schema]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _list_children(node)]
        if not level:
            return
    raise InvalidValue(f"The schema is nested more than {MAX_DEPTH} levels deep.", param)


def prepare_schema(schema: dict[str, Any] | None, char_budget: int) -> dict[str, Any]:
    """Return the schema that the compiler gets for a client's schema, None for any object.

    `schema` has passed `check_nesting`. `char_budget` is the approximate length of the JSON.
    """
    if schema is None:
        return build_any_object_schema(char_budget)
    return narrow_schema(discriminated_oneof_to_anyof(schema), char_budget)


def _list_children(node: Any) -> list[Any]:
    children = node.values() if isinstance(node, dict) else node
    return [child for child in children if isinstance(child, dict | list)]
