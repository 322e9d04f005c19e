"""A published checkpoint without its weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any

Json = dict[str, Any]


class TokenizerKind(StrEnum):
    """How a BPE tokenizer writes text that it has no token for."""

    BYTE_LEVEL = auto()  # Qwen's: all text is bytes, written as characters
    BYTE_FALLBACK = auto()  # Llama's: characters, and tokens for the bytes of unknown ones


@dataclass(frozen=True, slots=True)
class Shape:
    """A published checkpoint without its weights.

    `special_tokens` maps each special token to its id; all ids below the largest are in the
    tokenizer. A random model answers with tokens of `text_ids` only. The JSON fields are the
    content of the files of these names.
    """

    name: str
    repository: str
    tokenizer: TokenizerKind
    special_tokens: Mapping[str, int]
    text_ids: range
    config: Json
    preprocessor_config: Json
    processor_config: Json
    tokenizer_config: Json
    generation_config: Json
    chat_template: str
    # Of the benchmark.
    suite: str
    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int

    def build_files(self) -> dict[str, Json]:
        """Return the content of the JSON files, except the tokenizer's."""
        return {
            "config.json": self.config,
            "preprocessor_config.json": self.preprocessor_config,
            "processor_config.json": self.processor_config,
            "tokenizer_config.json": self.tokenizer_config,
            "generation_config.json": self.generation_config,
            "chat_template.json": {"chat_template": self.chat_template},
        }
