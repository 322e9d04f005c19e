"""A byte-level BPE tokenizer, trained on the conversations of training."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

VOCABULARY_SIZE = 1024
SPECIAL_TOKENS = ("<s>", "</s>", "<unk>", "<pad>", "<image>")
BOS_ID, EOS_ID, UNK_ID, PAD_ID, IMAGE_ID = range(len(SPECIAL_TOKENS))

IMAGE_TOKEN = SPECIAL_TOKENS[IMAGE_ID]
EOS_TOKEN = SPECIAL_TOKENS[EOS_ID]


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Train on `texts`. Every byte has a token, so any text can be encoded.

    `encode(text)` prepends one BOS, as Llama's tokenizer does.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[AddedToken(token, special=True) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", BOS_ID)]
    )
    return tokenizer


def load_tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def encode_segment(tokenizer: Tokenizer, text: str) -> list[int]:
    """Encode a segment of a prompt, without BOS."""
    return tokenizer.encode(text, add_special_tokens=False).ids


class CachedTokenizer:
    """Encodes segments of prompts, without BOS. The same few segments recur all the time."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._cache: dict[str, list[int]] = {}

    def __call__(self, segment: str) -> list[int]:
        if segment not in self._cache:
            self._cache[segment] = encode_segment(self._tokenizer, segment)
        return self._cache[segment]
