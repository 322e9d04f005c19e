"""The API keys that the settings name."""

from server.keys.key_file import read_keys
from server.keys.key_ring import KeyRing
from server.settings import Settings


def read_key_ring(settings: Settings) -> KeyRing:
    """Return the API keys. Raises `KeysFileError`, or `OSError` if the file cannot be read."""
    secrets = (key.get_secret_value() for key in settings.api_keys)
    return KeyRing(secrets, None if settings.keys_file is None else read_keys(settings.keys_file))
