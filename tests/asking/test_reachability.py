"""The wait for a server before the first question."""

import asyncio
import re

import pytest

from asking import endpoint as endpoint_module
from asking.endpoint import EndpointConfig, open_endpoint
from asking.errors import EndpointUnreachable
from asking.retry import RetryPolicy
from asking.wire import build_messages
from tests.asking.scripted import AnyReply, Reply, completion_reply, error_reply, serve_script


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


async def wait_and_ask(listing: AnyReply) -> int:
    """Wait for an endpoint with this reply to `GET /models`, and ask it; return the listings."""
    async with serve_script(lambda _: completion_reply("Hi."), listing=listing) as there:
        async with open_endpoint(EndpointConfig(there.url, model="m")) as endpoint:
            await endpoint.wait_until_reachable()
            assert (await endpoint.complete(build_messages("Hello?"))).text == "Hi."
        return there.listed


@pytest.mark.parametrize(
    "listing",
    [
        error_reply(401, "who are you?"),
        error_reply(404, "no such path"),
        error_reply(429, "slower", "Retry-After: 300"),
        error_reply(500, "broken"),
        error_reply(501, "not implemented"),
        Reply(body="<html>a proxy's page</html>"),
    ],
)
async def test_any_answer_ends_the_wait(listing: Reply, capsys: pytest.CaptureFixture[str]) -> None:
    assert await wait_and_ask(listing) == 1
    assert capsys.readouterr().err == ""


async def test_a_silent_server_ends_the_wait(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(endpoint_module, "PROBE_TIMEOUT_S", 0.05)
    assert await wait_and_ask(asyncio.get_running_loop().create_future()) == 1
    assert capsys.readouterr().err == ""


async def test_no_server_is_told_and_ends_with_the_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serve_script(lambda _: completion_reply("")) as there:
        url = there.url
    config = EndpointConfig(
        url, model="m", retry_policy=RetryPolicy(2, 0.001), option_prefix="judge-"
    )
    async with open_endpoint(config) as endpoint:
        with pytest.raises(EndpointUnreachable, match="--judge-base-url names another") as caught:
            await endpoint.wait_until_reachable()
    assert str(caught.value).startswith(f"no server answers at {url}: ")
    told = re.escape(f"waiting for {url}: All connection attempts failed; attempt 2 of 2 in ")
    assert re.fullmatch(rf"{told}0\.0 s\n", capsys.readouterr().err)
