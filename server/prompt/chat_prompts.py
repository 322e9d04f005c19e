"""Builds the prompts of chats: the checkpoint's template or the request's, then tokenising."""

from collections.abc import Sequence

from server.concurrency import run_in_thread_if_large
from server.prompt.builder import PromptBuilder
from server.prompt.prompt import Prompt
from server.prompt.request_templates import RequestTemplates
from server.prompt.segments import Segment
from server.prompt.text_tokenizer import INLINE_CHARACTERS
from server.prompt.tools import PromptTools
from server.prompt.turns import Conversation
from server.protocol.chat.request import ChatCompletionRequest
from server.telemetry.metrics import Metrics
from server.tools.callable_tools import CallableTools


class ChatPrompts:
    """Builds prompts: small ones on the event loop, others in a thread."""

    def __init__(
        self,
        builder: PromptBuilder,
        metrics: Metrics,
        request_templates: RequestTemplates | None,
        *,
        native_tools: bool,
    ) -> None:
        """Without `request_templates`, no request has passed with a template."""
        self._builder = builder
        self._metrics = metrics
        self._request_templates = request_templates
        self._native_tools = native_tools

    async def build(
        self,
        request: ChatCompletionRequest,
        conversation: Conversation,
        num_image_tokens: Sequence[int],
        tools: CallableTools | None,
        *,
        enforce_limit: bool = True,
        keep_last: int | None = None,
    ) -> Prompt:
        """Return the prompt, of which `keep_last` tokens are kept, by default all.

        Raises `InvalidValue`, or with `enforce_limit` `ContextLengthExceeded`.
        """
        prompt_tools = None if tools is None else PromptTools(tools.tools, tools.description)
        num_chars = conversation.num_characters
        num_chars += 0 if prompt_tools is None else len(prompt_tools.description)
        with self._metrics.stage("prompt"):
            segments = await self._render_request_template(request, conversation, prompt_tools)

            def build() -> Prompt:
                return self._builder.assemble(
                    self._builder.render(conversation, prompt_tools, request.chat_template_kwargs)
                    if segments is None
                    else segments,
                    num_image_tokens,
                    enforce_limit=enforce_limit,
                    keep_last=keep_last,
                )

            return await run_in_thread_if_large(num_chars, INLINE_CHARACTERS, build)

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
            native_tools=self._native_tools,
        )
