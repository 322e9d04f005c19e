"""How tool calls are spelt for models that have no format of their own.

<tool_call>
{"name": "get_weather", "arguments": {"city": "Paris"}}
</tool_call>

A grammar holds the model to it, so that a call can always be read.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final

from server.protocol.tools import Function

CALL_BEGIN: Final = "<tool_call>"
ARGUMENTS: Final = ', "arguments": '
CALL_END: Final = "}\n</tool_call>"

# Short, since it is part of each prompt that tools come with.
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
    """Return what comes between `CALL_BEGIN` and a call's arguments."""
    return f'\n{{"name": {json.dumps(name)}{ARGUMENTS}'


def format_tool_call(name: str, arguments: str) -> str:
    """Spell a call as the model would; `arguments` is JSON text."""
    return f"{CALL_BEGIN}{format_call_head(name)}{arguments}{CALL_END}"


def format_tool_result(name: str, content: str) -> str:
    """Spell what a function returned."""
    returned = json.dumps({"name": name, "content": content}, ensure_ascii=False)
    return f"<tool_response>\n{returned}\n</tool_response>"


def describe_tools(functions: Sequence[Function], *, required: bool, parallel: bool) -> str:
    """Return the part of the system text that tells the model of its tools."""
    choice = ("" if required else OPTIONAL) + ("" if parallel else ONE_ONLY)
    return DESCRIPTION.format(functions="\n".join(_described(functions)), choice=choice)


def _described(functions: Iterable[Function]) -> Iterable[str]:
    for function in functions:
        content = function.model_dump(exclude_none=True, exclude={"strict"})
        yield json.dumps(content, ensure_ascii=False)
