"""Converts a Llama-like SentencePiece model to a `tokenizers` tokenizer with the same ids."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE

from model_store.errors import ConversionError

_SPACE: Final = "▁"
_BPE: Final = 2  # TrainerSpec.ModelType
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4  # ModelProto.SentencePiece.Type


def read_sentencepiece(file: Path) -> Any:
    """Parse a `tokenizer.model`. Raises `ConversionError` if it is not a Llama-like BPE."""
    proto: Any = sentencepiece_model_pb2.ModelProto()
    try:
        proto.ParseFromString(file.read_bytes())
    except (OSError, DecodeError) as error:
        raise ConversionError(f"{file} is not a SentencePiece model: {error}") from None
    if not proto.pieces:
        raise ConversionError(f"{file} is not a SentencePiece model: it has no pieces")
    spec = proto.normalizer_spec
    if proto.trainer_spec.model_type != _BPE:
        raise ConversionError(f"{file} is not a BPE model; Llama's and Mistral's are")
    if spec.precompiled_charsmap or spec.remove_extra_whitespaces:
        raise ConversionError(f"{file} normalises text; Llama's and Mistral's models do not")
    return proto


def build_tokenizer(proto: Any, *, legacy: bool) -> Tokenizer:
    """Build the tokenizer of a `LlamaTokenizer(use_fast=False, legacy=legacy)`.

    If `legacy`, text gets SentencePiece's leading space after each special token, otherwise only at
    its start. Only the model's own control pieces are added as special tokens.
    """
    vocab = {piece.piece: token_id for token_id, piece in enumerate(proto.pieces)}
    tokenizer = Tokenizer(
        BPE(
            vocab,
            _list_merges(proto),
            unk_token=proto.pieces[proto.trainer_spec.unk_id].piece,
            fuse_unk=True,
            byte_fallback=proto.trainer_spec.byte_fallback,
        )
    )
    prefixed = bool(proto.normalizer_spec.add_dummy_prefix)
    _set_spaces(tokenizer, prefixed=prefixed, legacy=legacy)
    strip = [decoders.Strip(content=" ", left=1)] if prefixed else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    tokenizer.add_special_tokens(
        [_build_added_token(piece) for piece in _select_pieces(proto, _CONTROL)]
    )
    tokenizer.add_tokens(
        [_build_added_token(piece) for piece in _select_pieces(proto, _USER_DEFINED)]
    )
    return tokenizer


def _set_spaces(tokenizer: Tokenizer, *, prefixed: bool, legacy: bool) -> None:
    if prefixed and not legacy:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
            replacement=_SPACE, prepend_scheme="first", split=False
        )
        return
    prepend = [normalizers.Prepend(_SPACE)] if prefixed else []
    tokenizer.normalizer = normalizers.Sequence([*prepend, normalizers.Replace(" ", _SPACE)])


def _list_merges(proto: Any) -> list[tuple[str, str]]:
    """Return every pair of pieces that merges into a piece, the best-scored piece first.

    SentencePiece merges the neighbours that form the best-scored piece. It never forms a control
    or byte piece, even if the text equals one.
    """
    scores = {piece.piece: piece.score for piece in _select_pieces(proto, _NORMAL)}
    best_first = sorted(scores, key=lambda piece: -scores[piece])
    return [
        (piece[:cut], piece[cut:])
        for piece in best_first
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]


def _select_pieces(proto: Any, kind: int) -> Iterable[Any]:
    return (piece for piece in proto.pieces if piece.type == kind)


def _build_added_token(piece: Any) -> AddedToken:
    return AddedToken(piece.piece, normalized=False)
