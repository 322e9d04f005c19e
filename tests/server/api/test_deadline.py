"""Deadlines: the operator's limit, or a shorter one of the client."""

import asyncio

import pytest
from starlette.requests import Request

from server.api.deadline import limit_time, read_deadline
from server.errors import DeadlineExceeded, InvalidValue


def build_request(timeout_ms: str | None = None) -> Request:
    """Return a request with the header, if it is given."""
    headers = [] if timeout_ms is None else [(b"x-request-timeout-ms", timeout_ms.encode())]
    return Request({"type": "http", "headers": headers})


@pytest.mark.parametrize(
    ("timeout_ms", "seconds"), [(None, 10), ("2500", 2.5), ("99999", 10), ("1", 0)]
)
async def test_the_shorter_time_holds(timeout_ms: str | None, seconds: float) -> None:
    now = asyncio.get_running_loop().time()
    assert read_deadline(build_request(timeout_ms), 10) - now == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize("timeout_ms", ["", "0", "000", "-1", "1.5", "soon", "9" * 13])
async def test_other_headers_are_refused(timeout_ms: str) -> None:
    with pytest.raises(InvalidValue, match="x-request-timeout-ms"):
        read_deadline(build_request(timeout_ms), 10)


async def test_work_that_takes_too_long_is_cancelled() -> None:
    with pytest.raises(DeadlineExceeded) as caught:
        async with limit_time(asyncio.get_running_loop().time()):
            await asyncio.Event().wait()
    assert (caught.value.status, caught.value.code) == (504, "deadline_exceeded")


async def test_a_timeout_of_the_work_itself_is_none_of_the_deadline() -> None:
    with pytest.raises(TimeoutError):
        async with limit_time(asyncio.get_running_loop().time() + 60):
            raise TimeoutError
