"""Grammar rules of tool calls in the generic format."""

import json
from typing import Final

from server.protocol.tools import Function
from server.structured_outputs.schema import build_json_rule, check_nesting
from server.tools.callable_tools import CallableTools
from server.tools.format import CALL_BEGIN, CALL_END, format_call_head

NO_PARAMETERS: Final = {"type": "object", "properties": {}, "additionalProperties": False}


def build_tool_rules(tools: CallableTools, char_budget: int) -> str:
    """Return the rules `calls` (without the first `CALL_BEGIN`) and `call`.

    `char_budget` is the approximate length of one call. Raises `InvalidValue` where the parameters
    of a tool are nested too deeply, even if the model may not call it.
    """
    params = {}
    for index, tool in enumerate(tools.declared):
        param = f"tools[{index}].function.parameters"
        check_nesting(tool.function.parameters or {}, param)
        params[tool.function.name] = param
    calls = "call"
    if tools.parallel:
        calls += f" ({json.dumps(CALL_BEGIN)} call)*"
    alternatives = "\n    | ".join(
        _build_call(function, params[function.name], char_budget) for function in tools.functions
    )
    return f"calls: {calls}\ncall: {alternatives}\n"


def _build_call(function: Function, param: str, char_budget: int) -> str:
    head, end = json.dumps(format_call_head(function.name)), json.dumps(CALL_END)
    char_budget -= len(CALL_BEGIN) + len(head) + len(end)
    arguments = build_json_rule(function.parameters or NO_PARAMETERS, param, char_budget)
    return f"{head} ({arguments}) {end}"
