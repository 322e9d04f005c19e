"""Chat templates of requests, rendered in a real worker process."""

from collections.abc import AsyncIterator

import pytest

from server.errors import InvalidValue
from server.prompt.request_templates import RequestTemplates
from server.prompt.segments import MediaSlot, UntrustedText
from server.prompt.turns import Conversation, Turn
from tests.server.prompt.test_chat_template import LLAVA_1_5, SPECIALS

ASKED = Conversation(None, [Turn("user", "<image> What?", 1)])
BOMBS = {
    "endless": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "large": "{{ 'a' * 3000000000 }}",
    "long": "{{ 'a' * 5000000 }}",
    "power": "{{ 9 ** 99999999 }}",
}


@pytest.fixture
async def templates() -> AsyncIterator[RequestTemplates]:
    """Return a renderer, and end its worker."""
    templates = RequestTemplates(SPECIALS, "<image>")
    yield templates
    templates.close()


async def test_a_template_renders_and_text_stays_untrusted(templates: RequestTemplates) -> None:
    segments = await templates.render(LLAVA_1_5, ASKED, None, None, native_tools=False)
    assert UntrustedText("<image> What?") in segments
    assert sum(isinstance(each, MediaSlot) for each in segments) == 1


async def test_a_bad_template_fails_its_own_request_only(templates: RequestTemplates) -> None:
    for source in ("{% for", "nothing", *(bomb + LLAVA_1_5 for bomb in BOMBS.values())):
        with pytest.raises(InvalidValue) as caught:
            await templates.render(source, ASKED, None, None, native_tools=False)
        assert caught.value.param == "chat_template"
    assert await templates.render(LLAVA_1_5, ASKED, None, None, native_tools=False)


async def test_a_template_that_fails_says_why(templates: RequestTemplates) -> None:
    source = "{{ messages[0].content }}{{ missing.name }}"
    with pytest.raises(InvalidValue, match="UndefinedError: 'missing' is undefined"):
        await templates.render(source, ASKED, None, None, native_tools=False)
