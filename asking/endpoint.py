"""An OpenAI-compatible endpoint: chat completions, with retries."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel
from tenacity import AsyncRetrying, RetryError

from asking.errors import EndpointDown, EndpointError, EndpointRefused
from asking.retry import RetryableError, RetryPolicy, is_retryable_status, parse_retry_after
from asking.wire import (
    Answer,
    ChatCompletion,
    Message,
    ModelList,
    build_request_body,
    parse_error_message,
    parse_response,
)

AnyModel = TypeVar("AnyModel", bound=BaseModel)

# Every other request would get these statuses, too.
_REFUSAL_STATUSES = {401, 403, 404, 405}


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """The address of an endpoint and the options of its requests.

    `base_url` ends with the version (`…/v1`). An empty `model` selects the only model that the
    endpoint lists. `fields` are added to every request.
    """

    base_url: str
    api_key: str = ""
    model: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 8
    timeout_s: float = 120.0
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)


class Endpoint:
    """A client for one model of an endpoint; created by `open_endpoint`."""

    def __init__(self, config: EndpointConfig, client: httpx.AsyncClient, model: str) -> None:
        self.model = model
        self.concurrency = config.concurrency
        self.fields = config.fields
        self._retry_policy = config.retry_policy
        self._client = client

    async def complete(self, messages: list[Message]) -> Answer:
        """Return the model's answer. Raises `EndpointError` after the last attempt."""
        body = build_request_body(self.model, messages, self.fields)
        request = self._client.build_request("POST", "chat/completions", json=body)
        completion = await _send_with_retries(
            self._client, self._retry_policy, request, ChatCompletion
        )
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
        raise EndpointError(f"{config.base_url!r} is not a base URL") from None
    async with client:
        yield Endpoint(config, client, config.model or await _find_only_model(config, client))


async def _find_only_model(config: EndpointConfig, client: httpx.AsyncClient) -> str:
    request = client.build_request("GET", "models")
    listed = await _send_with_retries(client, config.retry_policy, request, ModelList)
    names = [model.id for model in listed.data]
    if len(names) != 1:
        raise EndpointRefused(
            f"{config.base_url} serves {', '.join(names) or 'no model'}: name the model to ask"
        )
    return names[0]


async def _send_with_retries(
    client: httpx.AsyncClient,
    retry_policy: RetryPolicy,
    request: httpx.Request,
    model: type[AnyModel],
) -> AnyModel:
    try:
        retrying = AsyncRetrying(**retry_policy.build_tenacity_options())
        response: AnyModel = await retrying(_send_once, client, request, model)
    except RetryError as error:
        last = error.last_attempt
        raise EndpointDown(
            f"{request.url}: {last.exception()} "
            f"(attempt {last.attempt_number} of {retry_policy.attempts})"
        ) from None
    return response


async def _send_once(
    client: httpx.AsyncClient, request: httpx.Request, model: type[AnyModel]
) -> AnyModel:
    try:
        response = await client.send(request)
    except httpx.UnsupportedProtocol:
        raise EndpointRefused(
            f"{request.url}: a base URL begins with http:// or https://"
        ) from None
    except httpx.HTTPError as error:
        raise RetryableError(str(error) or type(error).__name__) from None
    if not response.is_success:
        raise _build_error(request, response)
    try:
        answer: AnyModel = parse_response(response, model)
    except ValueError as error:
        raise RetryableError(str(error)) from None
    return answer


def _build_error(request: httpx.Request, response: httpx.Response) -> Exception:
    message = parse_error_message(response)
    if is_retryable_status(response.status_code):
        return RetryableError(message, parse_retry_after(response.headers.get("retry-after")))
    kind = EndpointRefused if response.status_code in _REFUSAL_STATUSES else EndpointError
    return kind(f"{request.url}: {message}")
