"""Markers in place of texts, images and videos while a chat template is rendered."""

import json
import re
import secrets
from collections.abc import Iterator
from typing import Any, Final, get_args

from server.prompt.segments import MediaSlot, Modality, Segment, TemplateText, UntrustedText

# Text that cannot contain any tokenizer's special tokens.
SAFE_TEXT: Final = re.compile(r"[\w.,:;/ -]*")


class TextMarkers:
    """Unguessable markers for the texts, images and videos of one conversation."""

    PATTERN: Final = "[0-9a-f]{32}:[0-9]+;"

    def __init__(self, image_token: str, video_token: str | None = None) -> None:
        """The tokens are the ones that a template may write for an image and a video."""
        self._nonce = secrets.token_hex(16)
        self._segments: dict[str, Segment] = {image_token: MediaSlot()}
        if video_token is not None:
            self._segments[video_token] = MediaSlot("video")
        self.media: dict[Modality, str] = {}
        for modality in get_args(Modality):
            self.media[modality] = self._format_marker(len(self._segments))
            self._segments[self.media[modality]] = MediaSlot(modality)

    def mark_text(self, text: str) -> str:
        """Return a marker between the text's own white space, which templates often trim."""
        core = text.strip()
        return text.replace(core, self._add_marker(core), 1) if core else text

    def mark_json(self, value: Any) -> Any:
        """Return JSON with markers for its strings, except for safe ones."""
        if isinstance(value, str):
            # The template writes it within a JSON string.
            return value if SAFE_TEXT.fullmatch(value) else self._add_marker(_escape_json(value))
        if isinstance(value, dict):
            return {self.mark_json(key): self.mark_json(each) for key, each in value.items()}
        return [self.mark_json(each) for each in value] if isinstance(value, list) else value

    def restore(self, rendered: str, pattern: re.Pattern[str]) -> Iterator[Segment]:
        """Yield segments: texts and slots for their markers or media tokens, and the rest."""
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
