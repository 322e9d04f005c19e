"""Bodies of `/tokenize`."""

import json

import pytest

from server.protocol.tokenize import (
    TokenizeChatRequest,
    TokenizeTextRequest,
    parse_tokenize_request,
)


@pytest.mark.parametrize("body", [b'{"prompt": "a"}', b'{"prompt": "a", "messages": null}'])
def test_the_field_selects_the_request_type(body: bytes) -> None:
    text = parse_tokenize_request(body)
    assert isinstance(text, TokenizeTextRequest)
    assert text.add_special_tokens
    conversation = [{"role": "user", "content": "a"}]
    fields = {"messages": conversation, "prompt": None, "add_generation_prompt": True}
    chat = parse_tokenize_request(json.dumps(fields).encode())
    assert isinstance(chat, TokenizeChatRequest)
    assert chat.to_chat_request("m").model == "m"
