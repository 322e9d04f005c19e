"""Hosts that are addresses and need no look-up."""

from ipaddress import ip_address

from server.images.fetch.address_policy import Address


def parse_literal_address(host: str) -> Address | None:
    """Return the address that a URL's host is, or None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None
