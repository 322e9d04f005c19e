"""A checkpoint's tokenizer, used as the released code uses it: in chunks between images.

`tokenizer_image_token` tokenises the text before and after `<image>` separately and keeps one BOS.
Within a chunk, transformers' LlamaTokenizer splits off special tokens first. SentencePiece then
puts a space before each remaining span of text (`legacy`), or before the chunk's first only.
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
from server.prompt.segments import MediaSlot, Segment, TemplateText, UntrustedText
from server.prompt.sentencepiece import SPACE, remove_prefix_space
from server.prompt.text_limit import measure_longest_token

# Added tokens of this form are control tokens even if the file does not mark them as special.
CONTROL_TOKEN: Final = re.compile(r"<[^\s<>]+>")
# Longer texts, and more ids than this, go to the library's batch methods, which release the
# interpreter lock; its other methods hold it, even in a thread.
MAX_LOCKED_LENGTH: Final = 8192


@dataclass(frozen=True, slots=True)
class ControlToken:
    """A token that untrusted text never becomes; it may absorb the white space around it."""

    token_id: int
    lstrip: bool
    rstrip: bool


PromptPart = str | ControlToken | MediaSlot


class PromptTokenizer:
    """Tokenises segments."""

    def __init__(self, tokenizer: Tokenizer, text: TextConfig) -> None:
        """Raise `CheckpointError` if the tokenizer lacks its own BOS."""
        content = json.loads(tokenizer.to_str())
        added = [token for token in content["added_tokens"] if _is_control_token(token)]
        self._control_tokens = {
            token["content"]: ControlToken(token["id"], token["lstrip"], token["rstrip"])
            for token in added
        }
        self._control_pattern = _compile_control_pattern(self._control_tokens)
        self.max_chars_per_token = measure_longest_token(content)
        self._prefix_space = remove_prefix_space(content)
        if self._prefix_space != "none" and text.legacy is not None:
            self._prefix_space = "each" if text.legacy else "first"
        self._tokenizer = _disable_control_tokens(content, self._control_tokens)
        self._bos = self._find_bos(tokenizer, text)

    def token_to_id(self, token: str) -> int | None:
        """Return the id of a control token, None if the tokenizer does not have it."""
        control = self._control_tokens.get(token)
        return None if control is None else control.token_id

    def tokenize(
        self, segments: Iterable[Segment], *, bos: bool = True
    ) -> Iterator[list[int] | MediaSlot]:
        """Yield chunks of ids and the image slots between them, after one BOS.

        Without `bos`, the chunks have a BOS only if the template does.
        """
        parts = list(_merge_text(self._split_segments(segments)))
        if bos and self._bos is not None and (not parts or parts[0] != self._bos):
            yield [self._bos.token_id]
        previous: PromptPart = MediaSlot()  # a chunk starts with the prompt, and after each image
        for part, following in pairwise([*parts, ""]):
            match part:
                case ControlToken(token_id):
                    yield [token_id]
                case MediaSlot():
                    yield part
                case text:
                    text = _strip_beside_control_tokens(previous, text, following)
                    yield self._encode(text, previous)
            previous = part

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids, with the names of special tokens."""
        text: str
        if len(token_ids) <= MAX_LOCKED_LENGTH:
            text = self._tokenizer.decode(token_ids, skip_special_tokens=False)
        else:
            (text,) = self._tokenizer.decode_batch([token_ids], skip_special_tokens=False)
        return text

    def convert_ids_to_tokens(self, token_ids: Sequence[int]) -> list[str]:
        """Return each id's token as the vocabulary has it, empty for ids without one."""
        return [self._tokenizer.id_to_token(token_id) or "" for token_id in token_ids]

    def _split_segments(self, segments: Iterable[Segment]) -> Iterator[PromptPart]:
        for segment in segments:
            match segment:
                case MediaSlot():
                    yield segment
                case TemplateText(text):
                    for part in self._control_pattern.split(text):
                        yield self._control_tokens.get(part, part)
                case UntrustedText(text):
                    yield text

    def _encode(self, text: str, previous: PromptPart) -> list[int]:
        if not text:
            return []
        starts_chunk = isinstance(previous, MediaSlot)
        if self._prefix_space == "each" or (self._prefix_space == "first" and starts_chunk):
            text = SPACE + text
        if len(text) <= MAX_LOCKED_LENGTH:
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
        else:
            (encoding,) = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        ids: list[int] = encoding.ids
        return ids

    def _find_bos(self, tokenizer: Tokenizer, text: TextConfig) -> ControlToken | None:
        """Return the BOS if this tokenizer adds one."""
        if text.bos_token is None or text.add_bos_token is False:
            return None
        bos = self._control_tokens.get(text.bos_token)
        if bos is None:
            raise CheckpointError(f"the tokenizer has no token {text.bos_token!r}")
        adds_bos = text.add_bos_token or bos.token_id in tokenizer.encode("").ids[:1]
        return bos if adds_bos else None


def read_tokenizer(path: Path) -> Tokenizer:
    """Load a checkpoint's tokenizer. Raises `CheckpointError`."""
    try:
        return Tokenizer.from_file(str(path / "tokenizer.json"))
    except Exception as error:  # the library raises no narrower class
        raise CheckpointError(f"{path} has no usable tokenizer.json: {error}") from None


def _is_control_token(token: dict[str, Any]) -> bool:
    return bool(token["special"] or CONTROL_TOKEN.fullmatch(token["content"]))


def _compile_control_pattern(control_tokens: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern for control tokens, the longest first; it may match nothing."""
    longest_first = sorted(control_tokens, key=len, reverse=True)
    return re.compile(
        "(" + "|".join(map(re.escape, longest_first)) + ")" if longest_first else "(?!)"
    )


def _disable_control_tokens(content: dict[str, Any], control_tokens: Iterable[str]) -> Tokenizer:
    """Return a tokenizer that never encodes text to a control token.

    SentencePiece never merges text into one either, but a converted merge list may do so.
    """
    names = set(control_tokens)
    for token in content["added_tokens"]:
        token["special"] = token["content"] in names
    model = content["model"]
    if "merges" in model:
        model["merges"] = [merge for merge in model["merges"] if _apply_merge(merge) not in names]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.encode_special_tokens = True
    return tokenizer


def _apply_merge(merge: str | list[str]) -> str:
    return merge.replace(" ", "") if isinstance(merge, str) else "".join(merge)


def _merge_text(parts: Iterable[PromptPart]) -> Iterator[PromptPart]:
    """Join consecutive texts, to tokenise each span between control tokens at once."""
    texts: list[str] = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        if text := "".join(texts):
            yield text
        texts.clear()
        yield part
    if text := "".join(texts):
        yield text


def _strip_beside_control_tokens(previous: PromptPart, text: str, following: PromptPart) -> str:
    if isinstance(previous, ControlToken) and previous.rstrip:
        text = text.lstrip()
    if isinstance(following, ControlToken) and following.lstrip:
        text = text.rstrip()
    return text
