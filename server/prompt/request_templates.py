"""Chat templates sent with requests, if the operator trusts them."""

from collections.abc import Mapping
from typing import Any

from server.errors import InvalidValue
from server.prompt.segments import Segment
from server.prompt.template_worker import (
    TOO_COMPLEX,
    WALL_S,
    TemplateInput,
    render_in_worker,
    start_template_worker,
)
from server.prompt.tools import PromptTools
from server.prompt.turns import Conversation
from server.workers.worker_pool import WorkerPool
from server.workers.worker_process import WORKER_FAILURES


class RequestTemplates:
    """Renders templates in a worker process, which starts with the first request for it."""

    def __init__(
        self,
        special_tokens: Mapping[str, str],
        image_token: str,
        video_token: str | None = None,
    ) -> None:
        """All tokens are those of the checkpoint."""
        self._special_tokens = special_tokens
        self._media_tokens = image_token, video_token
        self._pool = WorkerPool(1, start_template_worker)

    async def render(
        self,
        source: str,
        conversation: Conversation,
        tools: PromptTools | None,
        options: Mapping[str, Any] | None,
        *,
        native_tools: bool,
    ) -> list[Segment]:
        """Return the rendered segments. Raises `InvalidValue`, naming the field."""
        given = TemplateInput(
            source,
            self._special_tokens,
            *self._media_tokens,
            conversation,
            tools,
            options,
            native_tools,
        )
        try:
            rendered = await self._pool.run(render_in_worker, given, timeout_s=WALL_S)
        except WORKER_FAILURES:
            rendered = TOO_COMPLEX
        if isinstance(rendered, str):
            raise InvalidValue(rendered, "chat_template")
        return rendered

    def close(self) -> None:
        """End the worker."""
        self._pool.close()
