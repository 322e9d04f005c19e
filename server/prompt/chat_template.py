"""A checkpoint's own chat template: Jinja in a sandbox, fed with marks instead of anyone's words.

The template sees a mark where a message's words are, and these are put in after it has rendered.
So whatever a client writes is never taken for a special token or an image by anyone.
"""

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from jinja2 import TemplateError

from server.checkpoint.config import CheckpointError
from server.errors import InvalidValue
from server.prompt.jinja import TemplateRefusal, compile_template, find_undeclared_names
from server.prompt.segments import ImageSlot, Segment, TemplateText, UntrustedText
from server.prompt.turns import Conversation, Turn
from server.protocol.tools import Tool, ToolCall
from server.telemetry.logs import get_logger

log = get_logger(__name__)

Messages = list[dict[str, Any]]

# Text that cannot spell a special token, whatever the tokenizer.
HARMLESS: Final = re.compile(r"[\w.,:;/ -]*")

# What a template is tried with: a conversation, or if it cannot render one, its first turn.
PROBE: Final = (Turn("user", "look", 1), Turn("assistant", "seen", 0), Turn("user", "say", 0))
# How much of a template's own complaint a client gets to see.
MAX_COMPLAINT: Final = 200


class ChatTemplate:
    """Renders conversations by a checkpoint's template, as transformers would."""

    def __init__(self, source: str, special_tokens: Mapping[str, str], image_token: str) -> None:
        """Compile and try the template. Raises `CheckpointError`.

        `special_tokens` are what the template knows by name: `{"bos_token": "<s>", …}`.
        """
        try:
            self._template = compile_template(source)
        except TemplateError as error:
            raise CheckpointError(f"the chat template is not valid: {error}") from None
        self.source = source
        self._special_tokens = special_tokens
        self._image_token = image_token
        self._marks = re.compile(f"({Marks.PATTERN}|{re.escape(image_token)})")
        self._takes_parts = self._find_shape()
        self.takes_tools = "tools" in find_undeclared_names(source)

    def render(
        self,
        conversation: Conversation,
        tools: Sequence[Tool] = (),
        options: Mapping[str, Any] | None = None,
    ) -> list[Segment]:
        """Render a conversation up to where the answer begins.

        `options` are passed to the template by name, but for those that it gets anyhow.
        Raises `InvalidValue` where the template refuses it or does not place each image.
        """
        system, turns = conversation.system, conversation.turns
        marks = Marks(self._image_token)
        messages = [] if system is None else [Turn("system", system, 0)]
        rendered = self._run(
            [_message(turn, marks, as_parts=self._takes_parts) for turn in [*messages, *turns]],
            [marks.guarded(tool.model_dump(exclude_none=True)) for tool in tools],
            options or {},
        )
        segments = list(marks.segments(rendered, self._marks))
        _check_images(segments, sum(turn.num_images for turn in turns))
        return segments

    def _run(self, messages: Messages, tools: list[Any], options: Mapping[str, Any]) -> str:
        try:
            return self._render(messages, tools, options)
        except TemplateRefusal as refusal:
            complaint = " ".join(str(refusal).split())[:MAX_COMPLAINT]
            raise InvalidValue(
                f"The model's chat template refuses the messages: {complaint}", "messages"
            ) from None
        except Exception as error:  # a template may do anything wrong that Python can
            log.warning("the chat template failed", reason=f"{type(error).__name__}: {error}")
            raise InvalidValue(
                "The model's chat template cannot render these messages.", "messages"
            ) from None

    def _render(
        self, messages: Messages, tools: list[Any] | None, options: Mapping[str, Any]
    ) -> str:
        own = {
            "messages": messages,
            "tools": tools or None,
            "documents": None,
            "add_generation_prompt": True,
            **self._special_tokens,
        }
        return self._template.render({**options, **own})

    def _find_shape(self) -> bool:
        """Return whether the template takes parts. Raises `CheckpointError`."""
        for turns in (PROBE, PROBE[:1]):
            for as_parts in (True, False):
                if self._shows(turns, as_parts=as_parts):
                    return as_parts
        raise CheckpointError("the chat template does not show what a user says")

    def _shows(self, turns: Sequence[Turn], *, as_parts: bool) -> bool:
        """Try messages of this shape; on parts, one for strings fails or prints the lists."""
        marks = Marks(self._image_token)
        messages = [_message(turn, marks, as_parts=as_parts) for turn in turns]
        try:
            segments = list(marks.segments(self._render(messages, None, {}), self._marks))
        except Exception:  # as above
            return False
        prints_lists = any(
            "'type'" in each.text for each in segments if isinstance(each, TemplateText)
        )
        return all(UntrustedText(turn.text) in segments for turn in turns) and not prints_lists


class Marks:
    """Stands for the words of one conversation, in marks that nobody can guess."""

    PATTERN: Final = "[0-9a-f]{32}:[0-9]+;"

    def __init__(self, image_token: str) -> None:
        self._nonce = secrets.token_hex(16)
        self.image = self._mark(0)
        self._segments: dict[str, Segment] = {self.image: ImageSlot(), image_token: ImageSlot()}

    def words(self, text: str) -> str:
        """Return a mark for `text`, between its own white space, which templates like to trim."""
        core = text.strip()
        if not core:
            return text
        mark = self._mark(len(self._segments))
        self._segments[mark] = UntrustedText(core)
        return text.replace(core, mark, 1)

    def guarded(self, value: Any) -> Any:
        """Return JSON with marks in place of its strings, where these could spell anything."""
        if isinstance(value, str):
            return value if HARMLESS.fullmatch(value) else self._json_text(value)
        if isinstance(value, dict):
            return {self.guarded(key): self.guarded(each) for key, each in value.items()}
        return [self.guarded(each) for each in value] if isinstance(value, list) else value

    def _json_text(self, text: str) -> str:
        """Return a mark for text within a JSON string, as which the template will write it."""
        mark = self._mark(len(self._segments))
        self._segments[mark] = UntrustedText(json.dumps(text, ensure_ascii=False)[1:-1])
        return mark

    def segments(self, rendered: str, marks: re.Pattern[str]) -> Iterator[Segment]:
        """Put words and image slots where their marks, or the template's image tokens, are."""
        for part in marks.split(rendered):
            yield self._segments.get(part) or TemplateText(part)

    def _mark(self, index: int) -> str:
        return f"{self._nonce}:{index};"


def _message(turn: Turn, marks: Marks, *, as_parts: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role, "content": _content(turn, marks, as_parts)}
    if turn.calls:
        message["tool_calls"] = [_call(call, marks) for call in turn.calls]
    if turn.call_id is not None:
        message |= {"tool_call_id": marks.guarded(turn.call_id), "name": turn.name}
    return message


def _content(turn: Turn, marks: Marks, as_parts: bool) -> Any:
    words = marks.words(turn.text)
    if not as_parts:
        return f"{marks.image}\n" * turn.num_images + words
    images = [{"type": "image"} for _ in range(turn.num_images)]
    return [*images, {"type": "text", "text": words}]


def _call(call: ToolCall, marks: Marks) -> dict[str, Any]:
    """Return a call with its arguments parsed, as templates expect it."""
    try:
        arguments = marks.guarded(json.loads(call.function.arguments))
    except (ValueError, RecursionError):
        arguments = marks.guarded(call.function.arguments)
    function = {"name": marks.guarded(call.function.name), "arguments": arguments}
    return {"id": marks.guarded(call.id), "type": "function", "function": function}


def _check_images(segments: Sequence[Segment], expected: int) -> None:
    placed = sum(isinstance(segment, ImageSlot) for segment in segments)
    if placed != expected:
        raise InvalidValue(
            f"The model's chat template places {placed} images where the messages hold {expected}.",
            "messages",
        )
