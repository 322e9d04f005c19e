"""An OpenAI-compatible endpoint: chat completions, with retries."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel
from tenacity import AsyncRetrying, RetryCallState, RetryError

from asking.errors import EndpointDown, EndpointError, EndpointRefused, EndpointUnreachable
from asking.retry import (
    ConnectionFailed,
    RetryableError,
    RetryPolicy,
    is_retryable_status,
    parse_retry_after,
)
from asking.wire import (
    Answer,
    ChatCompletion,
    Message,
    ModelList,
    build_request_body,
    hide_userinfo,
    parse_error_message,
    parse_response,
)

AnyModel = TypeVar("AnyModel", bound=BaseModel)
Result = TypeVar("Result")

# A server that listens accepts a connection in this time; its answer may take longer.
PROBE_TIMEOUT_S = 5.0

# Every other request would get these statuses, too.
_REFUSAL_STATUSES = {401, 403, 404, 405}


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """The address of an endpoint and the options of its requests.

    `base_url` ends with the version (`…/v1`). An empty `model` selects the only model that the
    endpoint lists. `fields` are added to every request. `option_prefix` begins the names of its
    options, which messages name: `judge-` for `--judge-base-url`.
    """

    base_url: str
    api_key: str = ""
    model: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 8
    timeout_s: float = 120.0
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    option_prefix: str = ""

    @property
    def shown_url(self) -> str:
        """The base URL without user and password, for messages."""
        return hide_userinfo(self.base_url)


class Endpoint:
    """A client for one model of an endpoint; created by `open_endpoint`."""

    def __init__(self, config: EndpointConfig, client: httpx.AsyncClient) -> None:
        """`config` names the model."""
        self.model = config.model
        self.concurrency = config.concurrency
        self.fields = config.fields
        self._config = config
        self._client = client

    async def wait_until_reachable(self) -> None:
        """Wait until the server, which may be starting, accepts a connection.

        Raises `EndpointUnreachable`.
        """
        timeout_s = min(self._config.timeout_s, PROBE_TIMEOUT_S)
        request = self._client.build_request("GET", "models", timeout=timeout_s)

        async def probe() -> None:
            await _probe(self._client, request)

        await _retry(self._config, request, probe, _print)

    async def complete(self, messages: list[Message]) -> Answer:
        """Return the model's answer. Raises `EndpointError` after the last attempt."""
        body = build_request_body(self.model, messages, self.fields)
        request = self._client.build_request("POST", "chat/completions", json=body)
        completion = await _send_with_retries(self._client, self._config, request, ChatCompletion)
        return completion.answer


@asynccontextmanager
async def open_endpoint(config: EndpointConfig) -> AsyncIterator[Endpoint]:
    """Open an HTTP client and find the model. Raises `EndpointError`."""
    try:
        client = httpx.AsyncClient(
            base_url=f"{config.base_url.rstrip('/')}/",
            headers={"authorization": f"Bearer {config.api_key}"} if config.api_key else {},
            timeout=config.timeout_s,
            limits=httpx.Limits(max_connections=config.concurrency),
        )
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise EndpointError(f"{config.shown_url!r} is not a base URL") from None
    async with client:
        model = config.model or await _find_only_model(config, client)
        yield Endpoint(replace(config, model=model), client)


async def _find_only_model(config: EndpointConfig, client: httpx.AsyncClient) -> str:
    """Return the listed model's name; each attempt that fails is reported on stderr."""
    request = client.build_request("GET", "models")
    listed = await _send_with_retries(client, config, request, ModelList, report=_print)
    names = [model.id for model in listed.data]
    if len(names) != 1:
        raise EndpointRefused(
            f"{config.shown_url} serves {', '.join(names) or 'no model'}: name the model to ask"
            f" with --{config.option_prefix}model"
        )
    return names[0]


async def _send_with_retries(
    client: httpx.AsyncClient,
    config: EndpointConfig,
    request: httpx.Request,
    model: type[AnyModel],
    report: Callable[[str], None] | None = None,
) -> AnyModel:
    async def send() -> AnyModel:
        return await _send_once(client, config, request, model)

    return await _retry(config, request, send, report)


async def _retry(
    config: EndpointConfig,
    request: httpx.Request,
    send: Callable[[], Awaitable[Result]],
    report: Callable[[str], None] | None,
) -> Result:
    """Call `send` until it succeeds; `report` is told of each attempt that failed."""
    attempts = config.retry_policy.attempts

    def tell(state: RetryCallState) -> None:
        if report is not None and state.outcome is not None:
            report(
                f"waiting for {config.shown_url}: {state.outcome.exception()};"
                f" attempt {state.attempt_number + 1} of {attempts} in {state.upcoming_sleep:.1f} s"
            )

    options = config.retry_policy.build_tenacity_options()
    try:
        return await AsyncRetrying(**options, before_sleep=tell)(send)
    except RetryError as error:
        last = error.last_attempt
        reason = f"{last.exception()} (attempt {last.attempt_number} of {attempts})"
        if isinstance(last.exception(), ConnectionFailed):
            raise EndpointUnreachable(
                f"no server answers at {config.shown_url}: {reason}. `llava-server serve` (in a"
                f" clone, `make serve`) starts one; --{config.option_prefix}base-url names another"
            ) from None
        raise EndpointDown(f"{_show_url(request)}: {reason}") from None


def _show_url(request: httpx.Request) -> str:
    return hide_userinfo(str(request.url))


def _print(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


async def _probe(client: httpx.AsyncClient, request: httpx.Request) -> None:
    """Return if the server accepts a connection, whatever it answers then, or if it is silent.

    Some endpoints list no models, and questions have their own retries.
    """
    try:
        response = await _send(client, request, stream=True)
    except ConnectionFailed:
        raise
    except RetryableError:
        return
    await response.aclose()


async def _send_once(
    client: httpx.AsyncClient,
    config: EndpointConfig,
    request: httpx.Request,
    model: type[AnyModel],
) -> AnyModel:
    response = await _send(client, request)
    if not response.is_success:
        raise _build_error(config, request, response)
    try:
        answer: AnyModel = parse_response(response, model)
    except ValueError as error:
        raise RetryableError(str(error)) from None
    return answer


async def _send(
    client: httpx.AsyncClient, request: httpx.Request, stream: bool = False
) -> httpx.Response:
    """Send a request, and translate httpx's errors."""
    try:
        return await client.send(request, stream=stream)
    except httpx.UnsupportedProtocol:
        raise EndpointRefused(
            f"{_show_url(request)}: a base URL begins with http:// or https://"
        ) from None
    except httpx.LocalProtocolError:
        # Its message shows the header, which may hold the key.
        raise EndpointRefused(
            f"{_show_url(request)}: the request holds what HTTP cannot carry; is the API key right?"
        ) from None
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise ConnectionFailed(str(error) or type(error).__name__) from None
    except httpx.HTTPError as error:
        raise RetryableError(str(error) or type(error).__name__) from None


def _build_error(
    config: EndpointConfig, request: httpx.Request, response: httpx.Response
) -> Exception:
    message = parse_error_message(response)
    if is_retryable_status(response.status_code):
        return RetryableError(message, parse_retry_after(response.headers.get("retry-after")))
    if response.status_code not in _REFUSAL_STATUSES:
        return EndpointError(f"{_show_url(request)}: {message}")
    return EndpointRefused(
        f"{_show_url(request)}: {message.rstrip('.')}; {_advise(config, request, response)}"
    )


def _advise(config: EndpointConfig, request: httpx.Request, response: httpx.Response) -> str:
    """Return which option may be wrong where a request is refused."""
    if response.status_code in (401, 403):
        return f"is --{config.option_prefix}api-key right?"
    if request.method == "POST" and response.status_code == 404:
        return (
            f"are --{config.option_prefix}model {config.model!r} and"
            f" --{config.option_prefix}base-url right?"
        )
    return f"does --{config.option_prefix}base-url end with the version, as in http://127.0.0.1:8000/v1?"
