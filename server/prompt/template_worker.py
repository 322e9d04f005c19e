"""Renders a request's chat template in a worker process, since it may hang or kill the process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from server.checkpoint.config import CheckpointError
from server.errors import InvalidValue
from server.prompt.chat_template import ChatTemplate
from server.prompt.rendering import render_chat_template
from server.prompt.segments import Segment, count_characters
from server.prompt.tools import PromptTools
from server.prompt.turns import Conversation
from server.workers.confinement import confine, limit_cpu

MEMORY_BYTES: Final = 512 * 1024 * 1024
CPU_S: Final = 2
WALL_S: Final = 10.0
NICENESS: Final = 5
OPEN_FILES: Final = 64  # jinja2 imports some modules lazily
# Characters of a rendered prompt; the context limit is checked afterwards.
MAX_CHARACTERS: Final = 4_000_000
TOO_COMPLEX: Final = "The chat template takes too long, or too much memory."


@dataclass(frozen=True, slots=True)
class TemplateInput:
    """A template and its input; special tokens and media tokens are the checkpoint's."""

    source: str
    special_tokens: Mapping[str, str]
    image_token: str
    video_token: str | None
    conversation: Conversation
    tools: PromptTools | None
    options: Mapping[str, Any] | None
    native_tools: bool


def start_template_worker() -> None:
    """Prepare a worker process."""
    confine(memory_bytes=MEMORY_BYTES, open_files=OPEN_FILES, niceness=NICENESS)


def render_in_worker(given: TemplateInput) -> list[Segment] | str:
    """Return the rendered segments, or the reason of the failure."""
    limit_cpu(CPU_S)
    try:
        template = ChatTemplate(
            given.source, given.special_tokens, given.image_token, given.video_token
        )
        segments = render_chat_template(
            template,
            given.conversation,
            given.tools,
            given.options,
            native_tools=given.native_tools,
        )
    except CheckpointError as error:
        reason = str(error)
        return f"{reason[:1].upper()}{reason[1:200]}."
    except InvalidValue as error:
        return error.message
    except (MemoryError, RecursionError):
        return TOO_COMPLEX
    return segments if count_characters(segments) <= MAX_CHARACTERS else TOO_COMPLEX
