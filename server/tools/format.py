"""The generic tool-call format, for models without a native one.

<tool_call>
{"name": "get_weather", "arguments": {"city": "Paris"}}
</tool_call>

A grammar enforces it, so every call can be parsed.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final

from server.protocol.tools import Function

CALL_BEGIN: Final = "<tool_call>"
ARGUMENTS: Final = ', "arguments": '
CALL_END: Final = "}\n</tool_call>"

# Short, since every prompt with tools contains it.
DESCRIPTION: Final = """\
Functions that can be called:
{functions}
A call is all of an answer, in this form:
<tool_call>
{{"name": …, "arguments": {{…}}}}
</tool_call>{choice}"""
OPTIONAL: Final = "\nWhere none is of use, answer directly."
ONE_ONLY: Final = "\nMake one call at a time."


def format_call_head(name: str) -> str:
    """Return the text between `CALL_BEGIN` and a call's arguments."""
    return f'\n{{"name": {json.dumps(name)}{ARGUMENTS}'


def format_tool_call(name: str, arguments: str) -> str:
    """Return a call as the model writes it; `arguments` is JSON text."""
    return f"{CALL_BEGIN}{format_call_head(name)}{arguments}{CALL_END}"


def format_tool_result(name: str, content: str) -> str:
    """Return a function's result as the model reads it."""
    result = json.dumps({"name": name, "content": content}, ensure_ascii=False)
    return f"<tool_response>\n{result}\n</tool_response>"


def describe_tools(functions: Sequence[Function], *, required: bool, parallel: bool) -> str:
    """Return the part of the system text that describes the functions to the model."""
    choice = ("" if required else OPTIONAL) + ("" if parallel else ONE_ONLY)
    return DESCRIPTION.format(functions="\n".join(_format_functions(functions)), choice=choice)


def _format_functions(functions: Iterable[Function]) -> Iterable[str]:
    for function in functions:
        content = function.model_dump(exclude_none=True, exclude={"strict"})
        yield json.dumps(content, ensure_ascii=False)
