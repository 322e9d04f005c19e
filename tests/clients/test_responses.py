"""The Responses API and the older completions."""

from collections.abc import Callable
from typing import Any

from tests.api.pictures import image_part, text_part, user
from tests.clients.answers import is_shape, same
from tests.clients.asked import ASKED, asked

Chat = Callable[..., dict[str, Any]]
HELLO = user(ASKED["hello"])


@asked("response", "response_streamed")
def test_responds(result: Any, chat: Chat) -> None:
    same(result, chat(HELLO))
    assert result["status"] == "completed"


@asked("response_image")
def test_sees(result: Any, chat: Chat, image_url: str) -> None:
    same(result, chat(user(image_part(image_url), text_part(ASKED["describe"]))))


@asked("response_instructions")
def test_reads_instructions(result: Any, chat: Chat) -> None:
    same(result, chat({"role": "system", "content": ASKED["system"]}, HELLO))


@asked("response_turns")
def test_goes_on(result: Any) -> None:
    assert result["text"] == "center"


@asked("response_tool", "response_tool_streamed")
def test_calls_the_tool(result: Any) -> None:
    [call] = result["calls"]
    assert call["name"] == "report_shape"
    is_shape(call["arguments"])
    assert len(result["ids"]) == 1


@asked("response_round_trip")
def test_answers_after_a_call(result: Any) -> None:
    assert result["text"]
    assert result["status"] == "completed"


@asked("response_length")
def test_says_that_the_limit_was_reached(result: Any) -> None:
    assert result["status"] == "incomplete"
    assert result["reason"] == "max_output_tokens"
    assert result["completion_tokens"] == 16


@asked("response_events")
def test_events_come_in_order(result: Any) -> None:
    assert result == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


@asked("completion", "completion_streamed")
def test_completes(result: Any, chat: Chat) -> None:
    assert result["text"]
    assert result.get("finish", "length") in ("length", "stop")
    assert 0 < result["completion_tokens"] <= 8
    # No template is put around a prompt, except by the AI SDK a short one of its own.
    assert 0 < result["prompt_tokens"] < chat(HELLO)["prompt_tokens"] - 10


@asked("completion_logprobs")
def test_tells_logprobs(result: Any) -> None:
    tokens, offsets, text = result["tokens"], result["offsets"], result["text"]
    assert len(tokens) == len(offsets) == len(result["top"])
    for token, offset, top in zip(tokens, offsets, result["top"], strict=True):
        assert token in top
        # The token that ends an answer may be told, but is no part of the text.
        assert text[offset:].startswith(token) or offset == len(text)
    said = "".join(token for token, at in zip(tokens, offsets, strict=True) if at < len(text))
    assert said == text


@asked("completion_echo")
def test_echoes(result: Any) -> None:
    assert result["text"].startswith(ASKED["hello"])


@asked("models")
def test_lists_models(result: Any) -> None:
    assert result == [ASKED["model"]]


@asked("model")
def test_finds_the_model(result: Any) -> None:
    assert result == ASKED["model"]
