"""Where the tokens of an answer stand in its text, in characters."""


class TextOffsets:
    """Counts the characters that an answer's tokens spell, of which one may take several tokens."""

    def __init__(self, hidden: int = 0) -> None:
        """The first `hidden` characters are not shown."""
        self._characters = -hidden

    def place(self, spelt: bytes) -> int:
        """Return where the next token stands: where its first character begins."""
        begins = sum(not _continues(byte) for byte in spelt)
        offset = self._characters - (bool(spelt) and _continues(spelt[0]))
        self._characters += begins
        return max(offset, 0)


def _continues(byte: int) -> bool:
    """Tell whether a byte of UTF-8 goes on with a character."""
    return byte & 0xC0 == 0x80
