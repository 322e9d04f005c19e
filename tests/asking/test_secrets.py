"""Keys and passwords stay out of messages."""

import pytest
import typer

from asking.endpoint import EndpointConfig, open_endpoint
from asking.errors import EndpointError, EndpointRefused, EndpointUnreachable
from asking.option_groups import Role
from asking.options import AskingOptions, EndpointOptions
from asking.retry import RetryPolicy
from asking.wire import build_messages, hide_userinfo
from tests.asking.scripted import completion_reply, error_reply, serve_script

QUICK = RetryPolicy(attempts=2, backoff_s=0.001)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


class _JudgeOptions(EndpointOptions):
    role = Role("The judge", "EVALUATION_JUDGE", {}, "judge-")


def build_config(key: str) -> EndpointConfig:
    return _JudgeOptions("http://127.0.0.1:8000/v1", key).build_config(AskingOptions(), {})


def test_whitespace_around_a_key_is_left_out() -> None:
    assert build_config(" sk-secret\r\n").api_key == "sk-secret"


@pytest.mark.parametrize("key", ["sk-\nsecret", "sk-schlüssel", "sk-\x7fsecret"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(typer.BadParameter, match="no HTTP header can carry") as caught:
        build_config(key)
    assert caught.value.param_hint == "--judge-api-key"
    assert "sk-" not in caught.value.format_message()


async def test_a_header_that_cannot_be_sent_is_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serve_script(lambda _: completion_reply("")) as there:
        config = EndpointConfig(there.url, "sk-secret\n", "m", retry_policy=QUICK)
        async with open_endpoint(config) as endpoint:
            with pytest.raises(EndpointRefused, match="is the API key right") as caught:
                await endpoint.wait_until_reachable()
    assert "secret" not in str(caught.value) + capsys.readouterr().err


async def test_a_password_is_not_shown_where_no_server_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serve_script(lambda _: completion_reply("")) as there:
        url = there.url
    config = EndpointConfig(url.replace("//", "//user:secret@"), retry_policy=QUICK)
    with pytest.raises(EndpointUnreachable, match=f"no server answers at {url}: ") as caught:
        async with open_endpoint(config):
            pass
    told = capsys.readouterr().err
    assert f"waiting for {url}: " in told
    assert "secret" not in str(caught.value) + told


@pytest.mark.parametrize("status", [400, 401, 404, 405, 500])
async def test_a_password_is_not_shown_in_an_error(status: int) -> None:
    async with serve_script(lambda _: error_reply(status, "no")) as there:
        url = there.url.replace("//", "//user:secret@")
        async with open_endpoint(EndpointConfig(url, retry_policy=QUICK)) as endpoint:
            with pytest.raises(EndpointError, match=f"^{there.url}/chat/completions: ") as caught:
                await endpoint.complete(build_messages("Hello?"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "user:secret@host/v1",
        "ftp://user:secret@host/v1",
        "http://user:secret@host:port/v1",
        "http://user:se/secret@host/v1",
        "http://user:se@secret@host:port/v1",
    ],
)
async def test_a_password_is_not_shown_where_there_is_no_base_url(url: str) -> None:
    with pytest.raises(EndpointError, match="base URL") as caught:
        async with open_endpoint(EndpointConfig(url, retry_policy=QUICK)):
            pass
    assert "secret" not in str(caught.value)
    assert "host" in str(caught.value)


@pytest.mark.parametrize("url", ["http://host:80/@team/v1", "127.0.0.1:8000/v1", "http://h:p/v1"])
def test_a_url_without_a_password_is_shown_as_it_is(url: str) -> None:
    assert hide_userinfo(url) == url
