"""Renders conversations with a chat template, with tools in its own format or as text."""

from collections.abc import Mapping
from typing import Any

from server.prompt.chat_template import ChatTemplate
from server.prompt.segments import Segment
from server.prompt.tools import PromptTools, render_tools_as_text
from server.prompt.turns import Conversation


def render_chat_template(
    template: ChatTemplate,
    conversation: Conversation,
    tools: PromptTools | None,
    options: Mapping[str, Any] | None,
    *,
    native_tools: bool,
) -> list[Segment]:
    """Render a conversation; with `native_tools`, a template that supports tools renders them.

    Raises `InvalidValue`.
    """
    if template.supports_tools and native_tools:
        return template.render(conversation, tools.tools if tools else (), options)
    description = None if tools is None else tools.description
    return template.render(render_tools_as_text(conversation, description, ""), (), options)
