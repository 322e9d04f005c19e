"""From a URL to bytes: `data:` in memory, `file:` from allowed folders, http(s) under limits."""

import asyncio
import re
import ssl
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from server.errors import ImageFetchFailed, ImageUrlInvalid
from server.images.fetch.address_policy import AddressPolicy
from server.images.fetch.body import read_body
from server.images.fetch.data_url import read_data_url
from server.images.fetch.http_cache import wrap_with_cache
from server.images.fetch.local_file import LocalFiles
from server.images.fetch.network import GuardedNetwork
from server.images.fetch.options import FetchOptions
from server.images.fetch.proxies import ProxyTransport
from server.images.fetch.resolver import Resolver, SystemResolver
from server.images.fetch.transport import GuardedTransport, PerHostLimitTransport
from server.images.fetch.url_policy import UrlPolicy, refuse_odd_characters

MAX_REDIRECTS: Final = 3
HEADERS: Final = {
    "user-agent": "llava-server",
    "accept": "image/*",
    # A compressed answer could grow beyond the limit; what comes so all the same is watched.
    "accept-encoding": "identity",
}
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Fetcher:
    """Gets the bytes of images; `resolver` and `transport` replace the network in tests."""

    def __init__(
        self,
        options: FetchOptions,
        *,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._options = options
        self._own_resolver = SystemResolver()
        self._urls = UrlPolicy(
            ports=options.allow_ports,
            allow_domains=options.allow_domains,
            deny_domains=options.deny_domains,
            userinfo=options.allow_userinfo,
        )
        self._files = LocalFiles(options.image_folders, options.max_bytes)
        network = transport or _network(options, resolver or self._own_resolver, ssl_context)
        self._client = httpx.AsyncClient(
            transport=wrap_with_cache(
                PerHostLimitTransport(network, options.connections_per_host), options.cache_bytes
            ),
            timeout=httpx.Timeout(
                options.timeout_s,
                connect=options.connect_timeout_s,
                read=options.read_timeout_s,
            ),
            trust_env=False,
            # What one client's image brings along must not travel with another's.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers=HEADERS,
        )

    async def fetch(self, url: str) -> bytes:
        """Return an image's bytes, at most `max_bytes` of them.

        Raises `ImageUrlInvalid`, `ImageUrlForbidden`, `ImageTooLarge` or `ImageFetchFailed`.
        """
        scheme = url[:5].lower()
        if scheme == "data:":
            return await read_data_url(url, self._options.max_bytes)
        if scheme == "file:":
            return await self._files.read(url)
        return await self._download(self._urls.check(url))

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.aclose()
        await self._own_resolver.close()

    async def _download(self, url: httpx.URL) -> bytes:
        try:
            async with asyncio.timeout(self._options.timeout_s):
                return await self._follow(url)
        except TimeoutError:
            raise _too_slow("fetched", self._options.timeout_s) from None
        except httpx.ConnectTimeout:
            raise _too_slow("reached", self._options.connect_timeout_s) from None
        except httpx.ReadTimeout:
            limit = self._options.read_timeout_s
            raise ImageFetchFailed(f"The image's server paused for {limit:g} seconds.") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise ImageFetchFailed("The image could not be fetched.") from None

    async def _follow(self, url: httpx.URL) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            async with self._client.stream("GET", url, follow_redirects=False) as response:
                if not response.has_redirect_location:
                    return await self._read(response)
                url = self._redirected(url, response.headers["location"])
        raise ImageFetchFailed(f"The image's server redirects more than {MAX_REDIRECTS} times.")

    def _redirected(self, url: httpx.URL, location: str) -> httpx.URL:
        """Judge where a server sends us as if a client had. Raises `ImageUrlForbidden`."""
        refuse_odd_characters(location)
        try:
            return self._urls.check(_absolute(url, location))
        except (httpx.InvalidURL, ImageUrlInvalid):
            raise ImageFetchFailed("The image's server redirects to what is no URL.") from None

    async def _read(self, response: httpx.Response) -> bytes:
        if not response.is_success:
            raise ImageFetchFailed(f"The image's server answered {response.status_code}.")
        return await read_body(response, self._options.max_bytes)


def _absolute(url: httpx.URL, location: str) -> str:
    """Complete a `Location`; what names a host stays as it was written, to be judged so."""
    if _ABSOLUTE.match(location):
        return location
    if location.startswith("//"):
        return f"{url.scheme}:{location}"
    return str(url.copy_with(userinfo=b"").join(location))


def _too_slow(done: str, limit: float) -> ImageFetchFailed:
    return ImageFetchFailed(f"The image could not be {done} within {limit:g} seconds.")


def _network(
    options: FetchOptions, resolver: Resolver, ssl_context: ssl.SSLContext | None
) -> httpx.AsyncBaseTransport:
    addresses = AddressPolicy(options.allow_networks)
    context = ssl_context or httpx.create_ssl_context(trust_env=False)
    guarded = GuardedTransport(GuardedNetwork(resolver, addresses), context)
    return ProxyTransport(guarded, addresses, context) if options.proxy_env else guarded
