"""Tools in the words of a template that knows of none."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.prompt.turns import Conversation, Turn, join_turns
from server.protocol.tools import Tool
from server.tools.format import format_tool_call, format_tool_result


@dataclass(frozen=True, slots=True)
class PromptTools:
    """Tools that the model may call: as they are, and described in words."""

    tools: Sequence[Tool]
    description: str


def render_tools_as_text(
    conversation: Conversation, description: str | None, default_system: str
) -> Conversation:
    """Return the conversation with tools, calls and results as text.

    The description follows the system text. What tools return is the user's to say.
    """
    system = conversation.system
    if description is not None:
        system = default_system if system is None else system
        system = f"{system}\n\n{description}" if system else description
    turns = join_turns(_spelt(turn) for turn in conversation.turns)
    return Conversation(system, turns)


def _spelt(turn: Turn) -> Turn:
    if turn.role == "tool":
        return Turn("user", format_tool_result(turn.name or "", turn.text), 0)
    if not turn.calls:
        return turn
    calls = [format_tool_call(call.function.name, call.function.arguments) for call in turn.calls]
    return Turn(turn.role, turn.text + "".join(calls), 0)
