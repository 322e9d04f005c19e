"""The Responses API and the older completions."""

from collections.abc import Callable
from typing import Any

from tests.api.pictures import image_part, text_part, user
from tests.clients.assertions import assert_same_answer, assert_shape
from tests.clients.scenarios import PROMPTS, parametrize_scenarios

Chat = Callable[..., dict[str, Any]]
HELLO = user(PROMPTS["hello"])


@parametrize_scenarios("response", "response_streamed")
def test_responds(result: Any, chat: Chat) -> None:
    assert_same_answer(result, chat(HELLO))
    assert result["status"] == "completed"


@parametrize_scenarios("response_image")
def test_sees(result: Any, chat: Chat, image_url: str) -> None:
    assert_same_answer(result, chat(user(image_part(image_url), text_part(PROMPTS["describe"]))))


@parametrize_scenarios("response_instructions")
def test_reads_instructions(result: Any, chat: Chat) -> None:
    assert_same_answer(result, chat({"role": "system", "content": PROMPTS["system"]}, HELLO))


@parametrize_scenarios("response_turns")
def test_goes_on(result: Any) -> None:
    assert result["text"] == "center"


@parametrize_scenarios("response_tool", "response_tool_streamed")
def test_calls_the_tool(result: Any) -> None:
    [call] = result["calls"]
    assert call["name"] == "report_shape"
    assert_shape(call["arguments"])
    assert len(result["ids"]) == 1


@parametrize_scenarios("response_round_trip")
def test_answers_after_a_call(result: Any) -> None:
    assert result["text"]
    assert result["status"] == "completed"


@parametrize_scenarios("response_length")
def test_says_that_the_limit_was_reached(result: Any) -> None:
    assert result["status"] == "incomplete"
    assert result["reason"] == "max_output_tokens"
    assert result["completion_tokens"] == 16


@parametrize_scenarios("response_events")
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


@parametrize_scenarios("completion", "completion_streamed")
def test_completes(result: Any, chat: Chat) -> None:
    assert result["text"]
    assert result.get("finish", "length") in ("length", "stop")
    assert 0 < result["completion_tokens"] <= 8
    # Prompts have no template, except for a short one of the AI SDK.
    assert 0 < result["prompt_tokens"] < chat(HELLO)["prompt_tokens"] - 10


@parametrize_scenarios("completion_logprobs")
def test_returns_logprobs(result: Any) -> None:
    tokens, offsets, text = result["tokens"], result["offsets"], result["text"]
    assert len(tokens) == len(offsets) == len(result["top"])
    for token, offset, top in zip(tokens, offsets, result["top"], strict=True):
        assert token in top
        # The stop token may be returned, but is not part of the text.
        assert text[offset:].startswith(token) or offset == len(text)
    joined = "".join(token for token, at in zip(tokens, offsets, strict=True) if at < len(text))
    assert joined == text


@parametrize_scenarios("completion_echo")
def test_echoes(result: Any) -> None:
    assert result["text"].startswith(PROMPTS["hello"])


@parametrize_scenarios("models")
def test_lists_models(result: Any) -> None:
    assert result == [PROMPTS["model"]]


@parametrize_scenarios("model")
def test_finds_the_model(result: Any) -> None:
    assert result == PROMPTS["model"]
