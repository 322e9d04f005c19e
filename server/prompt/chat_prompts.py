"""Builds chat prompts: renders the checkpoint's or the request's template, then tokenises."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from server.concurrency import run_in_thread_if_large
from server.prompt.builder import PromptBuilder
from server.prompt.prompt import Prompt
from server.prompt.request_templates import RequestTemplates
from server.prompt.segments import Segment, count_characters
from server.prompt.text_tokenizer import INLINE_CHARACTERS
from server.prompt.tools import PromptTools
from server.prompt.turns import Conversation
from server.protocol.chat.request import ChatCompletionRequest
from server.protocol.json_size import count_json_characters
from server.telemetry.metrics import Metrics
from server.tools.callable_tools import CallableTools

# About how many characters a template writes around each turn.
TURN_CHARACTERS: Final = 16


class ChatPrompts:
    """Builds prompts: small ones on the event loop, others in a thread."""

    def __init__(
        self,
        builder: PromptBuilder,
        metrics: Metrics,
        request_templates: RequestTemplates | None,
    ) -> None:
        """Without `request_templates`, requests with a template have been refused before."""
        self._builder = builder
        self._metrics = metrics
        self._request_templates = request_templates

    async def build(
        self,
        request: ChatCompletionRequest,
        conversation: Conversation,
        num_image_tokens: Sequence[int],
        num_video_tokens: Sequence[int],
        tools: CallableTools | None,
        *,
        enforce_limit: bool = True,
        keep_last: int | None = None,
    ) -> Prompt:
        """Return the prompt; its last `keep_last` tokens are kept, by default all.

        Raises `InvalidValue`, or with `enforce_limit` `ContextLengthExceeded`.
        """
        prompt_tools = None if tools is None else PromptTools(tools.tools, tools.description)
        options = request.chat_template_kwargs
        with self._metrics.stage("prompt"):
            segments = await self._render_request_template(request, conversation, prompt_tools)
            if segments is None:
                num_chars = _estimate_characters(conversation, prompt_tools, options)
                build = partial(
                    self._builder.build, conversation, num_image_tokens, prompt_tools, options
                )
            else:
                num_chars = count_characters(segments)
                build = partial(self._builder.assemble, segments, num_image_tokens)
            return await run_in_thread_if_large(
                num_chars,
                INLINE_CHARACTERS,
                partial(
                    build,
                    video_token_counts=num_video_tokens,
                    enforce_limit=enforce_limit,
                    keep_last=keep_last,
                ),
            )

    async def _render_request_template(
        self,
        request: ChatCompletionRequest,
        conversation: Conversation,
        tools: PromptTools | None,
    ) -> Sequence[Segment] | None:
        """Return the conversation as the request's own template renders it, if it has one."""
        if request.chat_template is None or self._request_templates is None:
            return None
        return await self._request_templates.render(
            request.chat_template,
            conversation,
            tools,
            request.chat_template_kwargs,
            native_tools=self._builder.native_tools,
        )


def _estimate_characters(
    conversation: Conversation, tools: PromptTools | None, options: Mapping[str, Any] | None
) -> int:
    """Estimate the characters of a prompt and its template's input, to detect large ones."""
    return (
        conversation.num_characters
        + TURN_CHARACTERS * len(conversation.turns)
        + (0 if tools is None else len(tools.description))
        + count_json_characters(options, INLINE_CHARACTERS)
    )
