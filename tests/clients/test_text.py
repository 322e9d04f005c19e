"""Clients get the same answers as plain requests, streamed or not."""

from collections.abc import Callable
from typing import Any

from tests.api.pictures import image_part, text_part, user
from tests.clients.assertions import assert_same_answer
from tests.clients.scenarios import PROMPTS, parametrize_scenarios

Chat = Callable[..., dict[str, Any]]
HELLO = user(PROMPTS["hello"])


@parametrize_scenarios("plain", "streamed", "stream_helper", "asynchronous", "retried")
def test_answers(result: Any, chat: Chat) -> None:
    expected = chat(HELLO)
    assert expected["completion_tokens"] > 1
    assert_same_answer(result, expected)


@parametrize_scenarios("image", "image_streamed", "image_of_its_own")
def test_sees(result: Any, chat: Chat, image_url: str) -> None:
    assert_same_answer(result, chat(user(image_part(image_url), text_part(PROMPTS["describe"]))))
    assert result["text"] == "A red circle at the top left, a blue star at the center."


@parametrize_scenarios("command_image")
def test_sees_by_a_command(result: Any) -> None:
    assert result["text"] == "A red circle at the top left, a blue star at the center."


@parametrize_scenarios("at_once")
def test_keeps_answers_apart(result: Any, chat: Chat, image_url: str) -> None:
    seen = chat(user(image_part(image_url), text_part(PROMPTS["describe"])))
    for at, answer in enumerate(result):
        assert_same_answer(answer, chat(HELLO) if at % 2 else seen)


@parametrize_scenarios("several_turns")
def test_goes_on(result: Any, chat: Chat, image_url: str) -> None:
    shown = user(image_part(image_url), text_part(PROMPTS["circle"]))
    answered = {"role": "assistant", "content": PROMPTS["red"]}
    assert_same_answer(result, chat(shown, answered, user(PROMPTS["star"])))
    assert result["text"] == "center"


@parametrize_scenarios("system", "system_parts", "developer")
def test_reads_the_system_message(result: Any, chat: Chat) -> None:
    expected = chat({"role": "system", "content": PROMPTS["system"]}, HELLO)
    assert expected["prompt_tokens"] != chat(HELLO)["prompt_tokens"]
    assert_same_answer(result, expected)


@parametrize_scenarios("aborted")
def test_stops_for_who_leaves(result: Any) -> None:
    assert result is True
