"""Attachments, server-sent events and errors, without a server."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.terminal import attachment
from server.terminal.attachment import open_attachment, read_attachment
from server.terminal.chat import format_summary
from server.terminal.errors import APIError, UsageError
from server.terminal.streamed_answer import StreamedAnswer
from server.terminal.wire import (
    CompletionChunk,
    parse_chunk,
    parse_error_response,
    parse_model_names,
    parse_sse_data,
)
from tests.api.pictures import encoded, green_triangle
from tests.server.images.decode.video.clips import encode_animation, encode_clip, make_steps


@pytest.mark.parametrize(
    ("kind", "image_format"),
    [
        *((each.lower(), each) for each in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")),
        ("jp2", "JPEG2000"),
        ("vnd.microsoft.icon", "ICO"),
        ("x-portable-anymap", "PPM"),
    ],
)
def test_the_media_type_comes_from_the_content(kind: str, image_format: str) -> None:
    data = encoded(green_triangle(), image_format)
    attached = read_attachment("it", io.BytesIO(data))
    assert attached.url == f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    assert attached.kind == "image"


@pytest.mark.parametrize(
    ("container", "codec", "pixel_format", "media_type"),
    [
        ("matroska", "ffv1", "bgr0", "video/x-matroska"),
        ("mp4", "mpeg4", "yuv420p", "video/mp4"),
        ("avi", "mpeg4", "yuv420p", "video/x-msvideo"),
        ("mpegts", "mpeg2video", "yuv420p", "video/mp2t"),
        ("mpeg", "mpeg2video", "yuv420p", "video/mpeg"),
        ("flv", "flv1", "yuv420p", "video/x-flv"),
        ("asf", "mpeg4", "yuv420p", "video/x-ms-asf"),
        ("yuv4mpegpipe", "rawvideo", "yuv420p", "video/x-yuv4mpeg"),
    ],
)
def test_a_video_is_told_by_its_content(
    container: str, codec: str, pixel_format: str, media_type: str
) -> None:
    clip = encode_clip(make_steps(3, (128, 96)), container, codec, pixel_format)
    attached = read_attachment("it", io.BytesIO(clip))
    assert (attached.kind, attached.url.partition(";")[0]) == ("video", f"data:{media_type}")


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://example.com/clip.MP4?key=a.png", "video"),
        ("https://example.com/photo.jpg?of=clip.mp4", "image"),
        ("data:video/mp4;base64,AAAA", "video"),
        ("data:image/png;base64,AAAA", "image"),
        ("https://[/clip.mp4", "video"),
    ],
)
def test_a_url_tells_by_its_media_type_or_suffix(url: str, kind: str) -> None:
    assert open_attachment(url).kind == kind
    assert open_attachment(url, "video").kind == "video"


def test_an_animation_is_an_image_unless_it_is_named_a_video() -> None:
    animation = encode_animation(make_steps(3), "GIF")
    assert read_attachment("it", io.BytesIO(animation)).kind == "image"
    assert read_attachment("it", io.BytesIO(animation), "video").kind == "video"
    clip = io.BytesIO(encode_clip(make_steps(3)))
    with pytest.raises(UsageError, match=r"is not an image \(.*\): /video attaches it"):
        read_attachment("it", clip, "image")
    photo = io.BytesIO(encoded(green_triangle(), "JPEG"))
    with pytest.raises(UsageError, match=r"is not a video \(.*\): /image attaches it"):
        read_attachment("it", photo, "video")


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachment, "MAX_BYTES", 10)
    with pytest.raises(UsageError, match="it is larger than"):
        read_attachment("it", io.BytesIO(bytes(11)))
    with pytest.raises(UsageError, match="it is empty"):
        read_attachment("it", io.BytesIO())
    with pytest.raises(UsageError, match=f"{tmp_path}: Is a directory"):
        open_attachment(str(tmp_path))
    with pytest.raises(UsageError, match="embedded null byte"):
        open_attachment("a\0b")


def test_a_long_url_is_shown_shortened() -> None:
    shown = open_attachment("https://example.com/" + "x" * 100)
    assert len(shown.name) == 48
    assert shown.url.endswith("x" * 100)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_events_are_read_however_they_are_cut(size: int) -> None:
    text = json.dumps({"a": "\u2028\x85"}, ensure_ascii=False)
    stream = f": hello\r\ndata: {text}\r\n\r\nevent: x\ndata:{{}}\n\ndata: [DONE]\n\ndata: no\n\n"
    data = stream.encode()
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    assert list(parse_sse_data(parts)) == [text.encode(), b"{}"]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"error": {"message": "m", "code": "c", "param": "p"}}, "m (c, p)"),
        ({"error": {"message": "m", "code": 7, "param": None}}, "m (7)"),
        ({"error": "m"}, "m"),
        ({"detail": "m"}, 'status 418: {"detail":"m"}'),
    ],
)
def test_errors_of_any_shape(body: Any, shown: str) -> None:
    assert parse_error_response(httpx.Response(418, json=body)).display_text == shown


def test_an_error_without_a_body() -> None:
    assert parse_error_response(httpx.Response(502)).display_text == "status 502: Bad Gateway"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"choices": [{"delta": 3}]}'])
def test_an_answer_of_another_shape(body: bytes) -> None:
    with pytest.raises(APIError, match="is not an OpenAI chat completion"):
        parse_chunk(body)
    with pytest.raises(APIError, match="is not an OpenAI chat completion"):
        parse_model_names(body)


def test_a_refusal_is_an_answer() -> None:
    chunk = parse_chunk(b'{"choices": [{"message": {"content": null, "refusal": "I will not."}}]}')
    assert chunk.text == "I will not."


def test_rates_without_counts_or_time_are_left_out() -> None:
    answer = StreamedAnswer("m", first_text_at=1.0, last_chunk_at=1.0, started_at=0.5)
    assert format_summary(answer) == "first token after 0.50 s"
    answer.add_chunk(CompletionChunk(usage={"prompt_tokens": 7, "completion_tokens": 5}))
    answer.last_chunk_at = 3.0
    assert format_summary(answer) == (
        "7 tokens in · 5 tokens out · first token after 0.50 s · 2 tokens/s"
    )
    assert format_summary(StreamedAnswer("m")) == ""
