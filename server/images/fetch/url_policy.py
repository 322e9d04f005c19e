"""The URLs that may be fetched, checked on the text that the client sent."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

import httpx
import idna

from server.images.fetch.address_policy import build_forbidden_host_error
from server.images.fetch.errors import UrlForbidden, UrlInvalid

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
MAX_PORT: Final = 65535
MAX_HOST_CHARACTERS: Final = 253
MAX_URL_CHARACTERS: Final = 65536  # httpx's own limit

# Cloud metadata services, which hand out credentials. Their addresses are forbidden, too.
METADATA_HOSTS: Final = (
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
# Dots of other scripts, which IDNA reads as dots. NFKC leaves the first one unchanged.
_NON_ASCII_DOTS: Final = frozenset("\u3002\uff0e\uff61")


@dataclass(frozen=True, slots=True)
class _Target:
    scheme: str
    host: str
    port: int


class UrlPolicy:
    """Checks scheme, host and port. Addresses are checked later, when they are known."""

    def __init__(
        self,
        *,
        allow_ports: frozenset[int] | None = frozenset(DEFAULT_PORTS.values()),
        allow_domains: Iterable[str] = (),
        deny_domains: Iterable[str] = (),
        allow_userinfo: bool = False,
    ) -> None:
        self._allow_ports = allow_ports
        self._allow_domains = tuple(map(_normalize_domain, allow_domains))
        self._deny_domains = (*METADATA_HOSTS, *map(_normalize_domain, deny_domains))
        self._allow_userinfo = allow_userinfo

    def check(self, url: str) -> httpx.URL:
        """Return the URL, parsed. Raises `UrlInvalid` or `UrlForbidden`."""
        target = self._parse_target(url)
        self._check_port(target.port)
        self._check_domain(target.host)
        return _parse_for_client(url, target)

    def _parse_target(self, url: str) -> _Target:
        match = _URL.fullmatch(url)
        if match is None:
            raise UrlInvalid(
                "The URL must begin with 'data:', 'https://' or 'http://', or with 'file://' where"
                " the operator allows folders."
            )
        check_characters(url)
        scheme = match[1].lower()
        host, port = _split_authority(self._drop_userinfo(match[2]))
        return _Target(scheme, host, DEFAULT_PORTS[scheme] if port is None else port)

    def _drop_userinfo(self, authority: str) -> str:
        userinfo, at_sign, host_and_port = authority.rpartition("@")
        if at_sign and not (self._allow_userinfo and _USERINFO.fullmatch(userinfo)):
            raise UrlForbidden("The URL must not hold a user name or password.")
        return host_and_port

    def _check_port(self, port: int) -> None:
        if self._allow_ports is not None and port not in self._allow_ports:
            raise UrlForbidden(f"Nothing may be fetched from port {port}; send a data: URL.")

    def _check_domain(self, host: str) -> None:
        is_allowed = not self._allow_domains or _is_in_domain(host, self._allow_domains)
        if not is_allowed or _is_in_domain(host, self._deny_domains):
            raise build_forbidden_host_error()


def build_malformed_url_error() -> UrlInvalid:
    """Return the error of a string that is not a URL."""
    return UrlInvalid("The URL is malformed.")


def check_characters(url: str) -> None:
    """Refuse characters that URL parsers drop or interpret differently.

    Raises `UrlForbidden`, or `UrlInvalid` for a URL that is too long.
    """
    if len(url) > MAX_URL_CHARACTERS:  # checking a whole body character by character is slow
        raise UrlInvalid("The URL is too long.")
    if "\\" in url:
        raise UrlForbidden("The URL must not hold a backslash.")
    if any(c.isspace() or unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in url):
        raise UrlForbidden("The URL must not hold white space or control characters.")


def _split_authority(authority: str) -> tuple[str, int | None]:
    if authority.startswith("["):
        match = _BRACKETED.fullmatch(authority)
        if match is None:
            raise build_malformed_url_error()
        return _parse_ipv6(match[1]), _parse_port(match[2])
    host, colon, port = authority.partition(":")
    return _parse_host(host), _parse_port(port if colon else None)


def _parse_port(text: str | None) -> int | None:
    if text is None:
        return None
    if not _PORT.fullmatch(text) or int(text) > MAX_PORT:
        raise build_malformed_url_error()
    return int(text)


def _parse_ipv6(text: str) -> str:
    if "%" in text:
        raise UrlForbidden("The URL's address must not hold a zone.")
    try:
        return str(IPv6Address(text))
    except AddressValueError:
        raise build_malformed_url_error() from None


def _parse_host(text: str) -> str:
    _refuse_ambiguous_characters(text)
    host = _encode_idna(text.lower())
    labels = host.split(".")
    if len(host) > MAX_HOST_CHARACTERS or not all(map(_LABEL.fullmatch, labels)):
        raise build_malformed_url_error()
    if _NUMBER.fullmatch(labels[-1]):
        _refuse_ambiguous_ipv4(host)
    return host


def _refuse_ambiguous_characters(host: str) -> None:
    is_ambiguous = (
        "%" in host or not _NON_ASCII_DOTS.isdisjoint(host) or (len(host) > 1 and host[-1] == ".")
    )
    if is_ambiguous or unicodedata.normalize("NFKC", host) != host:
        raise _build_ambiguous_host_error()


def _refuse_ambiguous_ipv4(host: str) -> None:
    """Refuse 127.1, 0177.0.0.1, 0x7f000001 and 2130706433: some parsers read 127.0.0.1."""
    try:
        IPv4Address(host)
    except AddressValueError:
        raise _build_ambiguous_host_error() from None


def _encode_idna(host: str) -> str:
    if host.isascii():
        return host
    try:
        return idna.encode(host).decode("ascii")
    except UnicodeError:
        raise build_malformed_url_error() from None


def _normalize_domain(domain: str) -> str:
    """Write a configured domain as `_parse_host` writes hosts."""
    lower = domain.lower()
    return lower if lower.isascii() else idna.encode(lower).decode("ascii")


def _is_in_domain(host: str, domains: Iterable[str]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _parse_for_client(url: str, target: _Target) -> httpx.URL:
    """Parse with the library that will connect; it must see the target that was checked."""
    try:
        parsed = httpx.URL(url)
        parsed_target = _Target(
            parsed.scheme,
            _normalize_address(parsed.raw_host.decode("ascii")),
            parsed.port or DEFAULT_PORTS.get(parsed.scheme, 0),
        )
    except (httpx.InvalidURL, ValueError):
        raise build_malformed_url_error() from None
    if parsed_target != target:
        raise _build_ambiguous_host_error()
    return parsed


def _normalize_address(host: str) -> str:
    return str(IPv6Address(host)) if ":" in host else host


def _build_ambiguous_host_error() -> UrlForbidden:
    return UrlForbidden("The URL's host is spelled in a way that is not accepted.")
