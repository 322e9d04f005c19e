"""Chooses vLLM's tool parser for a checkpoint's native tool-call format."""

from typing import Final

from server.prompt.chat_template import ChatTemplate
from server.prompt.templates import ConversationTemplate

# Markers that templates write around calls, and the names of vLLM's parsers for them.
PARSER_BY_MARKER: Final = {
    "<tool_call>": "hermes",
    "[TOOL_CALLS]": "mistral",
    "<|python_tag|>": "llama3_json",
}
AUTO: Final = "auto"
NONE: Final = "none"


def choose_tool_parser(setting: str, template: ConversationTemplate | ChatTemplate) -> str | None:
    """Return the name of a parser, None for no parser; `auto` chooses by the template."""
    if setting != AUTO:
        return None if setting == NONE else setting
    if not isinstance(template, ChatTemplate) or not template.supports_tools:
        return None
    return next(
        (name for marker, name in PARSER_BY_MARKER.items() if marker in template.source), None
    )
