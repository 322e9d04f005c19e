"""What stops a conversion; the message names the file or the key, for whoever ran the command."""


class ConversionError(Exception):
    """The release cannot be converted as it stands."""
