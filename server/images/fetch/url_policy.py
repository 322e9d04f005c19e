"""Which image URLs may be fetched, judged on the text that the client sent."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

import httpx
import idna

from server.errors import ImageUrlForbidden, ImageUrlInvalid
from server.images.fetch.refusals import refuse_forbidden_host, refuse_malformed_url

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
MAX_PORT: Final = 65535
MAX_NAME: Final = 253
MAX_URL: Final = 65536  # httpx's own limit

# Clouds hand out credentials behind these; the addresses are refused, too.
METADATA_NAMES: Final = (
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.azure.internal",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
    "rancher-metadata",
)

_URL: Final = re.compile(r"(https?)://([^/?#]*)(?:[/?#].*)?", re.IGNORECASE | re.DOTALL)
_USERINFO: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*")
_BRACKETED: Final = re.compile(r"\[([^\[\]]*)\](?::(.*))?", re.DOTALL)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Dots of other scripts, which IDNA would read as dots; NFKC leaves the first as it is.
_OTHER_DOTS: Final = frozenset("\u3002\uff0e\uff61")


@dataclass(frozen=True, slots=True)
class _Target:
    scheme: str
    host: str
    port: int


class UrlPolicy:
    """Decides by scheme, host and port; addresses are judged later, when they are known."""

    def __init__(
        self,
        *,
        ports: frozenset[int] | None = frozenset(DEFAULT_PORTS.values()),
        allow_domains: Iterable[str] = (),
        deny_domains: Iterable[str] = (),
        userinfo: bool = False,
    ) -> None:
        self._ports = ports
        self._allowed = tuple(map(_plain, allow_domains))
        self._denied = (*METADATA_NAMES, *map(_plain, deny_domains))
        self._userinfo = userinfo

    def check(self, url: str) -> httpx.URL:
        """Return the URL, parsed. Raises `ImageUrlInvalid` or `ImageUrlForbidden`."""
        target = self._target(url)
        self._check_port(target.port)
        self._check_domain(target.host)
        return _parsed(url, target)

    def _target(self, url: str) -> _Target:
        match = _URL.fullmatch(url)
        if match is None:
            raise ImageUrlInvalid("An image URL must begin with 'data:', 'https://' or 'http://'.")
        refuse_odd_characters(url)
        scheme = match[1].lower()
        host, port = _split(self._without_userinfo(match[2]))
        return _Target(scheme, host, DEFAULT_PORTS[scheme] if port is None else port)

    def _without_userinfo(self, authority: str) -> str:
        userinfo, at, rest = authority.rpartition("@")
        if at and not (self._userinfo and _USERINFO.fullmatch(userinfo)):
            raise ImageUrlForbidden("The image URL must not hold a user name or password.")
        return rest

    def _check_port(self, port: int) -> None:
        if self._ports is not None and port not in self._ports:
            raise ImageUrlForbidden(f"Images may not be fetched from port {port}.")

    def _check_domain(self, host: str) -> None:
        allowed = not self._allowed or _is_below(host, self._allowed)
        if not allowed or _is_below(host, self._denied):
            raise refuse_forbidden_host()


def refuse_odd_characters(url: str) -> None:
    """Refuse what some readers of URLs drop or take for something else.

    Raises `ImageUrlForbidden`, or `ImageUrlInvalid` where there is too much to look at.
    """
    if len(url) > MAX_URL:  # looked at letter by letter, so that a body's length would take time
        raise ImageUrlInvalid("The image URL is too long.")
    if "\\" in url:
        raise ImageUrlForbidden("The image URL must not hold a backslash.")
    if any(c.isspace() or unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in url):
        raise ImageUrlForbidden("The image URL must not hold white space or control characters.")


def _split(authority: str) -> tuple[str, int | None]:
    if authority.startswith("["):
        match = _BRACKETED.fullmatch(authority)
        if match is None:
            raise refuse_malformed_url()
        return _ipv6(match[1]), _port(match[2])
    host, colon, port = authority.partition(":")
    return _host(host), _port(port if colon else None)


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not _PORT.fullmatch(text) or int(text) > MAX_PORT:
        raise refuse_malformed_url()
    return int(text)


def _ipv6(text: str) -> str:
    if "%" in text:
        raise ImageUrlForbidden("The image URL's address must not hold a zone.")
    try:
        return str(IPv6Address(text))
    except AddressValueError:
        raise refuse_malformed_url() from None


def _host(text: str) -> str:
    _refuse_odd_spelling(text)
    host = _ascii(text)
    labels = host.split(".")
    if len(host) > MAX_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise refuse_malformed_url()
    if _NUMBER.fullmatch(labels[-1]):
        _refuse_odd_ipv4(host)
    return host


def _refuse_odd_spelling(host: str) -> None:
    odd = "%" in host or not _OTHER_DOTS.isdisjoint(host) or (len(host) > 1 and host[-1] == ".")
    if odd or unicodedata.normalize("NFKC", host) != host:
        raise _odd_host()


def _refuse_odd_ipv4(host: str) -> None:
    """Refuse 127.1, 0177.0.0.1, 0x7f000001 and 2130706433, which some readers take for 127.0.0.1"""
    try:
        IPv4Address(host)
    except AddressValueError:
        raise _odd_host() from None


def _ascii(host: str) -> str:
    lower = host.lower()
    if lower.isascii():
        return lower
    try:
        return idna.encode(lower).decode("ascii")
    except UnicodeError:
        raise refuse_malformed_url() from None


def _plain(domain: str) -> str:
    """Write a domain of a list as hosts are written here."""
    lower = domain.lower()
    return lower if lower.isascii() else idna.encode(lower).decode("ascii")


def _is_below(host: str, domains: Iterable[str]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _parsed(url: str, target: _Target) -> httpx.URL:
    """Parse with the library that will connect, which must see what was judged."""
    try:
        parsed = httpx.URL(url)
        seen = _Target(
            parsed.scheme,
            _plain_address(parsed.raw_host.decode("ascii")),
            parsed.port or DEFAULT_PORTS.get(parsed.scheme, 0),
        )
    except (httpx.InvalidURL, ValueError):
        raise refuse_malformed_url() from None
    if seen != target:
        raise _odd_host()
    return parsed


def _plain_address(host: str) -> str:
    return str(IPv6Address(host)) if ":" in host else host


def _odd_host() -> ImageUrlForbidden:
    return ImageUrlForbidden("The image URL's host is spelled in a way that is not accepted.")
