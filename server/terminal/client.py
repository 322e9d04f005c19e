"""The server over HTTP: its models, and answers piece by piece, with retries before the first."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_address
from typing import Any, Final

import httpx
from tenacity import RetryCallState, Retrying

from asking.retry import RetryableError, RetryPolicy, is_retryable_status, parse_retry_after
from server import __version__
from server.terminal.errors import AnswerError, NoServer, UsageFault
from server.terminal.wire import Piece, events, model_names, read_piece, refusal

_ERRNO: Final = re.compile(r"^\[Errno -?\d+\] ")
CONNECT_TIMEOUT_S: Final = 10.0
RETRY_POLICY: Final = RetryPolicy(attempts=4, max_backoff_s=8.0, max_retry_after_s=60.0)


class _RetryableRefusal(RetryableError):
    """A refusal that is retried; `error` is raised after the last attempt."""

    def __init__(self, error: AnswerError, retry_after_s: float | None) -> None:
        super().__init__(error.shown, retry_after_s)
        self.error = error


class Client:
    """A server at a URL; `open_client` makes it."""

    def __init__(self, http: httpx.Client, note: Callable[[str], None]) -> None:
        self._http = http
        self._note = note
        self._retrying = Retrying(
            **RETRY_POLICY.tenacity_options(), before_sleep=self._report_retry, reraise=True
        )

    def models(self) -> list[str]:
        """Return the names of its models. Raises `NoServer`, `AnswerError`."""
        request = self._http.build_request("GET", "models")
        with self._response(request) as response:
            return model_names(response.read())

    def answer(self, body: dict[str, Any]) -> Iterator[Piece]:
        """Yield the pieces of an answer as they come. Raises `NoServer`, `AnswerError`."""
        request = self._http.build_request("POST", "chat/completions", json=body)
        with self._response(request) as response:
            ended = False
            for data in events(response.iter_bytes()) if body["stream"] else [response.read()]:
                piece = read_piece(data)
                ended = ended or piece.finish_reason is not None
                yield piece
            if not ended:
                raise AnswerError("the server ended the answer early")

    @contextmanager
    def _response(self, request: httpx.Request) -> Iterator[httpx.Response]:
        """Open a successful response, with retries until the first success."""
        with _explained(request):
            try:
                response = self._retrying(self._send, request)
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
        error = refusal(response)
        if not is_retryable_status(response.status_code):
            raise error
        raise _RetryableRefusal(error, parse_retry_after(response.headers.get("retry-after")))

    def _report_retry(self, state: RetryCallState) -> None:
        assert state.outcome is not None  # noqa: S101 - tenacity sets it before it sleeps
        attempts = f"attempt {state.attempt_number + 1} of {RETRY_POLICY.attempts}"
        wait = f"in {state.upcoming_sleep:.1f} s"
        self._note(f"{state.outcome.exception()}; {attempts} {wait}")


@contextmanager
def open_client(
    url: str, api_key: str | None, timeout_s: float, note: Callable[[str], None]
) -> Iterator[Client]:
    """Prepare to talk to a server; `note` is told of retries. Raises `UsageFault`."""
    base = _base_url(url)
    with httpx.Client(
        base_url=base,
        headers={"user-agent": f"llava-chat/{__version__}", **_authorization(api_key)},
        timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
        # A proxy would look for this machine's own addresses on its own.
        trust_env=not _is_loopback(base.host),
    ) as http:
        yield Client(http, note)


def _base_url(url: str) -> httpx.URL:
    try:
        base = httpx.URL(f"{url.rstrip('/').removesuffix('/v1')}/v1/")
    except (httpx.InvalidURL, UnicodeError):
        raise UsageFault(f"--url: {url!r} is no URL") from None
    if base.scheme not in ("http", "https") or not base.host:
        raise UsageFault(f"--url: {url!r} is no http(s) URL")
    return base


def _authorization(api_key: str | None) -> dict[str, str]:
    if not api_key:
        return {}
    if not (api_key.isascii() and api_key.isprintable()):
        raise UsageFault("--api-key: holds characters that no HTTP header can carry")
    return {"authorization": f"Bearer {api_key}"}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _explained(request: httpx.Request) -> Iterator[None]:
    """Say in plain words what became of a connection."""
    place = str(request.url.copy_with(path="/", userinfo=b"")).rstrip("/")
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        reason = _ERRNO.sub("", str(error))
        raise NoServer(f"no server at {place}: {reason}") from None
    except httpx.TimeoutException:
        raise AnswerError(f"{place} sent nothing for too long; --timeout says how long") from None
    except httpx.HTTPError as error:
        raise AnswerError(f"the connection to {place} was lost: {error}") from None
