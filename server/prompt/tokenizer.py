"""A checkpoint's tokenizer, used as the released code uses it: in chunks between images.

`tokenizer_image_token` tokenises the text on either side of `<image>` by itself and keeps one BOS.
Within a chunk, transformers' LlamaTokenizer splits off special tokens first; SentencePiece then
puts a space in front of each stretch that is left (`legacy`), or of the chunk's first only.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

from server.checkpoint.config import CheckpointError, TextConfig
from server.prompt.segments import ImageSlot, Segment, TemplateText
from server.prompt.sentencepiece import SPACE, remove_prefix_space

# Added tokens spelt like this steer the model even where the file does not call them special.
CONTROL: Final = re.compile(r"<[^\s<>]+>")


@dataclass(frozen=True, slots=True)
class Control:
    """A token that no words can spell; it may swallow the white space beside it."""

    token_id: int
    lstrip: bool
    rstrip: bool


Piece = str | Control | ImageSlot


class PromptTokenizer:
    """Turns segments into token ids."""

    def __init__(self, tokenizer: Tokenizer, text: TextConfig) -> None:
        """Raise `CheckpointError` where the tokenizer lacks its own BOS."""
        content = json.loads(tokenizer.to_str())
        added = [token for token in content["added_tokens"] if _is_control(token)]
        self._controls = {
            token["content"]: Control(token["id"], token["lstrip"], token["rstrip"])
            for token in added
        }
        self._split = _splitter(self._controls)
        self._prefix_space = remove_prefix_space(content)
        if self._prefix_space != "none" and text.legacy is not None:
            self._prefix_space = "each" if text.legacy else "first"
        self._tokenizer = _text_only(content, self._controls)
        self._bos = self._find_bos(tokenizer, text)

    def token_id(self, token: str) -> int | None:
        """Return the id of a special token, None if there is no such token."""
        control = self._controls.get(token)
        return None if control is None else control.token_id

    def tokenize(
        self, segments: Iterable[Segment], *, bos: bool = True
    ) -> Iterator[list[int] | ImageSlot]:
        """Yield the ids between images, and the slots of these, in order. One BOS leads.

        Without `bos` there is one only where the template itself has it.
        """
        pieces = list(_merged(self._pieces(segments)))
        if bos and self._bos is not None and (not pieces or pieces[0] != self._bos):
            yield [self._bos.token_id]
        previous: Piece = ImageSlot()  # the prompt's begin begins a chunk, as an image's end does
        for piece, following in pairwise([*pieces, ""]):
            match piece:
                case Control(token_id):
                    yield [token_id]
                case ImageSlot():
                    yield piece
                case text:
                    yield self._encode(_stripped(previous, text, following), previous)
            previous = piece

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids, special tokens by their names."""
        text: str = self._tokenizer.decode(token_ids, skip_special_tokens=False)
        return text

    def token_strings(self, token_ids: Sequence[int]) -> list[str]:
        """Return the vocabulary's own spelling of each id, empty where it has none."""
        return [self._tokenizer.id_to_token(token_id) or "" for token_id in token_ids]

    def _pieces(self, segments: Iterable[Segment]) -> Iterator[Piece]:
        for segment in segments:
            match segment:
                case ImageSlot():
                    yield segment
                case TemplateText(text):
                    for part in self._split.split(text):
                        yield self._controls.get(part, part)
                case words:
                    yield words.text

    def _encode(self, text: str, previous: Piece) -> list[int]:
        if not text:
            return []
        begins_chunk = isinstance(previous, ImageSlot)
        if self._prefix_space == "each" or (self._prefix_space == "first" and begins_chunk):
            text = SPACE + text
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _find_bos(self, tokenizer: Tokenizer, text: TextConfig) -> Control | None:
        """Return the BOS if this tokenizer puts one in front of what it tokenises."""
        if text.bos_token is None or text.add_bos_token is False:
            return None
        bos = self._controls.get(text.bos_token)
        if bos is None:
            raise CheckpointError(f"the tokenizer has no token {text.bos_token!r}")
        added = text.add_bos_token or bos.token_id in tokenizer.encode("").ids[:1]
        return bos if added else None


def read_tokenizer(path: Path) -> Tokenizer:
    """Load a checkpoint's tokenizer. Raises `CheckpointError`."""
    try:
        return Tokenizer.from_file(str(path / "tokenizer.json"))
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(f"{path} has no usable tokenizer.json: {error}") from None


def _is_control(token: dict[str, Any]) -> bool:
    return bool(token["special"] or CONTROL.fullmatch(token["content"]))


def _splitter(controls: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern for control tokens, the longest first; it may match nothing."""
    longest_first = sorted(controls, key=len, reverse=True)
    return re.compile(
        "(" + "|".join(map(re.escape, longest_first)) + ")" if longest_first else "(?!)"
    )


def _text_only(content: dict[str, Any], controls: Iterable[str]) -> Tokenizer:
    """Return the tokenizer without a way from text to a control token.

    SentencePiece never merges text into one either; a converted merge list may hold such merges.
    """
    names = set(controls)
    for token in content["added_tokens"]:
        token["special"] = token["content"] in names
    model = content["model"]
    if "merges" in model:
        model["merges"] = [merge for merge in model["merges"] if _merges_into(merge) not in names]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.encode_special_tokens = True
    return tokenizer


def _merges_into(merge: str | list[str]) -> str:
    return merge.replace(" ", "") if isinstance(merge, str) else "".join(merge)


def _merged(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Join neighbouring texts, so that each stretch between specials is tokenised as one."""
    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
            continue
        if text:
            yield text
        text = ""
        yield piece
    if text:
        yield text


def _stripped(previous: Piece, text: str, following: Piece) -> str:
    if isinstance(previous, Control) and previous.rstrip:
        text = text.lstrip()
    if isinstance(following, Control) and following.lstrip:
        text = text.rstrip()
    return text
