"""The bytes of each token of a checkpoint."""

from functools import lru_cache
from pathlib import Path
from typing import Final

from llguidance import LLTokenizer

# Typical JSON output. Vocabularies differ by a factor of three in the tokens they need for it.
_SAMPLE_JSON: Final = (
    '{"name": "a red circle", "count": 3, "tags": ["small", "round"], "visible": true}'
)


class Vocabulary:
    """Token ids and their bytes; a character may be split over several tokens."""

    def __init__(self, path: Path) -> None:
        """Read the tokenizer of the checkpoint at `path`."""
        self._tokenizer = LLTokenizer(str(path / "tokenizer.json"))
        self._characters_per_token = len(_SAMPLE_JSON) / len(
            self._tokenizer.tokenize_str(_SAMPLE_JSON)
        )
        self.token_bytes = lru_cache(maxsize=65536)(self._token_bytes)

    @property
    def size(self) -> int:
        """The number of token ids."""
        return self._tokenizer.vocab_size

    def estimate_chars(self, max_tokens: int) -> int:
        """Return about how many characters of JSON `max_tokens` tokens decode to."""
        return int(max_tokens * self._characters_per_token)

    def is_special(self, token_id: int) -> bool:
        """Whether a token never appears in text: a special token, or an id without a token."""
        return token_id >= self.size or self._tokenizer.is_special_token(token_id)

    def _token_bytes(self, token_id: int) -> bytes:
        return self._tokenizer.decode_bytes([token_id])
