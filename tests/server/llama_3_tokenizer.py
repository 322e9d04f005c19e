"""A byte-level BPE like Llama 3's: special tokens after the others, a BOS by post-processing."""

from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from tests.server.released_tokenizer import CORPUS

BEGIN, END, TURN_END = "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"
SPECIALS: Final = (BEGIN, END, "<|start_header_id|>", "<|end_header_id|>", TURN_END)


def train_llama_3(*added: str, num_merged: int = 400) -> Tokenizer:
    """Train on a few sentences; `added` are more special tokens, numbered last."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=num_merged, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False) for token in (*SPECIALS, *added)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=None, special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))]
    )
    return tokenizer
