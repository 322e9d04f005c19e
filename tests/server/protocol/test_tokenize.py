"""Bodies of `/tokenize`."""

import json

from server.protocol.tokenize import (
    TokenizeChatRequest,
    TokenizeTextRequest,
    parse_tokenize_request,
)


def test_the_field_selects_the_request_type() -> None:
    text = parse_tokenize_request(b'{"prompt": "a"}')
    assert isinstance(text, TokenizeTextRequest)
    assert text.add_special_tokens
    body = {"messages": [{"role": "user", "content": "a"}], "add_generation_prompt": True}
    chat = parse_tokenize_request(json.dumps(body).encode())
    assert isinstance(chat, TokenizeChatRequest)
    assert chat.to_chat_request("m").model == "m"
