"""Requests by way of the proxies that the environment names."""

import ssl
from typing import Final
from urllib.request import getproxies_environment, proxy_bypass

import httpx

from server.images.fetch.address_policy import AddressPolicy
from server.images.fetch.literal import parse_literal_address
from server.images.fetch.refusals import refuse_forbidden_host
from server.images.fetch.transport import LIMITS, RETRIES

SCHEMES: Final = ("http", "https")


class ProxyTransport(httpx.AsyncBaseTransport):
    """Sends by proxy, or by `direct` what NO_PROXY names or no proxy is there for.

    The proxy looks names up, so that only addresses in URLs are judged here.
    """

    def __init__(
        self,
        direct: httpx.AsyncBaseTransport,
        addresses: AddressPolicy,
        ssl_context: ssl.SSLContext,
    ) -> None:
        self._direct = direct
        self._addresses = addresses
        self._proxies = {
            scheme: httpx.AsyncHTTPTransport(
                proxy=url, verify=ssl_context, trust_env=False, limits=LIMITS, retries=RETRIES
            )
            for scheme, url in _environment().items()
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on its way. Raises `ImageUrlForbidden` and httpx's errors."""
        proxy = self._proxies.get(request.url.scheme)
        if proxy is None or proxy_bypass(request.url.host):
            return await self._direct.handle_async_request(request)
        literal = parse_literal_address(request.url.host)
        if literal is not None and not self._addresses.permits(literal):
            raise refuse_forbidden_host()
        return await proxy.handle_async_request(request)

    async def aclose(self) -> None:
        """Close idle connections."""
        for transport in (self._direct, *self._proxies.values()):
            await transport.aclose()


def _environment() -> dict[str, str]:
    named = getproxies_environment()
    found = {scheme: named.get(scheme) or named.get("all", "") for scheme in SCHEMES}
    return {scheme: _with_scheme(url) for scheme, url in found.items() if url}


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"
