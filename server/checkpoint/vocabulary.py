"""What each token of a checkpoint spells, byte for byte."""

from functools import lru_cache
from pathlib import Path
from typing import Final

from llguidance import LLTokenizer

# What answers in JSON are like; vocabularies differ by a factor of three in how they spell it.
JSON: Final = '{"name": "a red circle", "count": 3, "tags": ["small", "round"], "visible": true}'


class Vocabulary:
    """Token ids and their bytes: of a character that takes several tokens, each has its part."""

    def __init__(self, path: Path) -> None:
        """Read the tokenizer of the checkpoint at `path`."""
        self._tokenizer = LLTokenizer(str(path / "tokenizer.json"))
        self._characters_per_token = len(JSON) / len(self._tokenizer.tokenize_str(JSON))
        self.token_bytes = lru_cache(maxsize=65536)(self._token_bytes)

    @property
    def size(self) -> int:
        """How many ids there are."""
        return self._tokenizer.vocab_size

    def room(self, max_tokens: int) -> int:
        """Return the characters of JSON that so many tokens spell, about."""
        return int(max_tokens * self._characters_per_token)

    def is_special(self, token_id: int) -> bool:
        """Tell whether a token is never shown: it steers the model, or stands for nothing."""
        return token_id >= self.size or self._tokenizer.is_special_token(token_id)

    def _token_bytes(self, token_id: int) -> bytes:
        return self._tokenizer.decode_bytes([token_id])
