"""From messages to turns: the system's text, then one speaker after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.errors import InvalidValue
from server.protocol.messages import Message


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker's words, after neighbouring messages of one role have been joined."""

    role: str
    text: str
    num_images: int


def split_turns(messages: Sequence[Message]) -> tuple[str | None, list[Turn]]:
    """Separate the system text (None if there is none) from the turns.

    Neighbouring messages of one role become one turn. Raises `InvalidValue` where the
    conversation does not end with the user, or an image comes without words.
    """
    system: list[str] = []
    turns: list[Turn] = []
    last_index = 0
    for index, message in enumerate(messages):
        if message.role in ("system", "developer"):
            system.append(message.text)
            continue
        turn = Turn(message.role, message.text, len(message.images))
        if turns and turns[-1].role == message.role:
            turn = _joined(turns.pop(), turn)
        elif turns:
            _check_has_text(turns[-1], last_index)
        turns.append(turn)
        last_index = index
    if not turns or turns[-1].role != "user":
        raise InvalidValue("The last message must be the user's.", "messages")
    _check_has_text(turns[-1], last_index)
    return "\n".join(system) if system else None, turns


def _joined(first: Turn, second: Turn) -> Turn:
    text = "\n".join(text for text in (first.text, second.text) if text)
    return Turn(first.role, text, first.num_images + second.num_images)


def _check_has_text(turn: Turn, index: int) -> None:
    if turn.num_images and not turn.text.strip():
        raise InvalidValue(
            "An image needs a question: the message holds no text.", f"messages[{index}].content"
        )
