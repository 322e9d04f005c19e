"""Splits messages into the system text and the turns."""

from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from server.errors import InvalidValue
from server.prompt.segments import Modality
from server.protocol.chat.messages import Message
from server.protocol.chat.template_fields import PromptEnding, TemplateFields
from server.protocol.tools import ToolCall

PLAIN: Final = TemplateFields()
BEGIN_ANSWER: Final = TemplateFields(add_generation_prompt=True)


@dataclass(frozen=True, slots=True)
class Turn:
    """Consecutive messages of one role, joined.

    An assistant's turn may have tool calls. A turn of the role `tool` is the result of the function
    `name` for the call `call_id`. `video_places` holds the number of images before each video.
    """

    role: str
    text: str
    num_images: int
    calls: tuple[ToolCall, ...] = ()
    name: str | None = None
    call_id: str | None = None
    video_places: tuple[int, ...] = ()

    @property
    def media(self) -> list[Modality]:
        """The turn's images and videos, in order."""
        media: list[Modality] = ["image"] * self.num_images
        for number, place in enumerate(self.video_places):
            media.insert(place + number, "video")
        return media


@dataclass(frozen=True, slots=True)
class Conversation:
    """The system text or None, the turns, and how the prompt ends."""

    system: str | None
    turns: Sequence[Turn]
    ending: PromptEnding = PromptEnding.ANSWER

    @property
    def num_characters(self) -> int:
        """The approximate number of characters to tokenise."""
        calls = (call.function for turn in self.turns for call in turn.calls)
        return (
            len(self.system or "")
            + sum(len(turn.text) for turn in self.turns)
            + sum(len(call.name) + len(call.arguments) for call in calls)
        )


def split_turns(
    messages: Sequence[Message], template_fields: TemplateFields = PLAIN
) -> Conversation:
    """Separate the system text from the turns.

    Consecutive messages of one role become one turn, except tool results and messages with calls.
    Raises `InvalidValue` if there are no turns, a tool result has no matching call, or a message
    with calls is to be continued.
    """
    system: list[str] = []
    turns: list[Turn] = []
    names: dict[str, str] = {}
    for index, message in enumerate(messages):
        if message.role in ("system", "developer"):
            system.append(message.text)
            continue
        turn = _build_turn(message, names, index)
        names.update({call.id: call.function.name for call in turn.calls})
        turns.append(turn)
    return _end_conversation("\n".join(system) if system else None, turns, template_fields)


def _end_conversation(
    system: str | None, turns: Sequence[Turn], template_fields: TemplateFields
) -> Conversation:
    """Return the conversation with its ending; to continue an empty text is to begin an answer."""
    if not turns:
        raise InvalidValue("The conversation needs a user message.", "messages")
    ending = template_fields.choose_ending(turns[-1].role)
    joined = join_turns(turns)
    if ending is PromptEnding.CONTINUATION:
        if joined[-1].calls:
            raise InvalidValue(
                "The last message calls tools: their results must follow.", "messages"
            )
        if not joined[-1].text.strip():
            return _end_conversation(system, joined[:-1], BEGIN_ANSWER)
    return Conversation(system, joined, ending)


def join_turns(turns: Iterable[Turn]) -> list[Turn]:
    """Join consecutive turns of one role, except tool results and turns with calls."""
    groups: list[list[Turn]] = []
    for turn in turns:
        if groups and _can_join(groups[-1][-1], turn):
            groups[-1].append(turn)
        else:
            groups.append([turn])
    return [group[0] if len(group) == 1 else _join_group(group) for group in groups]


def _build_turn(message: Message, names: dict[str, str], index: int) -> Turn:
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
        _place_videos(message),
    )


def _place_videos(message: Message) -> tuple[int, ...]:
    images = [index for index, _ in message.images]
    return tuple(bisect(images, index) for index, _ in message.videos)


def _can_join(first: Turn, second: Turn) -> bool:
    return first.role == second.role != "tool" and not first.calls and not second.calls


def _join_group(turns: Sequence[Turn]) -> Turn:
    text = "\n".join(turn.text for turn in turns if turn.text)
    starts = accumulate((turn.num_images for turn in turns), initial=0)
    places = [
        start + place
        for start, turn in zip(starts, turns, strict=False)
        for place in turn.video_places
    ]
    num_images = sum(turn.num_images for turn in turns)
    return Turn(turns[0].role, text, num_images, video_places=tuple(places))
