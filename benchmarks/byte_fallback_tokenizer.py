"""BPE tokenizers like Llama's, of any size: SentencePiece's, as converted by transformers."""

import itertools
import json
import string
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from benchmarks.requests import build_question

TRAINED_TOKENS: Final = 2000
TRAINING_QUESTIONS: Final = 2000
SPACE: Final = "▁"  # SentencePiece's symbol for a space
BYTES: Final = tuple(f"<0x{byte:02X}>" for byte in range(256))
# Templates' words, so that a prompt has about as many tokens as with the published tokenizer.
SENTENCES: Final = (
    "A chat between a curious user and an artificial intelligence assistant.",
    "The assistant gives helpful, detailed, and polite answers to the user's questions.",
    "USER: ASSISTANT: [INST] [/INST]",
)
# Each is a token of its own, which a random model answers with and a history repeats.
CHINESE: Final = range(0x4E00, 0xA000)
HANGUL: Final = range(0xAC00, 0xD7A4)


def build_byte_fallback_tokenizer(specials: Mapping[str, int]) -> Tokenizer:
    """Train on the load's questions, and fill all ids below the largest of the special tokens.

    `specials` begins with the unknown token and BOS. The tokens of bytes come after the special
    tokens with the lowest ids, as in Llama's vocabulary. A filling token is a single character.
    """
    unknown, bos = itertools.islice(specials, 2)
    ids = sorted(set(range(max(specials.values()))) - set(specials.values()))
    model = _train(min(TRAINED_TOKENS, len(ids) - len(BYTES)))
    trained = sorted(model["vocab"], key=model["vocab"].get)
    filling = map(chr, itertools.chain(CHINESE, HANGUL))
    tokens = itertools.chain(BYTES, trained, filling)
    vocabulary = dict(zip(tokens, ids, strict=False)) | dict(specials)
    merges = [tuple(pair) for pair in model["merges"]]
    tokenizer = Tokenizer(
        BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    )
    _set_up(tokenizer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, specials[bos])]
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in specials])
    return tokenizer


def _train(size: int) -> Any:
    """Return the model of a trained tokenizer in JSON's form: words and single digits."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Digits(individual_digits=True)]
    )
    alphabet = [SPACE, "\n", *string.digits, *string.ascii_letters, *string.punctuation]
    trainer = BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(_iterate_corpus(), trainer)
    return json.loads(tokenizer.to_str())["model"]


def _iterate_corpus() -> Iterator[str]:
    for number in range(TRAINING_QUESTIONS):
        yield build_question(number)
        yield from SENTENCES


def _set_up(tokenizer: Tokenizer) -> None:
    """Set all but the model, as llava-hf's `tokenizer.json` has it."""
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
