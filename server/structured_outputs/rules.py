"""Rules of a grammar in llguidance's Lark: JSON schemas, regular expressions, choices, tool calls.

https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from server.protocol.tools import Function
from server.structured_outputs.schema import prepare_schema
from server.tools.format import CALL_BEGIN, CALL_END, format_call_head

# One space or none after commas and colons; weak models generate white space without end.
WHITE_SPACE: Final = {
    "whitespace_flexible": False,
    "item_separator": ", ?",
    "key_separator": ": ?",
}
NO_PARAMETERS: Final = {"type": "object", "properties": {}, "additionalProperties": False}
ANY_TEXT: Final = r"/(.|\n)*/"
# Characters that end a regular expression within a rule, and escapes, which stay as they are.
UNSAFE: Final = re.compile(r"\\?[/\n\r]|\\.")
ESCAPES: Final = {"/": r"\/", "\n": r"\n", "\r": r"\r"}


def build_json_rule(schema: dict[str, Any] | None, char_budget: int) -> str:
    """Return the rule of JSON that satisfies a schema, or of any JSON object if it is None.

    `schema` has passed `check_nesting`. `char_budget` is the approximate length of the JSON.
    """
    prepared = prepare_schema(schema, char_budget)
    return "%json " + json.dumps({**prepared, "x-guidance": WHITE_SPACE})


def build_regex_rule(pattern: str) -> str:
    """Return the rule of text that a regular expression matches from beginning to end."""
    escaped = UNSAFE.sub(lambda match: ESCAPES.get(match[0][-1], match[0]), pattern)
    return f"/{escaped}/"


def build_choice_rule(choices: Sequence[str]) -> str:
    """Return the rule of one of several texts."""
    return " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)


def build_tool_rules(functions: Sequence[Function], char_budget: int, *, parallel: bool) -> str:
    """Return the rules `calls` (without the first `CALL_BEGIN`) and `call`.

    `char_budget` is the approximate length of one call; `parallel` admits several calls.
    """
    calls = "call"
    if parallel:
        calls += f" ({json.dumps(CALL_BEGIN)} call)*"
    alternatives = "\n    | ".join(_build_call(function, char_budget) for function in functions)
    return f"calls: {calls}\ncall: {alternatives}\n"


def _build_call(function: Function, char_budget: int) -> str:
    head, end = json.dumps(format_call_head(function.name)), json.dumps(CALL_END)
    char_budget -= len(CALL_BEGIN) + len(head) + len(end)
    return f"{head} ({build_json_rule(function.parameters or NO_PARAMETERS, char_budget)}) {end}"
