"""Forbidden addresses, also embedded in IPv6, and the effect of allowed networks."""

# ruff: noqa: S104

from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.images.fetch.address_policy import (
    METADATA_ADDRESSES,
    AddressPolicy,
    extract_embedded_ipv4,
)

RESERVED = [
    *["0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255"],
    *["127.0.0.1", "127.255.255.254", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.8"],
    *["192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1"],
    *["203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"],
    *["192.31.196.1", "192.52.193.1", "192.175.48.1"],
    *["::", "::1", "fc00::1", "fd12::1", "fe80::1", "febf::1", "fec0::1", "feff::1", "ff02::1"],
    *["100::1", "100:0:0:1::1", "200::1", "2001:1::1", "2001:2::1", "2001:10::1", "2001:20::1"],
    *["2001:db8::1", "3fff::1", "3ffe::1", "5f00::1", "4000::1", "8000::1", "e000::1"],
    *["fe80::1%eth0", "2620:4f:8000::1"],
]
PUBLIC = [
    *["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0"],
    *["126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255"],
    *["172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255"],
    *["198.20.0.0", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "2001:4860:4860::8888"],
    *["2001:200::1", "2003::1", "2000::1", "3ffd::1"],
]
# IPv6 forms that embed an IPv4 address, and whether their own range is public.
EMBEDDINGS = {
    "mapped": ("::ffff:{}", True),
    "NAT64": ("64:ff9b::{}", True),
    "compatible": ("::{}", False),
    "translated": ("::ffff:0:{}", False),
    "NAT64 of a site": ("64:ff9b:1::{}", False),
    "ISATAP": ("2a00:1450::5efe:{}", True),
    "ISATAP, universal": ("2a00:1450::200:5efe:{}", True),
}


def is_allowed(address: str, *allowed: str) -> bool:
    """Whether a policy with these allowed networks allows an address."""
    return AddressPolicy(map(ip_network, allowed)).is_allowed(ip_address(address))


def embed_6to4(ipv4: str) -> str:
    return str(IPv6Address(0x2002 << 112 | int(ip_address(ipv4)) << 80 | 1))


def embed_teredo(server: str, client: str) -> str:
    hidden = int(ip_address(client)) ^ 0xFFFFFFFF
    return str(IPv6Address(0x20010000 << 96 | int(ip_address(server)) << 64 | hidden))


@pytest.mark.parametrize("address", RESERVED)
def test_reserved_unless_allowed(address: str) -> None:
    plain = address.partition("%")[0]
    assert not is_allowed(address)
    assert not is_allowed(address, "9.9.9.0/24", "2a00::/16")
    if "." in plain or ip_address(plain) not in ip_network("::/96"):
        assert is_allowed(address, plain)
        assert is_allowed(address, "0.0.0.0/0", "::/0")


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_allowed(address)


@pytest.mark.parametrize("address", sorted(map(str, METADATA_ADDRESSES)))
def test_metadata_addresses_must_be_allowed_exactly(address: str) -> None:
    assert not is_allowed(address)
    assert not is_allowed(address, "0.0.0.0/0", "::/0", "169.254.0.0/16", "fd00::/8")
    assert is_allowed(address, address)


@pytest.mark.parametrize(("template", "is_public"), EMBEDDINGS.values(), ids=EMBEDDINGS.keys())
@pytest.mark.parametrize("ipv4", ["127.0.0.1", "10.0.0.1", "169.254.1.1", "0.0.0.0", "100.64.0.1"])
def test_embedded_addresses(template: str, is_public: bool, ipv4: str) -> None:
    embedded = template.format(ipv4)
    assert not is_allowed(embedded)
    assert is_allowed(embedded, ipv4) is is_public
    assert not is_allowed(embedded, "::/0")
    assert is_allowed(embedded, "::/0", "0.0.0.0/0")
    assert is_allowed(template.format("8.8.8.8")) is is_public


@pytest.mark.parametrize(("template", "is_public"), EMBEDDINGS.values(), ids=EMBEDDINGS.keys())
def test_embedded_metadata_addresses(template: str, is_public: bool) -> None:
    embedded = template.format("169.254.169.254")
    assert not is_allowed(embedded, "::/0", "0.0.0.0/0", "169.254.0.0/16")
    assert is_allowed(embedded, "169.254.169.254") is is_public
    assert is_allowed(embedded, "169.254.169.254", "::/0", "0.0.0.0/0")


def test_6to4() -> None:
    assert is_allowed(embed_6to4("8.8.8.8"))
    assert not is_allowed(embed_6to4("10.0.0.1"))
    assert is_allowed(embed_6to4("10.0.0.1"), "10.0.0.0/8")
    assert not is_allowed(embed_6to4("169.254.169.254"), "::/0", "0.0.0.0/0")


def test_teredo() -> None:
    assert not is_allowed(embed_teredo("8.8.8.8", "8.8.4.4"))  # protocol assignments
    assert is_allowed(embed_teredo("8.8.8.8", "8.8.4.4"), "2001::/32")
    for server, client in [("10.0.0.1", "8.8.8.8"), ("8.8.8.8", "10.0.0.1")]:
        assert not is_allowed(embed_teredo(server, client), "2001::/32")
        assert is_allowed(embed_teredo(server, client), "2001::/32", "10.0.0.0/8")


def test_nat64_of_a_site_of_48_bits() -> None:
    nat64 = IPv6Address("64:ff9b:1:7f00:0:100::")
    found = {str(address) for address in extract_embedded_ipv4(nat64)}
    assert "127.0.0.1" in found


@given(st.ip_addresses(v=4))
def test_a_forbidden_address_is_forbidden_in_every_embedding(address: object) -> None:
    if not is_allowed(str(address)):
        assert not any(is_allowed(form.format(address)) for form, _ in EMBEDDINGS.values())
        assert not is_allowed(embed_6to4(str(address)))


@given(st.ip_addresses())
def test_every_allowed_address_is_global_for_the_standard_library(address: object) -> None:
    parsed = ip_address(str(address))
    # Of these the embedded address counts. Since Python 3.13 neither is called global.
    transparent = [ip_network("64:ff9b::/96"), ip_network("2002::/16")]
    if not parsed.is_global and not any(parsed in network for network in transparent):
        assert not is_allowed(str(parsed)) or getattr(parsed, "ipv4_mapped", None) is not None
