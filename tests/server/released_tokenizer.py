"""The released code's tokenising of prompts, restated over SentencePiece itself.

`tokenizer_image_token` calls transformers' slow LlamaTokenizer on each chunk between images. The
tokenizer splits at special tokens and encodes each part with SentencePiece: with its dummy prefix
(`legacy`), or without it, after a space in front of the chunk.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

BOS = 1
CORPUS = (
    "A chat between a curious user and an artificial intelligence assistant.",
    "The assistant gives helpful, detailed, and polite answers to the user's questions.",
    "USER: What is this? ASSISTANT: It is a red cat on a blue mat.",
    "###Human: Where is the cat? ###Assistant: It sits.",
    "[INST] <<SYS>> You are a helpful language and vision assistant. <</SYS>> [/INST]",
    "<|im_start|>system Answer the questions.<|im_end|> user assistant < </ s> s > <s </s > </s>",
    "  two  spaces   three, naïve café, 1234567890 (a) [b] {c} image img pad",
)


@dataclass(frozen=True)
class SentencePieceModel:
    """A small model of Llama's kind: BPE, byte fallback, no normalisation, a dummy prefix."""

    serialized: bytes
    added: tuple[str, ...]  # special tokens beside <unk>, <s> and </s>, numbered after the pieces

    @cached_property
    def with_prefix(self) -> sentencepiece.SentencePieceProcessor:
        return sentencepiece.SentencePieceProcessor(model_proto=self.serialized)

    @cached_property
    def without_prefix(self) -> sentencepiece.SentencePieceProcessor:
        proto = sentencepiece_model_pb2.ModelProto.FromString(self.serialized)
        proto.normalizer_spec.add_dummy_prefix = False
        return sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())

    @cached_property
    def specials(self) -> dict[str, int]:
        pieces = self.with_prefix.get_piece_size()
        named = {"<unk>": 0, "<s>": BOS, "</s>": 2}
        return named | {token: pieces + index for index, token in enumerate(self.added)}

    def ids(self, prompt: str, *, legacy: bool) -> list[int | None]:
        """Return a prompt's ids; None stands for an image."""
        token_ids: list[int | None] = [BOS]
        for index, chunk in enumerate(prompt.split("<image>")):
            token_ids += [None] if index else []
            token_ids += self._chunk(chunk, legacy)
        return token_ids

    def _chunk(self, chunk: str, legacy: bool) -> Iterator[int]:
        names = "|".join(re.escape(token) for token in self.specials)
        parts = [part for part in re.split(f"({names})", chunk) if part]
        for index, part in enumerate(parts):
            if part in self.specials:
                yield self.specials[part]
            elif legacy:
                yield from self.with_prefix.encode(part)
            else:
                yield from self.without_prefix.encode(part if index else f" {part}")


def train(*added: str) -> SentencePieceModel:
    """Train on a few sentences."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=written,
        model_type="bpe",
        vocab_size=440,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    return SentencePieceModel(written.getvalue(), added)


def convert(model: SentencePieceModel, scheme: str) -> Tokenizer:
    """Return the model as a `tokenizers` tokenizer, in one of transformers' schemes.

    `prepend` is a normalizer's; `always` and `first` are Metaspace's.
    """
    sp = model.with_prefix
    vocab = {sp.id_to_piece(i): i for i in range(sp.get_piece_size())}
    tokenizer = Tokenizer(
        BPE(vocab, _merges(sp, vocab), unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    if scheme == "prepend":
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in model.specials])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair=None, special_tokens=[("<s>", BOS)]
    )
    return tokenizer


def _merges(
    sp: sentencepiece.SentencePieceProcessor, vocab: dict[str, int]
) -> list[tuple[str, str]]:
    """Return every pair that merges into a piece, best pieces first, as transformers does."""
    pieces = sorted(vocab, key=lambda piece: (-sp.get_score(vocab[piece]), vocab[piece]))
    return [
        (piece[:cut], piece[cut:])
        for piece in pieces
        for cut in range(1, len(piece))
        if piece[:cut] in vocab and piece[cut:] in vocab
    ]
