"""Sends requests through the proxies that the environment names (HTTP_PROXY and the like)."""

import ssl
from typing import Final
from urllib.request import getproxies_environment, proxy_bypass

import httpx

from server.images.fetch.address_policy import (
    AddressPolicy,
    build_forbidden_host_error,
    parse_literal_address,
)
from server.images.fetch.transport import LIMITS, RETRIES

SCHEMES: Final = ("http", "https")


class ProxyTransport(httpx.AsyncBaseTransport):
    """Sends through a proxy; `direct` serves hosts in NO_PROXY and schemes without a proxy.

    The proxy resolves names, so only literal addresses are checked here.
    """

    def __init__(
        self,
        direct: httpx.AsyncBaseTransport,
        address_policy: AddressPolicy,
        ssl_context: ssl.SSLContext,
    ) -> None:
        self._direct = direct
        self._address_policy = address_policy
        self._proxies = {
            scheme: httpx.AsyncHTTPTransport(
                proxy=url, verify=ssl_context, trust_env=False, limits=LIMITS, retries=RETRIES
            )
            for scheme, url in _read_proxy_urls().items()
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises `UrlForbidden` and httpx's errors."""
        proxy = self._proxies.get(request.url.scheme)
        if proxy is None or proxy_bypass(request.url.host):
            return await self._direct.handle_async_request(request)
        address = parse_literal_address(request.url.host)
        if address is not None and not self._address_policy.is_allowed(address):
            raise build_forbidden_host_error()
        return await proxy.handle_async_request(request)

    async def aclose(self) -> None:
        """Close idle connections."""
        for transport in (self._direct, *self._proxies.values()):
            await transport.aclose()


def _read_proxy_urls() -> dict[str, str]:
    proxies = getproxies_environment()
    urls = {scheme: proxies.get(scheme) or proxies.get("all", "") for scheme in SCHEMES}
    return {scheme: _add_scheme(url) for scheme, url in urls.items() if url}


def _add_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"
