"""The names of vLLM's own options, read from its source: to import it takes many seconds."""

import ast
from importlib.util import find_spec
from pathlib import Path


def read_field_names(module: str, class_name: str) -> frozenset[str]:
    """Return the annotated names of a class in a file of vLLM's package, such as `config/cache.py`.

    Empty where no engine is installed.
    """
    spec = find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        return frozenset()
    source = Path(spec.submodule_search_locations[0], module).read_text(encoding="utf-8")
    return frozenset(
        statement.target.id
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == class_name
        for statement in node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    )
