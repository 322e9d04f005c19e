"""Keys for tests."""

from typing import Any

from server.keys.key import ApiKey
from server.keys.secret import hash_secret


def build_key(name: str = "alice", secret: str | None = None, **fields: Any) -> ApiKey:
    """Return a key, whose secret is its name unless another one is given."""
    return ApiKey(name=name, hash=hash_secret(secret or name), **fields)
