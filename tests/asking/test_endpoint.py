"""Requests to an endpoint with faults."""

import asyncio
import json
import re
from collections.abc import Iterator

import pytest

from asking import wire
from asking.endpoint import EndpointConfig, open_endpoint
from asking.errors import EndpointDown, EndpointError, EndpointRefused, EndpointUnreachable
from asking.retry import RetryPolicy
from asking.wire import build_messages
from tests.asking.scripted import (
    AnswerFunction,
    Reply,
    Request,
    completion_reply,
    error_reply,
    serve_script,
)

QUICK = RetryPolicy(attempts=4, backoff_s=0.001)


def reply_in_turn(*replies: Reply) -> AnswerFunction:
    left: Iterator[Reply] = iter(replies)
    return lambda _: next(left)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


async def ask_once(answer: AnswerFunction, **config: object) -> tuple[str, list[Request]]:
    """Ask once; return the text and all requests."""
    async with serve_script(answer) as there:
        settings = {"retry_policy": QUICK, **config}
        async with open_endpoint(EndpointConfig(there.url, **settings)) as endpoint:  # type: ignore[arg-type]
            return (await endpoint.complete(build_messages("Hello?"))).text, there.requests


def completion(finish_reason: str | None = None, **message: str | None) -> Reply:
    choice = {"message": message, "finish_reason": finish_reason}
    return Reply(body=json.dumps({"choices": [choice]}))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (completion("stop", content="Hi."), wire.Answer("Hi.", "stop")),
        (completion(content="Hi."), wire.Answer("Hi.")),
        (completion("length", content="H"), wire.Answer("H", "length")),
        (completion("length", content=None), wire.Answer("", "length")),
        (completion("content_filter"), wire.Answer("", "content_filter")),
        (completion("stop", content=None, refusal="No."), wire.Answer("No.", "refusal")),
    ],
)
async def test_why_an_answer_ended(reply: Reply, expected: wire.Answer) -> None:
    async with (
        serve_script(reply_in_turn(reply)) as there,
        open_endpoint(EndpointConfig(there.url, retry_policy=QUICK)) as endpoint,
    ):
        assert await endpoint.complete(build_messages("Hello?")) == expected


@pytest.mark.parametrize(
    "fault",
    [
        error_reply(500, "broken"),
        error_reply(503, "full"),
        error_reply(429, "too many"),
        Reply(body="<html>a proxy's page</html>"),
        Reply(body='{"choices": []}'),
        Reply(body='{"choices": [{"message": {"content": null}}]}'),
        Reply(body=""),
    ],
)
async def test_faults_are_retried(fault: Reply) -> None:
    text, requests = await ask_once(reply_in_turn(fault, fault, completion_reply("Hi.")))
    assert text == "Hi."
    assert len(requests) == 3


async def test_an_empty_answer_is_an_answer() -> None:
    text, requests = await ask_once(reply_in_turn(completion_reply("")))
    assert (text, len(requests)) == ("", 1)


async def test_retry_after_is_honoured() -> None:
    _, requests = await ask_once(
        reply_in_turn(error_reply(429, "slower", "Retry-After: 1"), completion_reply("Hi."))
    )
    assert requests[1].at - requests[0].at >= 1


async def test_too_long_a_retry_after_fails_at_once() -> None:
    with pytest.raises(EndpointDown, match=r"429: slower \(attempt 1 of 4\)"):
        await ask_once(reply_in_turn(error_reply(429, "slower", "Retry-After: 9999")))


async def test_attempts_run_out() -> None:
    with pytest.raises(EndpointDown, match=r"status 500: broken \(attempt 4 of 4\)"):
        await ask_once(lambda _: error_reply(500, "broken"))


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_refusals_are_final(status: int) -> None:
    with pytest.raises(EndpointRefused, match=f"status {status}: no"):
        await ask_once(reply_in_turn(error_reply(status, "no")))


async def test_a_bad_request_is_not_repeated() -> None:
    with pytest.raises(EndpointError, match="status 400: too long") as caught:
        await ask_once(reply_in_turn(error_reply(400, "too long")))
    assert type(caught.value) is EndpointError


async def test_the_request() -> None:
    _, (request,) = await ask_once(
        reply_in_turn(completion_reply("Hi.")),
        api_key="a-key",
        fields={"max_tokens": 5, "temperature": None},
    )
    assert request.path == "/v1/chat/completions"
    assert "authorization: bearer a-key" in request.headers.lower()
    turn = {"role": "user", "content": "Hello?"}
    assert request.body == {"model": "m", "messages": [turn], "max_tokens": 5}


def test_the_image_goes_before_the_text() -> None:
    system, user = build_messages("What?", "Be brief.", "data:image/png;base64,AA==")
    assert system == {"role": "system", "content": "Be brief."}
    assert [part["type"] for part in user["content"]] == ["image_url", "text"]
    assert json.dumps(user).count("What?") == 1


async def test_the_only_model_is_found_and_several_are_not_chosen_from() -> None:
    one = serve_script(lambda _: completion_reply(""), ("one",))
    async with one as there, open_endpoint(EndpointConfig(there.url)) as endpoint:
        assert endpoint.model == "one"
    async with serve_script(lambda _: completion_reply(""), ("one", "two")) as there:
        with pytest.raises(EndpointRefused, match="serves one, two: name the model"):
            async with open_endpoint(EndpointConfig(there.url)):
                pass


@pytest.mark.parametrize("url", ["ftp://x/v1", "127.0.0.1:8000/v1", "http://host:port/v1"])
async def test_what_is_no_base_url(url: str) -> None:
    with pytest.raises(EndpointError, match="base URL"):
        async with open_endpoint(EndpointConfig(url, retry_policy=QUICK)):
            pass


async def test_nobody_there() -> None:
    async with serve_script(lambda _: completion_reply("")) as there:
        url = there.url
    with pytest.raises(EndpointDown):
        async with open_endpoint(EndpointConfig(url, retry_policy=QUICK)):
            pass


async def test_a_slow_endpoint_times_out() -> None:
    never: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    with pytest.raises(EndpointDown, match="ReadTimeout"):
        await ask_once(
            lambda _: never, model="m", timeout_s=0.05, retry_policy=RetryPolicy(2, 0.001)
        )


async def test_waiting_is_told_at_once_and_ends_with_the_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serve_script(lambda _: completion_reply("")) as there:
        url = there.url
    config = EndpointConfig(url, retry_policy=RetryPolicy(2, 0.001), option_prefix="judge-")
    with pytest.raises(EndpointUnreachable) as caught:
        async with open_endpoint(config):
            pass
    told = re.escape(f"waiting for {url}: All connection attempts failed; attempt 2 of 2 in ")
    assert re.fullmatch(rf"{told}0\.0 s\n", capsys.readouterr().err)
    assert str(caught.value).startswith(f"no server answers at {url}: ")
    assert "`make serve`) starts one; --judge-base-url names another" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "is --judge-api-key right?"),
        (403, "is --judge-api-key right?"),
        (404, "are --judge-model 'm' and --judge-base-url right?"),
        (405, "does --judge-base-url end with the version"),
    ],
)
async def test_a_refusal_names_the_option(status: int, advice: str) -> None:
    with pytest.raises(EndpointRefused, match=re.escape(f"status {status}: no; {advice}")):
        await ask_once(reply_in_turn(error_reply(status, "no")), model="m", option_prefix="judge-")


async def test_a_refusal_names_the_model_that_was_found() -> None:
    with pytest.raises(EndpointRefused, match="are --model 'm' and --base-url right"):
        await ask_once(reply_in_turn(error_reply(404, "no")))
