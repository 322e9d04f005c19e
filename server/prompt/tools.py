"""Tools as text, for templates that do not support tools."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from server.prompt.turns import Conversation, Turn, join_turns
from server.protocol.tools import Tool
from server.tools.format import format_tool_call, format_tool_result


@dataclass(frozen=True, slots=True)
class PromptTools:
    """Tools that the model may call, and their description as text."""

    tools: Sequence[Tool]
    description: str


def render_tools_as_text(
    conversation: Conversation, description: str | None, default_system: str
) -> Conversation:
    """Return the conversation with tools, calls and results rendered as text.

    The description follows the system text. Results become user turns.
    """
    system = conversation.system
    if description is not None:
        system = default_system if system is None else system
        system = f"{system}\n\n{description}" if system else description
    turns = join_turns(_render_turn_as_text(turn) for turn in conversation.turns)
    return replace(conversation, system=system, turns=turns)


def _render_turn_as_text(turn: Turn) -> Turn:
    if turn.role == "tool":
        text = format_tool_result(turn.name or "", turn.text)
        return replace(turn, role="user", text=text, name=None, call_id=None)
    if not turn.calls:
        return turn
    calls = [format_tool_call(call.function.name, call.function.arguments) for call in turn.calls]
    return Turn(turn.role, turn.text + "".join(calls), 0)
