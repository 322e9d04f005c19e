"""Which of vLLM's tool parsers reads what a checkpoint's own chat template teaches."""

from typing import Final

from server.prompt.chat_template import ChatTemplate
from server.prompt.templates import Template

# What a template that knows of tools writes around calls, and vLLM's name for who reads it.
MARKS: Final = {
    "<tool_call>": "hermes",
    "[TOOL_CALLS]": "mistral",
    "<|python_tag|>": "llama3_json",
}
AUTO: Final = "auto"
NONE: Final = "none"


def choose_tool_parser(setting: str, template: Template | ChatTemplate) -> str | None:
    """Return the parser that was asked for, or for `auto` the template's; None if there is none."""
    if setting != AUTO:
        return None if setting == NONE else setting
    if not isinstance(template, ChatTemplate) or not template.takes_tools:
        return None
    return next((name for mark, name in MARKS.items() if mark in template.source), None)
