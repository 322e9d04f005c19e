"""Rules for JSON that satisfies a client's schema.

The schema is bounded in depth, rewritten for the grammar's compiler and narrowed.
"""

import json
from typing import Any, Final

from server.errors import InvalidValue
from server.structured_outputs.ignored_keywords import drop_ignored_keywords
from server.structured_outputs.narrowing import narrow_schema
from server.structured_outputs.one_of import discriminated_oneof_to_anyof
from server.structured_outputs.property_names import (
    check_property_names,
    spell_out_property_names,
)
from server.structured_outputs.subschemas import Schema

# vLLM's own limit; OpenAI allows 10 levels of objects, each of which takes two here.
MAX_DEPTH: Final = 64
# Smaller schemas are rewritten and dumped on the event loop.
MAX_INLINE_SCHEMA_CHARACTERS: Final = 8192
# One space or none after commas and colons; weak models generate white space without end.
WHITE_SPACE: Final = {
    "whitespace_flexible": False,
    "item_separator": ", ?",
    "key_separator": ": ?",
}


def build_json_rule(schema: Schema) -> str:
    """Return the rule of JSON that satisfies a schema."""
    return "%json " + json.dumps({**prepare_schema(schema), "x-guidance": WHITE_SPACE})


def prepare_schema(schema: Schema) -> Schema:
    """Return a client's schema rewritten for the compiler."""
    rewritten = discriminated_oneof_to_anyof(spell_out_property_names(schema))
    return drop_ignored_keywords(narrow_schema(rewritten))


def check_schema(schema: Schema, param: str) -> None:
    """Raise `InvalidValue`, naming `param`, if a schema would take too much work."""
    check_nesting(schema, param)
    check_property_names(schema, param)


def check_nesting(schema: Schema, param: str) -> None:
    """Raise `InvalidValue`, naming `param`, if objects and lists are nested too deeply.

    Everything that walks a schema recurses.
    """
    level: list[Any] = [schema]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _list_children(node)]
        if not level:
            return
    raise InvalidValue(f"The schema is nested more than {MAX_DEPTH} levels deep.", param)


def _list_children(node: Any) -> list[Any]:
    children = node.values() if isinstance(node, dict) else node
    return [child for child in children if isinstance(child, dict | list)]
