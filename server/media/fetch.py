"""From a URL to bytes: base64 `data:` URLs in memory, http(s) with httpx under limits."""

import asyncio
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx
import pybase64

from server.errors import ImageError, ImageFetchFailed, ImageTooLarge, ImageUrlInvalid

# Below this, decoding takes less time than handing it to a thread.
INLINE_BASE64: Final = 64 * 1024
MAX_REDIRECTS: Final = 3
MAX_PORT: Final = 65535


class Fetcher:
    """Gets the bytes of images; `transport` replaces the network in tests."""

    def __init__(
        self, *, max_bytes: int, timeout_s: float, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=timeout_s,
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            trust_env=False,
            # What one client's image brings along must not travel with another's.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            # A compressed answer could grow beyond the limit before it is counted.
            headers={
                "user-agent": "llava-server",
                "accept": "image/*",
                "accept-encoding": "identity",
            },
        )

    async def fetch(self, url: str) -> bytes:
        """Return an image's bytes, at most `max_bytes` of them.

        Raises `ImageUrlInvalid`, `ImageTooLarge` or `ImageFetchFailed`.
        """
        scheme = url[:8].lower()
        if scheme.startswith("data:"):
            return await self._read_data_url(url)
        if scheme.startswith(("http://", "https://")):
            return await self._download(_parse_url(url))
        raise ImageUrlInvalid("An image URL must begin with 'data:', 'https://' or 'http://'.")

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.aclose()

    async def _read_data_url(self, url: str) -> bytes:
        header, comma, payload = url.partition(",")
        if not comma or not header.lower().endswith(";base64"):
            raise ImageUrlInvalid("A data URL must have the form 'data:image/…;base64,…'.")
        if len(payload) * 3 // 4 - payload.count("=", -2) > self._max_bytes:
            raise self._too_large()
        if len(payload) <= INLINE_BASE64:
            return _decode_base64(payload)
        return await asyncio.to_thread(_decode_base64, payload)

    async def _download(self, url: httpx.URL) -> bytes:
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream("GET", url) as response,
            ):
                return await self._read(response)
        except TimeoutError:
            raise ImageFetchFailed(
                f"The image could not be fetched within {self._timeout_s:g} seconds."
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise ImageFetchFailed("The image could not be fetched.") from None

    async def _read(self, response: httpx.Response) -> bytes:
        if not response.is_success:
            raise ImageFetchFailed(f"The image's server answered {response.status_code}.")
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > self._max_bytes:
                raise self._too_large()
        return bytes(data)

    def _too_large(self) -> ImageError:
        return ImageTooLarge(f"The image exceeds the limit of {self._max_bytes} bytes.")


def _decode_base64(payload: str) -> bytes:
    try:
        return pybase64.b64decode(payload, validate=True)
    except ValueError:
        raise ImageUrlInvalid("The data URL's base64 is broken.") from None


def _parse_url(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise ImageUrlInvalid("The image URL is malformed.") from None
    port = parsed.port or 0
    if not parsed.host or port > MAX_PORT or any(letter.isspace() for letter in url):
        raise ImageUrlInvalid("The image URL is malformed.")
    return parsed
