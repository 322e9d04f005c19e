"""The secrets of API keys, and their hashes.

A secret holds 256 random bits, so a fast hash is enough: nobody can try them all.
"""

from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

PREFIX: Final = "llava-"
SECRET_BYTES: Final = 32
HASH_PREFIX: Final = "sha256:"


def generate_secret() -> str:
    """Return a new random secret."""
    return PREFIX + token_urlsafe(SECRET_BYTES)


def hash_secret(secret: str) -> str:
    """Return a secret's hash in the file's form; `sha256sum` prints the same digits."""
    return HASH_PREFIX + sha256(secret.encode()).hexdigest()
