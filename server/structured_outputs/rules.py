"""Rules of a grammar in llguidance's Lark: JSON schemas, regular expressions, choices, tool calls.

https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from server.protocol.tools import Function
from server.structured_outputs.discriminated_unions import discriminated_oneof_to_anyof
from server.structured_outputs.narrowing import narrow_schema
from server.tools.format import CALL_BEGIN, CALL_END, format_call_head

# A space after commas and colons, or none; weak models are fond of white space without end.
WHITE_SPACE: Final = {
    "whitespace_flexible": False,
    "item_separator": ", ?",
    "key_separator": ": ?",
}
NO_PARAMETERS: Final = {"type": "object", "properties": {}, "additionalProperties": False}
ANYTHING: Final = r"/(.|\n)*/"
# What ends a regular expression within a rule, and escapes, which are left alone.
UNSAFE: Final = re.compile(r"\\?[/\n\r]|\\.")
SAFE: Final = {"/": r"\/", "\n": r"\n", "\r": r"\r"}


def build_json_rule(schema: dict[str, Any], room: int) -> str:
    """Return the rule of JSON that satisfies a schema, for answers of so many characters, about."""
    narrowed = narrow_schema(discriminated_oneof_to_anyof(schema), room)
    return "%json " + json.dumps({**narrowed, "x-guidance": WHITE_SPACE})


def build_regex_rule(pattern: str) -> str:
    """Return the rule of text that a regular expression matches from begin to end."""
    escaped = UNSAFE.sub(lambda found: SAFE.get(found[0][-1], found[0]), pattern)
    return f"/{escaped}/"


def build_choice_rule(choices: Sequence[str]) -> str:
    """Return the rule of one out of several texts."""
    return " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)


def build_tool_rules(functions: Sequence[Function], room: int, *, parallel: bool) -> str:
    """Return the rules `calls`, without the first `CALL_BEGIN`, and `call`."""
    calls = "call"
    if parallel:
        calls += f" ({json.dumps(CALL_BEGIN)} call)*"
    alternatives = "\n    | ".join(_call(function, room) for function in functions)
    return f"calls: {calls}\ncall: {alternatives}\n"


def _call(function: Function, room: int) -> str:
    head, end = json.dumps(format_call_head(function.name)), json.dumps(CALL_END)
    room -= len(CALL_BEGIN) + len(head) + len(end)
    return f"{head} ({build_json_rule(function.parameters or NO_PARAMETERS, room)}) {end}"
