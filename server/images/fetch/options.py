"""The operator's options for fetching images or videos."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """Limits of a fetch, and the hosts it may reach: by default the public internet only.

    `frame_lists`: whether a `data:video/jpeg` URL is a list of JPEGs, as that of a video's frames.
    `allow_ports`: None allows any port. `allow_domains`: if empty, any domain that is not denied.
    """

    max_bytes: int
    timeout_s: float
    accept: str = "image/*"
    frame_lists: bool = False
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 5.0
    allow_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    allow_ports: frozenset[int] | None = frozenset({80, 443})
    allow_domains: tuple[str, ...] = ()
    deny_domains: tuple[str, ...] = ()
    allow_userinfo: bool = False
    connections_per_host: int = 8
    folders: tuple[Path, ...] = ()
    proxy_env: bool = False
