"""Small SentencePiece models trained as Llama's was."""

import io
from functools import cache
from typing import Final

import sentencepiece

_WORDS: Final = (
    "A chat between a curious user and an artificial intelligence assistant",
    "The assistant gives helpful, detailed, and polite answers to the user's questions.",
    "USER: What is shown in this image? ASSISTANT: a red circle left of a small blue square",
    "Human: How many dogs, cats and birds are there? Assistant: There are 3 dogs and 12 birds.",
    "[INST] <<SYS>> You are able to understand the visual content that the user provides <</SYS>>",
    "Describe the picture in detail.\nWho is to the left of the man with the umbrella?",
    '    indented code    with spaces; {"key": [1, 2, 3]}  # comment',
    "Ein Bild sagt mehr als tausend Worte: größer, schöner, heißer.",
)


@cache
def train_sentencepiece(vocab_size: int, *, chatml: bool = False) -> bytes:
    """Return a `tokenizer.model`: BPE, byte fallback, text as it is.

    With `chatml` it is like Yi's: other control pieces, and no space in front of text.
    """
    lines = [" ".join((first, second)) for first in _WORDS for second in _WORDS]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="bpe",
        vocab_size=vocab_size,
        byte_fallback=True,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=not chatml,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        bos_piece="<|startoftext|>" if chatml else "<s>",
        eos_piece="<|endoftext|>" if chatml else "</s>",
        control_symbols=["<|x3|>", "<|x4|>", "<|x5|>", "<|im_start|>", "<|im_end|>"]
        if chatml
        else [],
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()
