"""How deeply a schema may be nested: whatever walks one does so by recursion."""

from typing import Any, Final

from server.errors import InvalidValue

# vLLM's own limit; OpenAI allows 10 levels of objects, each of which takes two here.
MAX_DEPTH: Final = 64


def check_nesting(schema: dict[str, Any], param: str) -> None:
    """Raise `InvalidValue` where objects and lists are nested too deeply."""
    level: list[Any] = [schema]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise InvalidValue(f"The schema is nested more than {MAX_DEPTH} levels deep.", param)


def _children(node: Any) -> list[Any]:
    children = node.values() if isinstance(node, dict) else node
    return [child for child in children if isinstance(child, dict | list)]
