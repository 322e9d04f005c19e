"""Request bodies of the load, as the server parses them."""

import json
from base64 import b64decode
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks.images import JpegImages, PngImages
from benchmarks.requests import (
    ImageSource,
    MultiTurnChat,
    RequestOptions,
    SingleTurnQuestions,
    UniqueNumbers,
    build_question,
)
from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request

NOT_STREAMED = RequestOptions("llava-tiny", max_tokens=32, stream=False)
STREAMED = RequestOptions("llava-tiny", max_tokens=8, stream=True)


class NamedImages:
    """A source of fake images that contain its name and their number."""

    def __init__(self, name: str) -> None:
        self.name = name

    def build(self, number: int) -> bytes:
        """Build bytes with name and number."""
        return b"\xff\xd8" + f"{self.name} {number}".encode() + b"\x00\xff"


def decode_images(request: ChatCompletionRequest) -> list[bytes]:
    """Decode the bytes of each image."""
    return [b64decode(each.url.partition(",")[2], validate=True) for each in request.images]


def list_image_sources(request: ChatCompletionRequest) -> list[str]:
    """Return the name of each image's source."""
    return [data[2:-2].decode().split()[0] for data in decode_images(request)]


def list_roles(request: ChatCompletionRequest) -> list[str]:
    """Return the role of each message."""
    return [message.role for message in request.messages]


def build_chat_with_three_images() -> MultiTurnChat:
    """Build a chat whose images contain their source's name."""
    return MultiTurnChat(
        NOT_STREAMED,
        UniqueNumbers(0),
        [NamedImages("first"), NamedImages("second"), NamedImages("third")],
    )


@pytest.mark.parametrize("options", [NOT_STREAMED, STREAMED])
def test_options_as_the_server_reads_them(options: RequestOptions) -> None:
    request = parse_chat_request(
        SingleTurnQuestions(options, UniqueNumbers(0), None, repeated=False).build_next_body()
    )
    assert request.model == "llava-tiny"
    assert request.token_limit == request.min_tokens == options.max_tokens
    assert request.temperature == 0
    assert request.stream is options.stream
    assert request.include_usage is options.stream


def test_a_question_without_pictures_is_text() -> None:
    request = parse_chat_request(
        SingleTurnQuestions(NOT_STREAMED, UniqueNumbers(6), None, repeated=False).build_next_body()
    )
    assert request.images == []
    assert [message.text for message in request.messages] == [build_question(7)]
    assert list_roles(request) == ["user"]


def test_a_jpeg_arrives_intact(tmp_path: Path) -> None:
    photos = JpegImages(160, 120, tmp_path)
    request = parse_chat_request(
        SingleTurnQuestions(
            NOT_STREAMED, UniqueNumbers(41), photos, repeated=False
        ).build_next_body()
    )
    assert request.images[0].url.startswith("data:image/jpeg;base64,")
    assert decode_images(request) == [photos.build(42)]
    assert request.messages[0].text == build_question(42)


def test_a_png_arrives_intact() -> None:
    pngs = PngImages(40)
    request = parse_chat_request(
        SingleTurnQuestions(NOT_STREAMED, UniqueNumbers(41), pngs, repeated=False).build_next_body()
    )
    assert request.images[0].url.startswith("data:image/png;base64,")
    assert decode_images(request) == [pngs.build(42)]


@pytest.mark.parametrize("pictures", [None, NamedImages("own")])
def test_a_body_is_one_json_object(pictures: ImageSource | None) -> None:
    body: dict[str, Any] = json.loads(
        SingleTurnQuestions(STREAMED, UniqueNumbers(0), pictures, repeated=False).build_next_body()
    )
    assert next(iter(body)) == "messages"
    assert body["stream_options"] == {"include_usage": True}
    assert [part["type"] for part in body["messages"][0]["content"]] == (
        ["image_url", "text"] if pictures else ["text"]
    )


def test_each_question_is_new_and_so_is_its_picture() -> None:
    questions = SingleTurnQuestions(
        NOT_STREAMED, UniqueNumbers(0), NamedImages("own"), repeated=False
    )
    requests = [parse_chat_request(questions.build_next_body()) for _ in range(20)]
    assert len({request.messages[0].text for request in requests}) == 20
    assert len({picture for each in requests for picture in decode_images(each)}) == 20


def test_a_repeated_picture_is_the_same_under_new_questions() -> None:
    questions = SingleTurnQuestions(
        NOT_STREAMED, UniqueNumbers(5), NamedImages("own"), repeated=True
    )
    requests = [parse_chat_request(questions.build_next_body()) for _ in range(5)]
    assert len({request.messages[0].text for request in requests}) == 5
    assert {picture for each in requests for picture in decode_images(each)} == {
        NamedImages("own").build(0)
    }


def test_questions_that_share_numbers_share_nothing_else() -> None:
    numbers = UniqueNumbers(0)
    both = [
        SingleTurnQuestions(NOT_STREAMED, numbers, NamedImages("own"), repeated=False)
        for _ in range(2)
    ]
    bodies = [each.build_next_body() for _ in range(5) for each in both]
    assert len(set(bodies)) == 10


def test_an_answer_changes_no_question() -> None:
    one, other = (
        SingleTurnQuestions(NOT_STREAMED, UniqueNumbers(0), None, repeated=False) for _ in range(2)
    )
    one.record_answer("Red.")
    assert one.build_next_body() == other.build_next_body()
    assert not one.has_history


def test_a_question_depends_on_its_number_only() -> None:
    assert build_question(3) == build_question(3)
    assert len({build_question(number) for number in range(100)}) == 100
    assert "and of 3." in build_question(3)
    assert 20 <= len(build_question(3).split()) <= 30


def test_numbers_begin_after_the_first() -> None:
    numbers = UniqueNumbers(100)
    assert [numbers.take() for _ in range(3)] == [101, 102, 103]


def test_a_chat_sends_its_history() -> None:
    chat = build_chat_with_three_images()
    before = parse_chat_request(chat.build_next_body())
    for turn in range(1, 6):
        chat.record_answer(f"Answer {turn}.")
        request = parse_chat_request(chat.build_next_body())
        assert list_roles(request) == ["user", "assistant"] * turn + ["user"]
        assert request.messages[: 2 * turn - 1] == before.messages
        assert request.messages[2 * turn - 1].text == f"Answer {turn}."
        before = request
    assert chat.has_history


def test_a_chat_shows_an_image_in_turns_one_three_and_five() -> None:
    chat = build_chat_with_three_images()
    shown = []
    for _ in range(6):
        request = parse_chat_request(chat.build_next_body())
        shown.append((list_image_sources(request), bool(request.messages[-1].images)))
        chat.record_answer("Yes.")
    assert shown == [
        (["first"], True),
        (["first"], False),
        (["first", "second"], True),
        (["first", "second"], False),
        (["first", "second", "third"], True),
        (["first", "second", "third"], False),
    ]


def test_a_chat_starts_anew_after_six_turns_with_new_pictures() -> None:
    chat = build_chat_with_three_images()
    requests = []
    for _ in range(18):
        requests.append(parse_chat_request(chat.build_next_body()))
        chat.record_answer("Yes.")
    lengths = [len(request.messages) for request in requests]
    assert lengths == [1, 3, 5, 7, 9, 11] * 3
    assert [list_image_sources(requests[turn]) for turn in (0, 6, 12)] == [["first"]] * 3
    last_of_each = [decode_images(requests[turn]) for turn in (5, 11, 17)]
    assert len({picture for pictures in last_of_each for picture in pictures}) == 9
    questions = [request.messages[-1].text for request in requests]
    assert all(one != other for one, other in pairwise(questions))


@pytest.mark.parametrize("text", ['"Yes", he said\\.', "one\n\ntwo\t\x00", "naïve ☃ 🦙", ""])
def test_whatever_was_answered_is_in_the_history_as_it_was(text: str) -> None:
    chat = build_chat_with_three_images()
    chat.build_next_body()
    chat.record_answer(text)
    assert parse_chat_request(chat.build_next_body()).messages[1].text == text
