"""The value that leads a conversation back to its replica."""

import json
from typing import Any

import pytest

from server.api.affinity import ACCEPTED_VALUE, AFFINITY_HEADER, build_affinity_header
from server.protocol.chat.request import parse_chat_request
from server.protocol.completions.request import parse_completion_request


def value(
    sent: str = "", partition: str = "", image: str | None = None, text: str = "Hello"
) -> str:
    return build_affinity_header(sent, partition, image, text)[AFFINITY_HEADER]


@pytest.mark.parametrize("sent", ["a", "conversation-7", "A.b_c~d:e-f", "0" * 64])
def test_a_clients_own_value_comes_back(sent: str) -> None:
    assert value(sent) == sent


@pytest.mark.parametrize("sent", ["", " ", "a b", "a,b", "a/b", "ä", "a\r\nb", "a\n", "0" * 65])
def test_an_ill_formed_value_is_ignored(sent: str) -> None:
    assert value(sent) == value()
    assert ACCEPTED_VALUE.fullmatch(value())


def test_the_value_is_the_same_everywhere() -> None:
    assert value(image="f" * 64) == "4b83242c05199f13ebd73ec7a4ed7ba1"


def test_values_differ_by_partition_and_beginning() -> None:
    values = [
        value(partition=partition, image=image, text=text)
        for partition in ("", "other")
        for image, text in ((None, "x"), (None, "y"), ("x", ""), ("y", ""))
    ]
    assert len(set(values)) == len(values)


def test_the_first_image_outweighs_the_text() -> None:
    assert value(image="x", text="one") == value(image="x", text="another")


def leading_text(*messages: tuple[str, Any]) -> str:
    listed = [{"role": role, "content": content} for role, content in messages]
    return parse_chat_request(json.dumps({"model": "m", "messages": listed}).encode()).leading_text


def test_all_turns_of_a_chat_begin_alike() -> None:
    first = ("system", "Be brief."), ("user", [{"type": "text", "text": "Hello"}])
    later = (("assistant", "Hi"), ("user", "And you?"))
    assert leading_text(*first) == leading_text(*first, *later) == "Be brief.\nHello"
    assert leading_text(("developer", "Be brief."), ("user", "Other")) == "Be brief.\nOther"
    assert leading_text(("system", "Be brief.")) == "Be brief."


def test_the_text_has_a_bounded_length() -> None:
    long = [("system", "x" * 50_000)] * 3
    assert len(leading_text(*long, ("user", "Hello"))) < 66_000


def prompt_text(prompt: Any) -> str:
    body = json.dumps({"model": "m", "prompt": prompt}).encode()
    return parse_completion_request(body).leading_text


def test_prompts_that_grow_begin_alike() -> None:
    for prompt, more in (("x" * 600, "y"), ([1] * 600, [2])):
        assert prompt_text(prompt) == prompt_text(prompt + more)  # type: ignore[operator]
        assert prompt_text([prompt, prompt + more]) == prompt_text(prompt)  # type: ignore[operator]
        assert prompt_text(prompt) != prompt_text(more)
