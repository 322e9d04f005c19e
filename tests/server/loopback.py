"""Options of a fetcher that may reach origin servers on the loopback."""

from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

from server.images.fetch.options import FetchOptions


def build_loopback_options(*, max_bytes: int, timeout_s: float, **overrides: Any) -> FetchOptions:
    """Allow the loopback and any port; `overrides` take precedence."""
    options = FetchOptions(
        max_bytes,
        timeout_s,
        read_timeout_s=timeout_s,
        allow_networks=(IPv4Network("127.0.0.0/8"),),
        allow_ports=None,
    )
    return replace(options, **overrides)
