"""Host names that this server goes by, against DNS rebinding.

A page of `evil.example` may have its own name resolve to 127.0.0.1. To the browser it then talks to
its own server, but the `Host` header still names `evil.example`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

ANY: Final = "*"
MAX_ADDRESS_LENGTH: Final = 64  # with the zone of a link-local one


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """The names that `Host` and `Origin` may have.

    `patterns` are an operator's, e.g. `*.example.com`, or `*` for any; `bound_host` is the one that
    the server listens on. Unless `is_checked`, `Host` may be any name: a server that is reachable
    from other machines does not know all its names.
    """

    patterns: Collection[str] = ()
    is_checked: bool = False
    bound_host: str = ""

    def allows(self, authority: str) -> bool:
        """Whether a `Host` header names this server, or is not checked."""
        return not self.is_checked or ANY in self.patterns or self._is_known(authority)

    def names(self, authority: str) -> bool:
        """Whether `--allowed-hosts` has this name."""
        host = split_host(authority)
        return any(fnmatchcase(host, pattern) for pattern in self.patterns if pattern != ANY)

    def _is_known(self, authority: str) -> bool:
        host = split_host(authority)
        is_address = len(host) <= MAX_ADDRESS_LENGTH and _is_address(host)
        is_bound = bool(host) and host == self.bound_host
        return is_bound or is_local_name(host) or is_address or self.names(authority)


def split_host(authority: str) -> str:
    """Return the host of `host:port`, in lower case; an IPv6 address without brackets."""
    authority = authority.strip().lower()
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0].removesuffix(".")


def is_local_name(host: str) -> bool:
    """Whether no page on the Internet can have this name: `localhost`, and names without a dot."""
    return bool(host) and ("." not in host or host.endswith(".localhost"))


@lru_cache(maxsize=256)
def _is_address(host: str) -> bool:
    """Whether the host is an IP address: nobody resolves that to another one."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
