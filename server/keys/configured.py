"""The API keys that the settings name."""

from pathlib import Path

from server.keys.errors import KeysFileError
from server.keys.key import ApiKey
from server.keys.key_file import read_keys
from server.keys.key_ring import KeyRing
from server.settings import Settings


def read_key_ring(settings: Settings) -> KeyRing:
    """Return the API keys. Raises `KeysFileError`, or `OSError` where the file cannot be read."""
    secrets = (key.get_secret_value() for key in settings.api_keys)
    return KeyRing(secrets, None if settings.keys_file is None else _read(settings.keys_file))


def _read(path: Path) -> tuple[ApiKey, ...]:
    try:
        return read_keys(path)
    except FileNotFoundError:
        remedy = f"`llava-server keys new NAME --keys-file {path}` makes it"
        raise KeysFileError(path, [f" does not exist: {remedy}"]) from None
