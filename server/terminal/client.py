"""An HTTP client of the chat completions API; requests are retried before the first chunk."""

import os
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_address
from typing import Any, Final

import httpx
from tenacity import RetryCallState, Retrying

from asking.retry import RetryableError, RetryPolicy, is_retryable_status, parse_retry_after
from server import __version__
from server.terminal.affinity import Affinity
from server.terminal.errors import APIError, ServerUnreachable, UsageError
from server.terminal.wire import (
    CompletionChunk,
    parse_chunk,
    parse_error_response,
    parse_model_names,
    parse_sse_data,
)

_ERRNO: Final = re.compile(r"^\[Errno -?\d+\] ")
CONNECT_TIMEOUT_S: Final = 10.0
RETRY_POLICY: Final = RetryPolicy(attempts=4, max_backoff_s=8.0, max_retry_after_s=60.0)


class _RetryableRefusal(RetryableError):
    """A refusal that is retried; `error` is raised after the last attempt."""

    def __init__(self, error: APIError, retry_after_s: float | None) -> None:
        super().__init__(error.display_text, retry_after_s)
        self.error = error


class ChatClient:
    """A client of one server; created by `open_client`."""

    def __init__(self, http: httpx.Client, report: Callable[[str], None]) -> None:
        self._http = http
        self._report = report
        self._retrying = Retrying(
            **RETRY_POLICY.build_tenacity_options(), before_sleep=self._report_retry, reraise=True
        )

    def list_models(self) -> list[str]:
        """Return the names of the server's models. Raises `ServerUnreachable`, `APIError`."""
        request = self._http.build_request("GET", "models")
        with self._open_response(request) as response:
            return parse_model_names(response.read())

    def stream_chunks(self, body: dict[str, Any], affinity: Affinity) -> Iterator[CompletionChunk]:
        """Yield the chunks of a completion. Raises `ServerUnreachable`, `APIError`."""
        headers = affinity.build_headers()
        request = self._http.build_request("POST", "chat/completions", json=body, headers=headers)
        with self._open_response(request) as response:
            affinity.update(response)
            events = parse_sse_data(response.iter_bytes()) if body["stream"] else [response.read()]
            finished = False
            for data in events:
                chunk = parse_chunk(data)
                finished = finished or chunk.finish_reason is not None
                yield chunk
            if not finished:
                raise APIError("the server ended the answer early")

    @contextmanager
    def _open_response(self, request: httpx.Request) -> Iterator[httpx.Response]:
        """Send a request, with retries, and open the successful response."""
        with _translate_errors(request):
            try:
                response: httpx.Response = self._retrying(self._send, request)
            except _RetryableRefusal as refused:
                raise refused.error from None
            with closing(response):
                yield response

    def _send(self, request: httpx.Request) -> httpx.Response:
        response = self._http.send(request, stream=True)
        if response.is_success:
            return response
        with closing(response):
            response.read()
        error = parse_error_response(response)
        if not is_retryable_status(response.status_code):
            raise error
        raise _RetryableRefusal(error, parse_retry_after(response.headers.get("retry-after")))

    def _report_retry(self, state: RetryCallState) -> None:
        assert state.outcome is not None  # noqa: S101 - tenacity sets it before it sleeps
        attempts = f"attempt {state.attempt_number + 1} of {RETRY_POLICY.attempts}"
        wait = f"in {state.upcoming_sleep:.1f} s"
        self._report(f"{state.outcome.exception()}; {attempts} {wait}")


@contextmanager
def open_client(
    url: str, api_key: str | None, timeout_s: float, report: Callable[[str], None]
) -> Iterator[ChatClient]:
    """Open a client; `report` is called with a message on each retry. Raises `UsageError`."""
    base = _parse_base_url(url)
    with httpx.Client(
        base_url=base,
        headers={"user-agent": f"llava-chat/{__version__}", **_build_authorization(api_key)},
        timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
        # A proxy would resolve loopback addresses to its own machine.
        trust_env=not _is_loopback(base.host),
        # OpenSSL itself reads SSL_CERT_FILE, which `trust_env` would turn off with the proxies.
        verify=ssl.create_default_context() if _names_certificates(base) else True,
    ) as http:
        yield ChatClient(http, report)


def _names_certificates(base: httpx.URL) -> bool:
    has_files = "SSL_CERT_FILE" in os.environ or "SSL_CERT_DIR" in os.environ
    return has_files and base.scheme == "https" and _is_loopback(base.host)


def _parse_base_url(url: str) -> httpx.URL:
    try:
        base = httpx.URL(f"{url.rstrip('/').removesuffix('/v1')}/v1/")
    except (httpx.InvalidURL, UnicodeError):
        raise UsageError(f"--url: {url!r} is not a URL") from None
    if base.scheme not in ("http", "https") or not base.host:
        raise UsageError(f"--url: {url!r} is not an http(s) URL")
    return base


def _build_authorization(api_key: str | None) -> dict[str, str]:
    if not api_key:
        return {}
    if not (api_key.isascii() and api_key.isprintable()):
        raise UsageError("--api-key: holds characters that no HTTP header can carry")
    return {"authorization": f"Bearer {api_key}"}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _translate_errors(request: httpx.Request) -> Iterator[None]:
    """Translate httpx's errors into `ServerUnreachable` and `APIError`."""
    origin = str(request.url.copy_with(path="/", userinfo=b"")).rstrip("/")
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise APIError(
                f"the certificate of {origin} is not trusted: name a file with it, or with its"
                " authority's, in SSL_CERT_FILE"
            ) from None
        reason = _ERRNO.sub("", str(error))
        raise ServerUnreachable(f"no server at {origin}: {reason}") from None
    except httpx.TimeoutException:
        raise APIError(f"{origin} sent nothing for too long; --timeout says how long") from None
    except httpx.HTTPError as error:
        raise APIError(f"the connection to {origin} was lost: {error}") from None
