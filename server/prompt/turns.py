"""From messages to turns: the system's text, then one speaker after the other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from server.errors import InvalidValue
from server.protocol.chat.messages import Message
from server.protocol.tools import ToolCall


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker's words, after neighbouring messages of one role have been joined.

    An assistant's may hold calls of tools; a turn of the role `tool` holds what the tool `name`
    returned, and belongs to the call `call_id`.
    """

    role: str
    text: str
    num_images: int
    calls: tuple[ToolCall, ...] = ()
    name: str | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A system text (None if there is none) and the turns."""

    system: str | None
    turns: Sequence[Turn]

    @property
    def num_characters(self) -> int:
        """How much there is to tokenise, about."""
        return len(self.system or "") + sum(len(turn.text) for turn in self.turns)


def split_turns(messages: Sequence[Message]) -> Conversation:
    """Separate the system text from the turns.

    Neighbouring messages of one role become one turn, unless they are of tools or call some.
    Raises `InvalidValue` where the conversation ends with the assistant, an image comes without
    words, or a tool answers without having been called.
    """
    system: list[str] = []
    turns: list[Turn] = []
    names: dict[str, str] = {}
    last_index = 0
    for index, message in enumerate(messages):
        if message.role in ("system", "developer"):
            system.append(message.text)
            continue
        turn = _turn(message, names, index)
        names.update({call.id: call.function.name for call in turn.calls})
        if turns and turns[-1].role != turn.role:
            _check_has_text(turns[-1], last_index)
        turns.append(turn)
        turns[-2:] = join_turns(turns[-2:])
        last_index = index
    if not turns or turns[-1].role == "assistant":
        raise InvalidValue("The last message must be the user's or a tool's.", "messages")
    _check_has_text(turns[-1], last_index)
    return Conversation("\n".join(system) if system else None, turns)


def join_turns(turns: Iterable[Turn]) -> list[Turn]:
    """Join neighbours of one role, but for those that belong to tools."""
    result: list[Turn] = []
    for turn in turns:
        if result and _alike(result[-1], turn):
            result[-1] = _join(result[-1], turn)
        else:
            result.append(turn)
    return result


def _turn(message: Message, names: dict[str, str], index: int) -> Turn:
    name = None
    if message.role == "tool":
        name = names.get(message.tool_call_id or "")
        if name is None:
            raise InvalidValue(
                "No earlier message holds the tool call that this one answers.",
                f"messages[{index}].tool_call_id",
            )
    return Turn(
        message.role,
        message.text,
        len(message.images),
        tuple(message.tool_calls or ()),
        name,
        message.tool_call_id,
    )


def _alike(first: Turn, second: Turn) -> bool:
    return first.role == second.role != "tool" and not first.calls and not second.calls


def _join(first: Turn, second: Turn) -> Turn:
    text = "\n".join(text for text in (first.text, second.text) if text)
    return Turn(first.role, text, first.num_images + second.num_images)


def _check_has_text(turn: Turn, index: int) -> None:
    if turn.num_images and not turn.text.strip():
        raise InvalidValue(
            "An image needs a question: the message holds no text.", f"messages[{index}].content"
        )
