"""Large prompts of chats are built in a thread, whatever makes them large."""

import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.checkpoint.config import Checkpoint
from server.prompt.builder import PromptBuilder
from server.prompt.chat_prompts import ChatPrompts
from server.prompt.format import choose_prompt_format
from server.prompt.prompt import Prompt
from server.prompt.request_templates import RequestTemplates
from server.prompt.text_tokenizer import INLINE_CHARACTERS
from server.prompt.tokenizer import read_tokenizer
from server.prompt.turns import split_turns
from server.protocol.chat.request import ChatCompletionRequest
from server.telemetry.metrics import Metrics
from tests.server.prompt.test_chat_template import LLAVA_1_5, SPECIALS

LONG_TEMPLATE = "{{ 'a' * 9000 }}" + LLAVA_1_5
ROLES = ("user", "assistant") * 500 + ("user",)


class RecordingBuilder(PromptBuilder):
    """A builder that remembers the thread that it worked in."""

    thread: threading.Thread | None = None

    def assemble(self, *args: Any, **options: Any) -> Prompt:
        """Tokenise, and remember the thread."""
        self.thread = threading.current_thread()
        return super().assemble(*args, **options)


@pytest.fixture
def builder(checkpoint: Checkpoint) -> RecordingBuilder:
    """Return a builder with a long context."""
    prompt_format = choose_prompt_format(read_tokenizer(checkpoint.path), checkpoint.text)
    return RecordingBuilder(prompt_format, 65_536)


@pytest.fixture
async def prompts(builder: RecordingBuilder, metrics: Metrics) -> AsyncIterator[ChatPrompts]:
    """Return what is tested, with templates of requests, whose worker ends."""
    templates = RequestTemplates(SPECIALS, "<image>")
    yield ChatPrompts(builder, metrics, templates)
    templates.close()


@pytest.mark.parametrize(
    ("fields", "is_large"),
    [
        ({}, False),
        ({"chat_template": LLAVA_1_5}, False),
        ({"chat_template": LONG_TEMPLATE}, True),
        ({"chat_template_kwargs": {"a": "b" * INLINE_CHARACTERS}}, True),
        ({"chat_template_kwargs": {"a": [1] * INLINE_CHARACTERS}}, True),
        ({"messages": [{"role": "user", "content": "a" * INLINE_CHARACTERS}]}, True),
        ({"messages": [{"role": each, "content": "a"} for each in ROLES]}, True),
    ],
    ids=str,
)
async def test_what_is_large_does_not_run_on_the_event_loop(
    prompts: ChatPrompts, builder: RecordingBuilder, fields: dict[str, Any], *, is_large: bool
) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]} | fields
    request = ChatCompletionRequest.model_validate(body)
    await prompts.build(request, split_turns(request.messages), [], [], None)
    assert (builder.thread is not threading.current_thread()) == is_large
