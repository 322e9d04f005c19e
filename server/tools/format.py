"""Formats tool calls, results and descriptions for models without a tool format of their own.

<tool_call>
{"name": "get_weather", "arguments": {"city": "Paris"}}
</tool_call>

A grammar constrains the model to this format, so a call always parses.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final

from server.protocol.tools import Function

CALL_BEGIN: Final = "<tool_call>"
ARGUMENTS: Final = ', "arguments": '
CALL_END: Final = "}\n</tool_call>"

# Short, since it is part of each prompt with tools.
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
    """Return a call as the model generates it; `arguments` is JSON text."""
    return f"{CALL_BEGIN}{format_call_head(name)}{arguments}{CALL_END}"


def format_tool_result(name: str, content: str) -> str:
    """Return a function's result as it stands in the prompt."""
    result = json.dumps({"name": name, "content": content}, ensure_ascii=False)
    return f"<tool_response>\n{result}\n</tool_response>"


def describe_tools(functions: Sequence[Function], *, required: bool, parallel: bool) -> str:
    """Return the part of the system text that describes the tools.

    `required`: the model must call one. `parallel`: it may make several calls.
    """
    choice = ("" if required else OPTIONAL) + ("" if parallel else ONE_ONLY)
    return DESCRIPTION.format(functions="\n".join(_dump_functions(functions)), choice=choice)


def _dump_functions(functions: Iterable[Function]) -> Iterable[str]:
    for function in functions:
        fields = function.model_dump(exclude_none=True, exclude={"strict"})
        yield json.dumps(fields, ensure_ascii=False)
