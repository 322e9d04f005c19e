"""What stops a conversion; the message names the file or the key, for whoever ran the command."""

from model_store.errors import StoreError


class ConversionError(StoreError):
    """The release cannot be converted as it stands."""
