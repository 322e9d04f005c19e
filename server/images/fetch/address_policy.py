"""The IP addresses that fetches may connect to: the public internet's, and allowed networks."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from server.images.fetch.errors import UrlForbidden

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA's registries of special-purpose addresses (RFC 6890), and older reserved ranges. Listed here,
# because the standard library's tables differ between its patch releases.
RESERVED_IPV4: Final = (
    IPv4Network("0.0.0.0/8"),  # this network, unspecified: RFC 791
    IPv4Network("10.0.0.0/8"),  # private: RFC 1918
    IPv4Network("100.64.0.0/10"),  # shared, behind a carrier's NAT: RFC 6598
    IPv4Network("127.0.0.0/8"),  # loopback: RFC 1122
    IPv4Network("169.254.0.0/16"),  # link-local: RFC 3927
    IPv4Network("172.16.0.0/12"),  # private: RFC 1918
    IPv4Network("192.0.0.0/24"),  # protocol assignments: RFC 6890
    IPv4Network("192.0.2.0/24"),  # documentation: RFC 5737
    IPv4Network("192.31.196.0/24"),  # AS112, answers for private names: RFC 7535
    IPv4Network("192.52.193.0/24"),  # AMT, multicast tunnels: RFC 7450
    IPv4Network("192.88.99.0/24"),  # relays of 6to4: RFC 7526
    IPv4Network("192.168.0.0/16"),  # private: RFC 1918
    IPv4Network("192.175.48.0/24"),  # AS112: RFC 7534
    IPv4Network("198.18.0.0/15"),  # benchmarking: RFC 2544
    IPv4Network("198.51.100.0/24"),  # documentation: RFC 5737
    IPv4Network("203.0.113.0/24"),  # documentation: RFC 5737
    IPv4Network("224.0.0.0/4"),  # multicast: RFC 5771
    IPv4Network("240.0.0.0/4"),  # reserved, and the broadcast address: RFC 1112, RFC 919
)
RESERVED_IPV6: Final = (
    # All but 2000::/3 is reserved or special (RFC 4291): unspecified, loopback, IPv4-compatible,
    # IPv4-translated, discard-only, unique local, link-local, site-local, multicast.
    IPv6Network("::/3"),
    IPv6Network("4000::/2"),
    IPv6Network("8000::/1"),
    IPv6Network("2001::/23"),  # protocol assignments, Teredo among them: RFC 2928, RFC 4380
    IPv6Network("2001:db8::/32"),  # documentation: RFC 3849
    IPv6Network("2620:4f:8000::/48"),  # AS112: RFC 7534
    IPv6Network("3fff::/20"),  # documentation: RFC 9637
    IPv6Network("3ffe::/16"),  # the 6bone, given back: RFC 3701
)
# Packets to these reach the embedded IPv4 address, so only that one is checked.
IPV4_MAPPED: Final = IPv6Network("::ffff:0:0/96")  # RFC 4291
NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052
TRANSPARENT_IPV6: Final = (IPV4_MAPPED, NAT64)

IPV4_IN_LAST_32_BITS: Final = (
    *TRANSPARENT_IPV6,
    IPv6Network("::/96"),  # IPv4-compatible: RFC 4291
    IPv6Network("::ffff:0:0:0/96"),  # IPv4-translated: RFC 2765
    IPv6Network("64:ff9b:1::/48"),  # NAT64 for local use: RFC 8215
)
LOCAL_USE_NAT64: Final = IPv6Network("64:ff9b:1::/48")
SIX_TO_FOUR: Final = IPv6Network("2002::/16")  # RFC 3056
TEREDO: Final = IPv6Network("2001::/32")  # RFC 4380
ISATAP: Final = (0x00005EFE, 0x02005EFE)  # RFC 5214, the middle of the interface's id

# Cloud metadata services, which hand out a machine's credentials. An allowed network that merely
# contains one of them does not allow it.
METADATA_ADDRESSES: Final = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Azure, Google, Oracle, OpenStack, DigitalOcean and others
            "169.254.170.2",  # AWS: credentials of a task
            "169.254.170.23",  # AWS: credentials of a pod
            "169.254.0.23",  # Tencent
            "169.254.42.42",  # Scaleway
            "168.63.129.16",  # Azure: the host, a public address by its looks
            "100.100.100.200",  # Alibaba
            "192.0.0.192",  # Oracle
            "fd00:ec2::254",  # AWS
            "fd00:ec2::23",  # AWS: credentials of a pod
            "fd00:42::42",  # Scaleway
            "fd20:ce::254",  # Google
        ),
    )
)


def parse_literal_address(host: str) -> Address | None:
    """Return a URL host's IP address, None if the host is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def build_forbidden_host_error() -> UrlForbidden:
    """Return the error of a forbidden host; its text hides whether the name or an address is."""
    return UrlForbidden("Nothing may be fetched from this host; send a data: URL.")


class AddressPolicy:
    """Allows globally reachable addresses, and those in `allow_networks`."""

    def __init__(self, allow_networks: Iterable[Network] = ()) -> None:
        self._allow_networks = tuple(allow_networks)

    def is_allowed(self, address: Address) -> bool:
        """Whether fetches may connect to the address and to each IPv4 address embedded in it."""
        if isinstance(address, IPv4Address):
            return self._is_one_allowed(address)
        # A zone names an interface of this machine; public addresses need none.
        without_zone = IPv6Address(int(address))
        if not all(map(self._is_one_allowed, extract_embedded_ipv4(without_zone))):
            return False
        return _is_transparent(without_zone) or self._is_one_allowed(without_zone)

    def _is_one_allowed(self, address: Address) -> bool:
        if address in METADATA_ADDRESSES:
            return ip_network(address) in self._allow_networks
        return not _is_reserved(address) or any(
            address in network for network in self._allow_networks
        )


def extract_embedded_ipv4(address: IPv6Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that packets to this address may reach."""
    bits = int(address)
    if any(address in network for network in IPV4_IN_LAST_32_BITS):
        yield _build_ipv4(bits)
    if address in LOCAL_USE_NAT64:
        yield _build_ipv4(bits >> 64 << 16 | bits >> 40 & 0xFFFF)  # RFC 6052: around bits 64 to 71
    if address in SIX_TO_FOUR:
        yield _build_ipv4(bits >> 80)
    if address in TEREDO:
        yield _build_ipv4(bits >> 64)
        yield _build_ipv4(~bits)
    if bits >> 32 & 0xFFFFFFFF in ISATAP:
        yield _build_ipv4(bits)


def _build_ipv4(bits: int) -> IPv4Address:
    return IPv4Address(bits & 0xFFFFFFFF)


def _is_transparent(address: IPv6Address) -> bool:
    return any(address in network for network in TRANSPARENT_IPV6)


def _is_reserved(address: Address) -> bool:
    networks = RESERVED_IPV4 if address.version == 4 else RESERVED_IPV6
    return any(address in network for network in networks)
