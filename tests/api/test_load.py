"""Many clients at once, clients that leave, and the limit on how many are let in."""

import asyncio
import json

import httpx
import pytest

from tests.api.limits import MAX_REQUESTS
from tests.api.pictures import body, circle_and_square, encoded, image_part, text_part, user
from tests.api.running import RunningServer, metric, wait_for_metric

LONG = {"ignore_eos": True, "max_tokens": 1800, "stream": True}


def assert_at_rest(url: str) -> None:
    """Everything that requests held is free again within a second of the last client's leaving."""
    wait_for_metric(url, "llava:num_requests_running", 0, limit_s=1.0)
    wait_for_metric(url, "vllm:num_requests_running", 0, limit_s=1.0)
    wait_for_metric(url, "vllm:kv_cache_usage_perc", 0, limit_s=1.0)
    assert metric(url, "llava:num_requests_waiting") == 0


async def read_events(client: httpx.AsyncClient, limit: int | None) -> int:
    """Read a long stream, at most `limit` events of it, then hang up. Returns events read."""
    request = body(user("Hello"), **LONG)
    events = 0
    async with client.stream("POST", "/v1/chat/completions", json=request) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            events += line.startswith("data: ")
            if events == limit:
                break
    return events


async def test_hanging_up_frees_everything(
    server: RunningServer, http_async: httpx.AsyncClient
) -> None:
    streams = [read_events(http_async, 12 if n % 2 else 60) for n in range(32)]
    await asyncio.gather(*streams)
    await asyncio.to_thread(assert_at_rest, server.url)
    assert metric(server.url, 'llava:requests_total{outcome="cancelled"}') >= 16


async def test_leaving_before_the_first_byte_aborts(
    server: RunningServer, http_async: httpx.AsyncClient
) -> None:
    request = body(user("Hello"), **{**LONG, "stream": False})
    asking = asyncio.create_task(http_async.post("/v1/chat/completions", json=request))
    await asyncio.to_thread(wait_for_metric, server.url, "vllm:num_requests_running", 1, 5.0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await asyncio.to_thread(assert_at_rest, server.url)


async def test_beyond_the_limit_is_429(
    server: RunningServer, http_async: httpx.AsyncClient
) -> None:
    streams = [asyncio.create_task(read_events(http_async, None)) for _ in range(MAX_REQUESTS)]
    await asyncio.to_thread(
        wait_for_metric, server.url, "llava:num_requests_running", MAX_REQUESTS, 20.0
    )
    response = await http_async.post("/v1/chat/completions", json=body(user("Hello")))
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) >= 1
    assert response.json()["error"]["code"] == "rate_limit_exceeded"
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    await asyncio.to_thread(assert_at_rest, server.url)
    again = await http_async.post("/v1/chat/completions", json=body(user("Hello")))
    assert again.status_code == 200


async def test_the_same_image_at_once_is_encoded_once(
    server: RunningServer, http_async: httpx.AsyncClient
) -> None:
    before = metric(server.url, 'llava:stage_seconds_count{stage="encode"}')
    picture = encoded(circle_and_square(1001, 777), "JPEG")
    request = body(user(image_part(picture), text_part("What color is the circle?")))
    responses = await asyncio.gather(
        *(http_async.post("/v1/chat/completions", json=request) for _ in range(12))
    )
    answers = {r.json()["choices"][0]["message"]["content"] for r in responses}
    assert answers == {"red"}
    assert metric(server.url, 'llava:stage_seconds_count{stage="encode"}') == before + 1


async def test_different_images_at_once_keep_their_answers(
    http_async: httpx.AsyncClient,
) -> None:
    async def ask(width: int, question: str) -> str:
        request = body(user(image_part(circle_and_square(width, 300)), text_part(question)))
        response = await http_async.post("/v1/chat/completions", json=request)
        content: str = response.json()["choices"][0]["message"]["content"]
        return content

    sizes = range(300, 330, 2)
    answers = await asyncio.gather(*(ask(width, "What color is the circle?") for width in sizes))
    assert set(answers) == {"red"}


@pytest.mark.parametrize("slow", [False, True])
async def test_a_client_that_leaves_while_it_sends(server: RunningServer, slow: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
    content = json.dumps(body(user("Hello"))).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    writer.write(head.encode() + content[: len(content) // 2])
    if slow:
        await writer.drain()
    writer.close()
    await writer.wait_closed()
    await asyncio.to_thread(assert_at_rest, server.url)
    assert reader.at_eof() or not await reader.read()
