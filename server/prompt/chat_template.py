"""A checkpoint's own chat template: Jinja in a sandbox, rendered with markers for untrusted text.

The template gets a marker in place of each text, which is restored after rendering. So a client's
text is never parsed as a special token or an image.
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
from server.protocol.chat.template_fields import PromptEnding
from server.protocol.tools import Tool, ToolCall
from server.telemetry.logs import get_logger

log = get_logger(__name__)

Messages = list[dict[str, Any]]

# Text that cannot contain a special token of any tokenizer.
SAFE_TEXT: Final = re.compile(r"[\w.,:;/ -]*")

# A template is probed with this conversation, or if it cannot render it, with the first turn.
PROBE_TURNS: Final = (Turn("user", "look", 1), Turn("assistant", "seen", 0), Turn("user", "say", 0))
# Characters of a template's own error message in an error response.
MAX_REFUSAL_LENGTH: Final = 200


class ChatTemplate:
    """Renders conversations with a checkpoint's template, as transformers does."""

    def __init__(self, source: str, special_tokens: Mapping[str, str], image_token: str) -> None:
        """Compile and probe the template. Raises `CheckpointError`.

        `special_tokens` are variables of the template: `{"bos_token": "<s>", …}`.
        """
        try:
            self._template = compile_template(source)
        except TemplateError as error:
            raise CheckpointError(f"the chat template is not valid: {error}") from None
        self.source = source
        self._special_tokens = special_tokens
        self._image_token = image_token
        self._marker_pattern = re.compile(f"({TextMarkers.PATTERN}|{re.escape(image_token)})")
        self._accepts_parts = self._detect_content_format()
        self.supports_tools = "tools" in find_undeclared_names(source)

    def render(
        self,
        conversation: Conversation,
        tools: Sequence[Tool] = (),
        options: Mapping[str, Any] | None = None,
    ) -> list[Segment]:
        """Render a conversation up to its ending.

        `options` become variables of the template, except those that are always set.
        Raises `InvalidValue` if the template refuses it or does not place each image.
        """
        system, turns = conversation.system, conversation.turns
        markers = TextMarkers(self._image_token)
        messages = [] if system is None else [Turn("system", system, 0)]
        rendered = self._render_or_refuse(
            [
                _build_message(turn, markers, as_parts=self._accepts_parts)
                for turn in [*messages, *turns]
            ],
            [markers.mark_json(tool.model_dump(exclude_none=True)) for tool in tools],
            options or {},
            begin_answer=conversation.ending is PromptEnding.ANSWER,
        )
        segments = list(markers.restore(rendered, self._marker_pattern))
        if conversation.ending is PromptEnding.CONTINUATION:
            segments = _cut_after_last_turn(segments, turns[-1].text)
        _check_images(segments, sum(turn.num_images for turn in turns))
        return segments

    def _render_or_refuse(
        self,
        messages: Messages,
        tools: list[Any],
        options: Mapping[str, Any],
        *,
        begin_answer: bool,
    ) -> str:
        try:
            return self._render(messages, tools, options, begin_answer=begin_answer)
        except TemplateRefusal as refusal:
            reason = " ".join(str(refusal).split())[:MAX_REFUSAL_LENGTH]
            raise InvalidValue(
                f"The model's chat template refuses the messages: {reason}", "messages"
            ) from None
        except Exception as error:  # a template may fail in any way that Python can
            log.warning("the chat template failed", reason=f"{type(error).__name__}: {error}")
            raise InvalidValue(
                "The model's chat template cannot render these messages.", "messages"
            ) from None

    def _render(
        self,
        messages: Messages,
        tools: list[Any] | None,
        options: Mapping[str, Any],
        *,
        begin_answer: bool = True,
    ) -> str:
        variables = {
            "messages": messages,
            "tools": tools or None,
            "documents": None,
            "add_generation_prompt": begin_answer,
            **self._special_tokens,
        }
        return self._template.render({**options, **variables})

    def _detect_content_format(self) -> bool:
        """Return whether the template accepts content parts. Raises `CheckpointError`."""
        for turns in (PROBE_TURNS, PROBE_TURNS[:1]):
            for as_parts in (True, False):
                if self._renders_text(turns, as_parts=as_parts):
                    return as_parts
        raise CheckpointError("the chat template does not show what a user says")

    def _renders_text(self, turns: Sequence[Turn], *, as_parts: bool) -> bool:
        """Whether all texts are rendered; a template for strings fails on parts or prints lists."""
        markers = TextMarkers(self._image_token)
        messages = [_build_message(turn, markers, as_parts=as_parts) for turn in turns]
        try:
            rendered = self._render(messages, None, {})
            segments = list(markers.restore(rendered, self._marker_pattern))
        except Exception:  # as above
            return False
        prints_lists = any(
            "'type'" in each.text for each in segments if isinstance(each, TemplateText)
        )
        return all(UntrustedText(turn.text) in segments for turn in turns) and not prints_lists


class TextMarkers:
    """Unguessable markers for the texts and images of one conversation."""

    PATTERN: Final = "[0-9a-f]{32}:[0-9]+;"

    def __init__(self, image_token: str) -> None:
        self._nonce = secrets.token_hex(16)
        self.image = self._format_marker(0)
        self._segments: dict[str, Segment] = {self.image: ImageSlot(), image_token: ImageSlot()}

    def mark_text(self, text: str) -> str:
        """Return a marker between the text's own white space, which templates often trim."""
        core = text.strip()
        return text.replace(core, self._add_marker(core), 1) if core else text

    def mark_json(self, value: Any) -> Any:
        """Return JSON with markers for its strings, except for safe ones."""
        if isinstance(value, str):
            # The template will write it within a JSON string.
            return value if SAFE_TEXT.fullmatch(value) else self._add_marker(_escape_json(value))
        if isinstance(value, dict):
            return {self.mark_json(key): self.mark_json(each) for key, each in value.items()}
        return [self.mark_json(each) for each in value] if isinstance(value, list) else value

    def restore(self, rendered: str, pattern: re.Pattern[str]) -> Iterator[Segment]:
        """Yield segments: texts and image slots for their markers or image tokens, and the rest."""
        for part in pattern.split(rendered):
            yield self._segments.get(part) or TemplateText(part)

    def _add_marker(self, text: str) -> str:
        marker = self._format_marker(len(self._segments))
        self._segments[marker] = UntrustedText(text)
        return marker

    def _format_marker(self, index: int) -> str:
        return f"{self._nonce}:{index};"


def _escape_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _build_message(turn: Turn, markers: TextMarkers, *, as_parts: bool) -> dict[str, Any]:
    content = _build_content(turn, markers, as_parts)
    message: dict[str, Any] = {"role": turn.role, "content": content}
    if turn.calls:
        message["tool_calls"] = [_build_call(call, markers) for call in turn.calls]
    if turn.call_id is not None:
        message |= {"tool_call_id": markers.mark_json(turn.call_id), "name": turn.name}
    return message


def _build_content(turn: Turn, markers: TextMarkers, as_parts: bool) -> Any:
    text = markers.mark_text(turn.text)
    if not as_parts:
        return f"{markers.image}\n" * turn.num_images + text
    images = [{"type": "image"} for _ in range(turn.num_images)]
    return [*images, {"type": "text", "text": text}]


def _build_call(call: ToolCall, markers: TextMarkers) -> dict[str, Any]:
    """Return a call with parsed arguments, as templates expect it."""
    try:
        arguments = markers.mark_json(json.loads(call.function.arguments))
    except (ValueError, RecursionError):
        arguments = markers.mark_json(call.function.arguments)
    function = {"name": markers.mark_json(call.function.name), "arguments": arguments}
    return {"id": markers.mark_json(call.id), "type": "function", "function": function}


def _cut_after_last_turn(segments: Sequence[Segment], text: str) -> list[Segment]:
    """Return the segments up to the last turn's text, with what white space it ends with.

    Raises `InvalidValue` where the template does not show the text.
    """
    shown = UntrustedText(text.strip())
    last = max((i for i, each in enumerate(segments) if each == shown), default=None)
    if last is None:
        raise InvalidValue(
            "The model's chat template cannot continue the assistant's message.", "messages"
        )
    space = text[len(text.rstrip()) :]
    following = segments[last + 1 : last + 2]
    is_kept = bool(following) and getattr(following[0], "text", "").startswith(space)
    return [*segments[: last + 1], *([UntrustedText(space)] if space and is_kept else [])]


def _check_images(segments: Sequence[Segment], expected: int) -> None:
    placed = sum(isinstance(segment, ImageSlot) for segment in segments)
    if placed != expected:
        raise InvalidValue(
            f"The model's chat template places {placed} images where the messages hold {expected}.",
            "messages",
        )
