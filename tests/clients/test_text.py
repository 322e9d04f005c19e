"""What clients are told is what the server says to anyone, at once or streamed."""

from collections.abc import Callable
from typing import Any

from tests.api.pictures import image_part, text_part, user
from tests.clients.answers import same
from tests.clients.asked import ASKED, asked

Chat = Callable[..., dict[str, Any]]
HELLO = user(ASKED["hello"])


@asked("plain", "streamed", "stream_helper", "asynchronous", "retried")
def test_answers(result: Any, chat: Chat) -> None:
    expected = chat(HELLO)
    assert expected["completion_tokens"] > 1
    same(result, expected)


@asked("image", "image_streamed", "image_of_its_own")
def test_sees(result: Any, chat: Chat, image_url: str) -> None:
    same(result, chat(user(image_part(image_url), text_part(ASKED["describe"]))))
    assert result["text"] == "A red circle at the top left, a blue star at the center."


@asked("command_image")
def test_sees_by_a_command(result: Any) -> None:
    assert result["text"] == "A red circle at the top left, a blue star at the center."


@asked("at_once")
def test_keeps_answers_apart(result: Any, chat: Chat, image_url: str) -> None:
    seen = chat(user(image_part(image_url), text_part(ASKED["describe"])))
    for at, answer in enumerate(result):
        same(answer, chat(HELLO) if at % 2 else seen)


@asked("several_turns")
def test_goes_on(result: Any, chat: Chat, image_url: str) -> None:
    shown = user(image_part(image_url), text_part(ASKED["circle"]))
    answered = {"role": "assistant", "content": ASKED["red"]}
    same(result, chat(shown, answered, user(ASKED["star"])))
    assert result["text"] == "center"


@asked("system", "system_parts", "developer")
def test_reads_the_system_message(result: Any, chat: Chat) -> None:
    expected = chat({"role": "system", "content": ASKED["system"]}, HELLO)
    assert expected["prompt_tokens"] != chat(HELLO)["prompt_tokens"]
    same(result, expected)


@asked("aborted")
def test_stops_for_who_leaves(result: Any) -> None:
    assert result is True
