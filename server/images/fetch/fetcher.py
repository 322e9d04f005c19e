"""Fetches a URL: `data:` in memory, `file:` from allowed folders, http(s) within limits."""

import asyncio
import re
import ssl
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from server.images.fetch.address_policy import AddressPolicy
from server.images.fetch.body import read_body
from server.images.fetch.data_url import is_data_url, read_data_url
from server.images.fetch.errors import FetchFailed, UrlInvalid
from server.images.fetch.frame_list import read_frame_list
from server.images.fetch.http_cache import (
    MemoryStorage,
    build_cache_extension,
    wrap_with_cache,
)
from server.images.fetch.local_file import LocalFileReader
from server.images.fetch.network import GuardedNetwork
from server.images.fetch.options import FetchOptions
from server.images.fetch.proxies import ProxyTransport
from server.images.fetch.resolver import Resolver, SystemResolver
from server.images.fetch.transport import GuardedTransport, PerHostLimitTransport
from server.images.fetch.url_policy import UrlPolicy, check_characters
from server.protocol.video import is_frame_list

MAX_REDIRECTS: Final = 3
HEADERS: Final = {
    "user-agent": "llava-server",
    # A compressed response could exceed the limit when decompressed. Those that come all the same
    # are decompressed within it.
    "accept-encoding": "identity",
}
_ABSOLUTE_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Fetcher:
    """Fetches images or videos; `cache` keeps responses, also those of other fetchers.

    Tests replace the network by `resolver` and `transport`.
    """

    def __init__(
        self,
        options: FetchOptions,
        *,
        cache: MemoryStorage | None = None,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._options = options
        self._system_resolver = SystemResolver()
        self._url_policy = UrlPolicy(
            allow_ports=options.allow_ports,
            allow_domains=options.allow_domains,
            deny_domains=options.deny_domains,
            allow_userinfo=options.allow_userinfo,
        )
        self._file_reader = LocalFileReader(options.folders, options.max_bytes)
        network_transport = transport or _build_transport(
            options, resolver or self._system_resolver, ssl_context
        )
        self._client = httpx.AsyncClient(
            transport=wrap_with_cache(
                PerHostLimitTransport(network_transport, options.connections_per_host),
                cache,
            ),
            timeout=httpx.Timeout(
                options.timeout_s,
                connect=options.connect_timeout_s,
                read=options.read_timeout_s,
            ),
            trust_env=False,
            # A cookie set by one client's URL must not be sent with another client's.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={**HEADERS, "accept": options.accept},
        )

    async def fetch(self, url: str, cache_partition: str) -> bytes:
        """Return a URL's bytes, at most `max_bytes` of them.

        Cached responses are shared only within a `cache_partition`.

        Raises `UrlInvalid`, `UrlForbidden`, `DataTooLarge` or `FetchFailed`.
        """
        if self._options.frame_lists and is_frame_list(url):
            return await read_frame_list(url, self._options.max_bytes)
        if is_data_url(url):
            return await read_data_url(url, self._options.max_bytes)
        if url[:5].lower() == "file:":
            return await self._file_reader.read(url)
        return await self._download(self._url_policy.check(url), cache_partition)

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.aclose()
        await self._system_resolver.close()

    async def _download(self, url: httpx.URL, cache_partition: str) -> bytes:
        try:
            async with asyncio.timeout(self._options.timeout_s):
                return await self._follow_redirects(url, cache_partition)
        except TimeoutError:
            raise _build_timeout_error("fetched", self._options.timeout_s) from None
        except httpx.ConnectTimeout:
            raise _build_timeout_error("reached", self._options.connect_timeout_s) from None
        except httpx.ReadTimeout:
            limit_s = self._options.read_timeout_s
            raise FetchFailed(f"The URL's server paused for {limit_s:g} seconds.") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise FetchFailed("The URL could not be fetched.") from None

    async def _follow_redirects(self, url: httpx.URL, cache_partition: str) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            extensions = build_cache_extension(url, cache_partition)
            async with self._client.stream(
                "GET", url, follow_redirects=False, extensions=extensions
            ) as response:
                if not response.has_redirect_location:
                    return await self._read_body(response)
                url = self._check_redirect(url, response.headers["location"])
        raise FetchFailed(f"The URL's server redirects more than {MAX_REDIRECTS} times.")

    def _check_redirect(self, url: httpx.URL, location: str) -> httpx.URL:
        """Check a redirect's target like a client's URL. Raises `UrlForbidden`."""
        check_characters(location)
        try:
            return self._url_policy.check(_resolve_location(url, location))
        except (httpx.InvalidURL, UrlInvalid):
            raise FetchFailed("The URL's server redirects to what is no URL.") from None

    async def _read_body(self, response: httpx.Response) -> bytes:
        if not response.is_success:
            raise FetchFailed(f"The URL's server answered {response.status_code}.")
        data = await read_body(response, self._options.max_bytes)
        if not data:
            raise FetchFailed("The URL's server sent no data.")
        return data


def _resolve_location(url: httpx.URL, location: str) -> str:
    """Resolve a `Location`. A host stays as the server wrote it, for the check."""
    if _ABSOLUTE_URL.match(location):
        return location
    if location.startswith("//"):
        return f"{url.scheme}:{location}"
    return str(url.copy_with(userinfo=b"").join(location))


def _build_timeout_error(step: str, limit_s: float) -> FetchFailed:
    return FetchFailed(f"The URL could not be {step} within {limit_s:g} seconds.")


def _build_transport(
    options: FetchOptions, resolver: Resolver, ssl_context: ssl.SSLContext | None
) -> httpx.AsyncBaseTransport:
    address_policy = AddressPolicy(options.allow_networks)
    context = ssl_context or httpx.create_ssl_context(trust_env=False)
    guarded = GuardedTransport(GuardedNetwork(resolver, address_policy), context)
    return ProxyTransport(guarded, address_policy, context) if options.proxy_env else guarded
