"""Fetching in tests: a body, a limit, and a helper that expects an error."""

import pytest

from server.images.fetch.errors import FetchError
from server.images.fetch.fetcher import Fetcher

LIMIT = 1000
BODY = bytes(range(200))


async def expect_error(fetcher: Fetcher, url: str) -> FetchError:
    """Return the error of a fetch that must fail; its message leaks no internals."""
    with pytest.raises(FetchError) as caught:
        await fetcher.fetch(url, "")
    error = caught.value
    assert error.__suppress_context__ or error.__context__ is None
    for internal in ("127.0.0.1", "Errno", "httpx", "Connect", "Exception", "::"):
        assert internal not in str(error)
    return error
