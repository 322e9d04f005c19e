"""The bytes of each token of a checkpoint, and its text as log probabilities report it."""

import json
from copy import copy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

from llguidance import LLTokenizer

# Tokens whose bytes and texts are cached, at about 500 bytes each.
_CACHED_TOKENS: Final = 65536


@dataclass(frozen=True, slots=True)
class TokenText:
    """A token's text and bytes, and how the API dialects write them.

    `json` is `"token": …, "bytes": […]`: members of an object. `label` is the text, or
    `bytes:\\x…` for part of a character, as OpenAI writes it in text completions. `name`, unless
    None, is what all of these call the token instead of its text.
    """

    text: str
    bytes: bytes
    label: str
    json: str
    name: str | None = None


def build_token_text(
    token_bytes: bytes, text: str | None = None, name: str | None = None
) -> TokenText:
    """Return the text of a token's bytes; `text` replaces it for a token without bytes."""
    text = name or text
    decoded = token_bytes.decode(errors="replace") if text is None else text
    label = name or _build_label(token_bytes, decoded)
    members = f'"token": {json.dumps(decoded)}, "bytes": {list(token_bytes)}'
    return TokenText(decoded, token_bytes, label, members, name)


def _build_label(token_bytes: bytes, text: str) -> str:
    try:
        token_bytes.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token_bytes)
    return text


class Vocabulary:
    """Token ids and their bytes; a character may be split over several tokens."""

    def __init__(self, path: Path) -> None:
        """Read the tokenizer of the checkpoint at `path`."""
        self._tokenizer = LLTokenizer(str(path / "tokenizer.json"))
        self.token_bytes = lru_cache(maxsize=_CACHED_TOKENS)(self._token_bytes)
        self.token_text = lru_cache(maxsize=_CACHED_TOKENS)(self._token_text)

    @cached_property
    def named_by_id(self) -> "Vocabulary":
        """The same vocabulary, whose tokens are called `token_id:N`."""
        renamed = copy(self)
        renamed.token_text = lru_cache(maxsize=_CACHED_TOKENS)(self._numbered_token_text)
        return renamed

    @property
    def size(self) -> int:
        """The number of token ids."""
        return self._tokenizer.vocab_size

    def is_special(self, token_id: int) -> bool:
        """Whether a token never appears in text: a special token, or an id without a token."""
        return token_id >= self.size or self._tokenizer.is_special_token(token_id)

    def _token_bytes(self, token_id: int) -> bytes:
        return self._tokenizer.decode_bytes([token_id])

    def _numbered_token_text(self, token_id: int) -> TokenText:
        return build_token_text(self.token_bytes(token_id), name=f"token_id:{token_id}")

    def _token_text(self, token_id: int) -> TokenText:
        return build_token_text(self.token_bytes(token_id))
