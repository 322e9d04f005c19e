"""The spellings of an image part, in chat requests, Responses and `/tokenize`."""

import json
from typing import Any

import pytest

from server.errors import InvalidValue, UnsupportedParameter
from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request
from server.protocol.tokenize import TokenizeChatRequest, parse_tokenize_request
from server.responses.translation import parse_and_translate

URL = "https://example.org/cat.png"
DATA_URL = "data:image/png;base64,iVBORw0K"
BASE64_URL = "data:;base64,iVBORw0K"

SPELLINGS: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "image_url", "image_url": {"url": URL}}, URL, "image_url.url"),
    ({"type": "image_url", "image_url": URL}, URL, "image_url"),
    ({"type": "input_image", "image_url": URL}, URL, "image_url"),
    ({"type": "input_image", "image_url": {"url": URL}}, URL, "image_url.url"),
    ({"type": "image_url", "image_url": URL, "image": None, "text": None}, URL, "image_url"),
    ({"type": "input_image", "image_url": URL, "file_id": None}, URL, "image_url"),
    ({"type": "image", "image": URL}, URL, "image"),
    ({"type": "image", "image": DATA_URL}, DATA_URL, "image"),
    ({"type": "image", "image": " " + DATA_URL}, " " + DATA_URL, "image"),
    ({"type": "image", "image": "iVBORw0K"}, BASE64_URL, "image"),
    ({"type": "image", "url": URL}, URL, "url"),
    ({"type": "image", "base64": "iVBORw0K"}, BASE64_URL, "base64"),
    ({"type": "image", "data": "iVBORw0K", "mimeType": "image/png"}, BASE64_URL, "data"),
    ({"type": "image", "data": DATA_URL, "mimeType": "image/png"}, DATA_URL, "data"),
    (
        {"type": "image", "source": {"type": "base64", "media_type": "x", "data": "iVBORw0K"}},
        BASE64_URL,
        "source.data",
    ),
    ({"type": "image", "source": {"type": "url", "url": URL}}, URL, "source.url"),
]
TEXTS = [{"type": kind, "text": "What?"} for kind in ("text", "input_text", "output_text")]


def parse_chat(*parts: Any) -> ChatCompletionRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": parts}]}
    return parse_chat_request(json.dumps(body).encode())


def parse_tokenize(*parts: Any) -> ChatCompletionRequest:
    body = {"messages": [{"role": "user", "content": parts}]}
    request = parse_tokenize_request(json.dumps(body).encode())
    assert isinstance(request, TokenizeChatRequest)
    return request.to_chat_request("m")


def parse_response(*parts: Any) -> ChatCompletionRequest:
    body = {"model": "m", "input": [{"role": "user", "content": parts}]}
    return parse_and_translate(json.dumps(body).encode()).chat


@pytest.mark.parametrize("parse", [parse_chat, parse_tokenize, parse_response])
@pytest.mark.parametrize(("part", "url", "field"), SPELLINGS, ids=str)
def test_every_endpoint_takes_every_spelling(
    part: dict[str, Any], url: str, field: str, parse: Any
) -> None:
    request = parse(TEXTS[0], part)
    [image] = request.images
    assert image.url == url
    assert image.param == f"messages[0].content[1].{field}"
    assert not image.low_detail
    request.drop_media()
    assert [each.url for each in request.images] == [""]


@pytest.mark.parametrize("parse", [parse_chat, parse_tokenize, parse_response])
@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_every_endpoint_takes_every_type_of_text(text: dict[str, Any], parse: Any) -> None:
    assert parse(text).messages[0].text == "What?"


@pytest.mark.parametrize("parse", [parse_chat, parse_response])
@pytest.mark.parametrize("detail", ["auto", "low", "high", "original", None])
def test_detail_beside_the_url_or_with_it(detail: str | None, parse: Any) -> None:
    beside = {"type": "input_image", "image_url": URL, "detail": detail}
    within = {"type": "image_url", "image_url": {"url": URL, "detail": detail}}
    for part in (beside, within):
        assert parse(part).images[0].low_detail == (detail == "low")


UNKNOWN: list[tuple[dict[str, Any], str]] = [
    ({"type": "image_url", "image_url": URL, "field": "elsewhere"}, "field"),
    ({"type": "image_url", "image_url": {"url": URL, "foo": 1}}, "image_url.foo"),
    ({"type": "image_url", "image_url": {"url": URL, "image": 1}}, "image_url.image"),
    ({"type": "image", "source": {"type": "url", "url": URL, "foo": 1}}, "source.foo"),
    ({"type": "image", "image": {"data": URL, "foo": 1}}, "image.foo"),
]


@pytest.mark.parametrize(("parse", "path"), [(parse_chat, "messages"), (parse_response, "input")])
@pytest.mark.parametrize(("part", "field"), UNKNOWN, ids=str)
def test_unknown_fields_are_named_where_they_are(
    part: dict[str, Any], field: str, parse: Any, path: str
) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        parse(part)
    assert caught.value.param == f"{path}[0].content[0].{field}"


@pytest.mark.parametrize("parse", [parse_chat, parse_response])
def test_what_is_known_of_files_changes_nothing(parse: Any) -> None:
    source = {"url": URL, "data": None, "filename": "a", "mime_type": "x", "foo": None}
    assert parse({"type": "image", "source": source, "url": {}}).images[0].url == URL


BAD: list[tuple[dict[str, Any], str]] = [
    ({"type": "image"}, "image_url"),
    ({"type": "image", "image": 5}, "image"),
    ({"type": "image", "image": ["a"]}, "image"),
    ({"type": "image", "data": ""}, "data"),
    ({"type": "image", "url": {}}, "image_url"),
    ({"type": "image_url", "image_url": {"url": URL}, "url": URL}, "url"),
    ({"type": "image_url", "image_url": {"url": URL, "data": "aa"}}, "image_url.data"),
    ({"type": "image", "image": URL, "source": {"type": "file", "file_id": "f"}}, "source"),
    ({"type": "image", "source": {"url": {"url": URL}}}, "source.url"),
    ({"type": "image", "source": {"url": URL, "detail": "x"}}, "source.detail"),
    ({"type": "image", "source": {"type": "base64", "data": 5}}, "source.data"),
    ({"type": "image", "source": {"type": "file", "file_id": "f"}}, "image_url"),
    ({"type": "input_image", "file_id": "f"}, "file_id"),
    ({"type": "input_image", "image_url": URL, "detail": "x"}, "detail"),
    ({"type": "input_image", "image_url": URL, "detail": 5}, "detail"),
    ({"type": "image_url", "image_url": {"url": URL, "detail": ["low"]}}, "image_url.detail"),
]


@pytest.mark.parametrize(("parse", "path"), [(parse_chat, "messages"), (parse_response, "input")])
@pytest.mark.parametrize(("part", "field"), BAD, ids=str)
def test_an_error_names_the_field_as_the_client_sent_it(
    part: dict[str, Any], field: str, parse: Any, path: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse(part)
    assert caught.value.param == f"{path}[0].content[0].{field}"
