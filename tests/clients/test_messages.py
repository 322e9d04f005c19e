"""Anthropic's Messages API, through Anthropic's client."""

import json
from collections.abc import Callable
from typing import Any

from tests.api.pictures import image_part, text_part, user
from tests.clients.assertions import assert_same_answer, assert_shape
from tests.clients.scenarios import PROMPTS, parametrize_scenarios

Chat = Callable[..., dict[str, Any]]
HELLO = user(PROMPTS["hello"])


@parametrize_scenarios("message", "message_streamed", "message_asynchronous", "message_retried")
def test_answers(result: Any, chat: Chat) -> None:
    assert_same_answer(result, chat(HELLO))
    assert (result["reason"], result["sequence"]) == ("end_turn", None)


@parametrize_scenarios("message_image", "message_image_streamed")
def test_sees(result: Any, chat: Chat, image_url: str) -> None:
    assert_same_answer(result, chat(user(image_part(image_url), text_part(PROMPTS["describe"]))))


@parametrize_scenarios("message_system")
def test_reads_the_system_text(result: Any, chat: Chat) -> None:
    assert_same_answer(result, chat({"role": "system", "content": PROMPTS["system"]}, HELLO))


@parametrize_scenarios("message_turns")
def test_goes_on(result: Any) -> None:
    assert result["text"] == "center"


@parametrize_scenarios("message_stop")
def test_stops_at_a_sequence(result: Any, chat: Chat) -> None:
    assert result["text"] == chat(HELLO)["text"].split(PROMPTS["stop"])[0]
    assert (result["reason"], result["sequence"]) == ("stop_sequence", PROMPTS["stop"])


@parametrize_scenarios("message_length")
def test_stops_at_the_limit(result: Any) -> None:
    assert (result["reason"], result["completion_tokens"]) == ("max_tokens", 3)


@parametrize_scenarios("message_tool", "message_tool_named", "message_tool_streamed")
def test_calls_the_tool(result: Any) -> None:
    [call] = result["calls"]
    assert call["name"] == "report_shape"
    assert_shape(call["arguments"])
    assert result["reason"] == "tool_use"
    assert result["ids"][0].startswith("toolu_")


@parametrize_scenarios("message_round_trip")
def test_answers_after_a_call(result: Any) -> None:
    assert result["text"]
    assert result["reason"] == "end_turn"


@parametrize_scenarios("message_parsed")
def test_parses_what_fits_the_model(result: Any) -> None:
    assert json.loads(result["text"])["shape"]
    assert result["reason"] == "end_turn"


@parametrize_scenarios("message_structured")
def test_fits_the_schema(result: Any) -> None:
    assert_shape(result)


@parametrize_scenarios("message_count")
def test_counts_what_is_used(result: Any) -> None:
    counted, used = result
    assert counted == used > 64


@parametrize_scenarios("message_events")
def test_events_come_in_order(result: Any) -> None:
    # The client keeps pings to itself.
    assert result == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


@parametrize_scenarios("message_aborted")
def test_stops_for_who_leaves(result: Any) -> None:
    assert result is True


@parametrize_scenarios("message_model_not_found")
def test_there_is_no_such_model(result: Any) -> None:
    assert (result["raised"], result["type"]) == ("NotFoundError", "not_found_error")
    assert "The model 'nothing' does not exist: this server has" in result["message"]


@parametrize_scenarios("message_bad_parameter")
def test_a_parameter_is_wrong(result: Any) -> None:
    assert (result["raised"], result["type"]) == ("BadRequestError", "invalid_request_error")
    assert "max_tokens" in result["message"]


@parametrize_scenarios("message_broken_image")
def test_an_image_is_broken(result: Any) -> None:
    assert (result["raised"], result["type"]) == ("BadRequestError", "invalid_request_error")
    assert result["message"].startswith("messages[0].content[0].source: ")
