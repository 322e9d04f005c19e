"""A checkpoint's own chat template: Jinja in a sandbox, rendered with markers for untrusted text.

The template gets a marker in place of each text, which is restored after rendering. So a client's
text is never parsed as a special token or an image.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from jinja2 import TemplateError

from server.checkpoint.config import CheckpointError
from server.errors import InvalidValue
from server.prompt.jinja import TemplateRefusal, compile_template, find_undeclared_names
from server.prompt.segments import MediaSlot, Segment, TemplateText, UntrustedText
from server.prompt.template_messages import Messages, build_message
from server.prompt.text_markers import TextMarkers
from server.prompt.turns import Conversation, Turn
from server.protocol.chat.template_fields import PromptEnding
from server.protocol.tools import CalledFunction, Tool, ToolCall
from server.telemetry.logs import get_logger

log = get_logger(__name__)

# A template is probed with this conversation or, if it cannot render that, with its first turn.
PROBE_TURNS: Final = (Turn("user", "look", 1), Turn("assistant", "seen", 0), Turn("user", "say", 0))
ROLES: Final = frozenset({"system", "user", "assistant", "tool"})
# This conversation probes how tool results are rendered.
PROBE_CALL: Final = ToolCall(id="call00000", function=CalledFunction(name="show", arguments="{}"))
PROBE_TOOL_TURNS: Final = (
    Turn("user", "look", 0),
    Turn("assistant", "", 0, (PROBE_CALL,)),
    Turn("tool", "seen", 1, (), "show", PROBE_CALL.id),
)
# The end of an assistant's turn: a token, or the next role in LLaVA v0's format.
TURN_END: Final = re.compile(r"\s*(<[^\s<>]+>|###\s*\w+:)")
# Characters of a template's own error message in an error response.
MAX_REFUSAL_LENGTH: Final = 200


class ChatTemplate:
    """Renders conversations with a checkpoint's template, as transformers does."""

    def __init__(
        self,
        source: str,
        special_tokens: Mapping[str, str],
        image_token: str,
        video_token: str | None = None,
    ) -> None:
        """Compile and probe the template. Raises `CheckpointError`.

        `special_tokens` are variables of the template: `{"bos_token": "<s>", …}`.
        """
        try:
            self._template = compile_template(source)
        except TemplateError as error:
            raise CheckpointError(f"the chat template is not valid: {error}") from None
        self.source = source
        self._special_tokens = special_tokens
        self._media_tokens = image_token, video_token
        tokens = "|".join(map(re.escape, filter(None, self._media_tokens)))
        self._marker_pattern = re.compile(f"({TextMarkers.PATTERN}|{tokens})")
        self._probe_error: str | None = None  # the latest
        self._part_roles = self._detect_content_format()
        self.supports_tools = "tools" in find_undeclared_names(source)
        self.stop = self._detect_turn_end()

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
        markers = TextMarkers(*self._media_tokens)
        messages = [] if system is None else [Turn("system", system, 0)]
        rendered = self._render_or_refuse(
            [
                build_message(turn, markers, as_parts=turn.role in self._part_roles)
                for turn in [*messages, *turns]
            ],
            [markers.mark_json(tool.model_dump(exclude_none=True)) for tool in tools],
            options or {},
            begin_answer=conversation.ending is PromptEnding.ANSWER,
        )
        segments = list(markers.restore(rendered, self._marker_pattern))
        if conversation.ending is PromptEnding.CONTINUATION:
            segments = _cut_after_last_turn(segments, turns[-1].text)
        _check_media(segments, turns)
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
        except Exception as error:  # a template may raise any exception
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

    def _detect_content_format(self) -> frozenset[str]:
        """Return the roles whose content is rendered as parts. Raises `CheckpointError`."""
        for turns in (PROBE_TURNS, PROBE_TURNS[:1]):
            for part_roles in (ROLES, frozenset[str]()):
                if self._renders_text(turns, part_roles):
                    return self._detect_tool_format(part_roles)
        reason = f": {self._probe_error}" if self._probe_error else ""
        raise CheckpointError(f"the chat template does not render the user's text{reason}")

    def _detect_tool_format(self, part_roles: frozenset[str]) -> frozenset[str]:
        """Return the roles, with `tool` only if the template shows the image of a tool's result."""
        for roles in (part_roles, part_roles ^ {"tool"}):
            if self._renders_text(PROBE_TOOL_TURNS, roles, with_images=True):
                return roles
        return part_roles

    def _detect_turn_end(self) -> str | None:
        """Return the end of an assistant's turn, which may differ from the checkpoint's EOS."""
        segments = self._render_probe(PROBE_TURNS, self._part_roles)
        answer = UntrustedText(PROBE_TURNS[1].text)
        following = segments[segments.index(answer) + 1 :] if answer in segments else []
        match = TURN_END.match(getattr(following[0], "text", "")) if following else None
        return match and match[1]

    def _renders_text(
        self, turns: Sequence[Turn], part_roles: frozenset[str], *, with_images: bool = False
    ) -> bool:
        """Whether all texts are rendered; a template for strings fails on parts or prints lists."""
        segments = self._render_probe(turns, part_roles, with_images=with_images)
        prints_lists = any(
            "'type'" in each.text for each in segments if isinstance(each, TemplateText)
        )
        texts = [turn.text for turn in turns if turn.text]
        return all(UntrustedText(text) in segments for text in texts) and not prints_lists

    def _render_probe(
        self, turns: Sequence[Turn], part_roles: frozenset[str], *, with_images: bool = False
    ) -> list[Segment]:
        """Render a probe; empty if the template fails or, `with_images`, does not place them."""
        markers = TextMarkers(*self._media_tokens)
        messages = [
            build_message(turn, markers, as_parts=turn.role in part_roles) for turn in turns
        ]
        try:
            rendered = self._render(messages, None, {})
            segments = list(markers.restore(rendered, self._marker_pattern))
            if with_images:
                _check_media(segments, turns)
        except Exception as error:  # as above
            self._probe_error = " ".join(f"{type(error).__name__}: {error}".split())
            return []
        return segments


def _cut_after_last_turn(segments: Sequence[Segment], text: str) -> list[Segment]:
    """Return the segments up to the last turn's text, with the text's trailing white space.

    Raises `InvalidValue` if the template does not show the text.
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


def _check_media(segments: Sequence[Segment], turns: Sequence[Turn]) -> None:
    """Raise `InvalidValue` unless the template places each image and video of the turns."""
    placed = Counter(each.modality for each in segments if isinstance(each, MediaSlot))
    expected = Counter(modality for turn in turns for modality in turn.media)
    for modality in ("image", "video"):
        if placed[modality] != expected[modality]:
            raise InvalidValue(
                f"The model's chat template places {placed[modality]} {modality}s where the"
                f" messages hold {expected[modality]}.",
                "messages",
            )
