"""The valid API keys, looked up by secret."""

import hmac
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from blake3 import blake3

from server.keys.key import ApiKey
from server.keys.name import ENV_PREFIX
from server.keys.secret import hash_secret


@dataclass(frozen=True, slots=True)
class KeyMatch:
    """A key found by one of its secrets; `expires` is when the key, or this secret, expires."""

    key: ApiKey
    hash: str
    expires: datetime | None


class KeyRing:
    """The keys of the environment and of the file; the file's are replaced as a whole.

    If both hold the same secret, the file's key takes precedence, since it may have limits.
    """

    def __init__(
        self, env_secrets: Iterable[str] = (), keys: Sequence[ApiKey] | None = None
    ) -> None:
        """`keys` are the file's, None without a file: then, without secrets, anyone may ask."""
        self._env_keys = [
            ApiKey(name=f"{ENV_PREFIX}{number}", hash=hash_secret(secret))
            for number, secret in enumerate(env_secrets, 1)
        ]
        self.is_open = keys is None and not self._env_keys
        # The place of a hash among the others must not follow from the hash, or the time of a
        # look-up could tell of it.
        self._index_key = secrets.token_bytes(32)
        self.replace(keys or ())

    @property
    def keys(self) -> Mapping[str, ApiKey]:
        """All keys by name, including expired and revoked ones."""
        return self._keys

    def replace(self, keys: Sequence[ApiKey]) -> None:
        """Replace the file's keys."""
        self._keys = {key.name: key for key in (*self._env_keys, *keys)}
        self._index = {
            self._derive_index(match.hash): match
            for key in self._keys.values()
            for match in _list(key)
        }

    def find(self, secret: str) -> KeyMatch | None:
        """Return the key with this secret, in a time that reveals nothing about other keys."""
        if not secret:
            return None
        presented = hash_secret(secret)
        match = self._index.get(self._derive_index(presented))
        if match is None or not hmac.compare_digest(match.hash, presented):
            return None
        return match

    def _derive_index(self, hash_: str) -> bytes:
        return blake3(hash_.encode(), key=self._index_key).digest()


def _list(key: ApiKey) -> Iterator[KeyMatch]:
    yield KeyMatch(key, key.hash, key.expires)
    for previous in key.previous:
        ends = [previous.expires, *([key.expires] if key.expires else [])]
        yield KeyMatch(key, previous.hash, min(ends))
