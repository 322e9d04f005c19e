"""Fetching: where images and videos may come from, and how."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings

from server.settings.types import MIB, Domains, Folders, Networks, Ports


class FetchSettings(BaseSettings):
    """Fetching: where images and videos may come from, and how."""

    request_fetch_timeout_s: PositiveFloat = Field(
        30.0, description="time to fetch all images and videos of one request, in seconds"
    )
    fetch_timeout_s: PositiveFloat = Field(
        10.0, description="time to fetch one http(s) image, in seconds"
    )
    fetch_connect_timeout_s: PositiveFloat = Field(
        3.0, description="time to look a URL's host up and connect to it, in seconds"
    )
    fetch_read_timeout_s: PositiveFloat = Field(
        5.0, description="longest time that a URL's server may send nothing, in seconds"
    )
    fetch_allow_networks: Networks = Field(
        (),
        description="private networks that URLs may lead to, e.g. 10.0.0.0/8,fd00::/8",
    )
    fetch_allow_ports: Ports = Field(
        frozenset({80, 443}), description="ports that URLs may name, or any"
    )
    fetch_allow_domains: Domains = Field(
        (), description="the only domains that URLs may name; default: any"
    )
    fetch_deny_domains: Domains = Field((), description="domains that no URL may name")
    fetch_allow_userinfo: bool = Field(False, description="let URLs hold a user name and password")
    fetch_connections_per_host: PositiveInt = Field(
        8, description="files fetched from one host at a time"
    )
    fetch_cache_mib: NonNegativeFloat = Field(
        64.0,
        description="memory for fetched images and videos that HTTP allows to be cached, in MiB; 0"
        " keeps none",
    )
    fetch_proxy_env: bool = Field(
        False, description="fetch through the proxies that HTTP_PROXY and HTTPS_PROXY name"
    )
    image_folders: Folders = Field(
        (), description="folders that file:// URLs may read from; default: none"
    )

    @property
    def fetch_cache_bytes(self) -> int:
        """Memory for fetched images and videos in bytes."""
        return int(self.fetch_cache_mib * MIB)
