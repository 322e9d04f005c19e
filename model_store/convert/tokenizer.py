"""A release's tokenizer as tokenizer.json, with LLaVA's special tokens added."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tokenizers import AddedToken, Tokenizer, processors

from model_store.convert.json_file import Json, read_json
from model_store.convert.sentencepiece_model import build_tokenizer, read_sentencepiece
from model_store.errors import ConversionError

IMAGE_TOKEN, VIDEO_TOKEN, PAD_TOKEN = "<image>", "<video>", "<pad>"
_PATCH_TOKEN, _START_TOKEN, _END_TOKEN = "<im_patch>", "<im_start>", "<im_end>"
_NAMES: Final = ("bos_token", "eos_token", "unk_token", "pad_token")


@dataclass(frozen=True, slots=True)
class ReleasedTokenizer:
    """The complete tokenizer and its special tokens."""

    tokenizer: Tokenizer
    bos_token: str | None
    eos_token: str
    unk_token: str | None
    pad_token: str
    add_bos_token: bool

    @property
    def num_tokens(self) -> int:
        """The highest id plus one."""
        return max(self.tokenizer.get_vocab(with_added_tokens=True).values()) + 1

    def has_token(self, token: str) -> bool:
        """Whether the vocabulary has this token."""
        return self.tokenizer.token_to_id(token) is not None

    def token_id(self, token: str) -> int:
        """Return the id of a token, which must exist."""
        token_id = self.tokenizer.token_to_id(token)
        assert token_id is not None  # noqa: S101 - added or checked on reading
        return token_id

    def build_tokenizer_config(self, context: int) -> Json:
        """Return tokenizer_config.json. Its class loads tokenizer.json unchanged."""
        return {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_bos_token": self.add_bos_token,
            "add_eos_token": False,
            "bos_token": self.bos_token,
            "eos_token": self.eos_token,
            "unk_token": self.unk_token,
            "pad_token": self.pad_token,
            "image_token": IMAGE_TOKEN,
            "extra_special_tokens": {"image_token": IMAGE_TOKEN},
            "clean_up_tokenization_spaces": False,
            "model_max_length": context,
            "padding_side": "left",
        }


def read_tokenizer(folder: Path, config: Json, *, has_video: bool = False) -> ReleasedTokenizer:
    """Read the tokenizer as the released code loads it, and add LLaVA's tokens.

    With `has_video` they include `<video>`.
    `tokenizer.model` takes precedence, since the released code uses the slow tokenizer. Without it
    tokenizer.json is used. Raises `ConversionError`.
    """
    settings = read_json(folder / "tokenizer_config.json", required=False)
    specials = read_json(folder / "special_tokens_map.json", required=False) | settings
    is_slow = (folder / "tokenizer.model").is_file()
    if is_slow:
        tokenizer, names = _convert_sentencepiece(folder, settings)
    else:
        tokenizer, names = _read_tokenizer_json(folder), {}
    names |= {key: _token_content(specials[key]) for key in _NAMES if specials.get(key)}
    _add_recorded_tokens(tokenizer, folder, settings)
    pad = _add_special_tokens(tokenizer, names, config)
    if has_video:
        tokenizer.add_special_tokens([AddedToken(VIDEO_TOKEN, normalized=False, special=True)])
    bos, eos = names.get("bos_token"), names.get("eos_token")
    add_bos = bool(settings.get("add_bos_token", is_slow or _adds_bos(tokenizer, bos)))
    missing = "eos_token" if eos is None else "bos_token"
    if eos is None or (bos is None and add_bos):
        raise ConversionError(f"the tokenizer of {folder} has no {missing}")
    if is_slow and bos is not None and add_bos:
        tokenizer.post_processor = _build_bos_processor(bos, tokenizer.token_to_id(bos))
    return ReleasedTokenizer(tokenizer, bos, eos, names.get("unk_token"), pad, add_bos)


def _adds_bos(tokenizer: Tokenizer, bos: str | None) -> bool:
    """Whether a tokenizer.json adds the BOS itself, as Llama 3's does; slow tokenizers do."""
    return bos is not None and tokenizer.token_to_id(bos) in tokenizer.encode("").ids[:1]


def _build_bos_processor(bos: str, bos_id: int | None) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(
        single=f"{bos}:0 $A:0",
        pair=f"{bos}:0 $A:0 {bos}:1 $B:1",
        special_tokens=[(bos, bos_id)],
    )


def _convert_sentencepiece(folder: Path, settings: Json) -> tuple[Tokenizer, dict[str, str]]:
    proto = read_sentencepiece(folder / "tokenizer.model")
    spec = proto.trainer_spec
    ids = {"bos_token": spec.bos_id, "eos_token": spec.eos_id, "unk_token": spec.unk_id}
    names = {key: proto.pieces[token_id].piece for key, token_id in ids.items() if token_id >= 0}
    # transformers' slow tokenizer defaults to legacy.
    return build_tokenizer(proto, legacy=settings.get("legacy") is not False), names


def _read_tokenizer_json(folder: Path) -> Tokenizer:
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ConversionError(f"{folder} has no tokenizer.model and no tokenizer.json")
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise ConversionError(f"{file} is not a tokenizer: {error}") from None


def _add_recorded_tokens(tokenizer: Tokenizer, folder: Path, settings: Json) -> None:
    """Add the tokens that training added, and check that they get the same ids."""
    for token_id, token in sorted(
        _read_recorded_tokens(folder, settings), key=lambda item: item[0]
    ):
        if token.special:
            tokenizer.add_special_tokens([token])
        else:
            tokenizer.add_tokens([token])
        if tokenizer.token_to_id(token.content) != token_id:
            raise ConversionError(
                f"the tokenizer of {folder} gives {token.content!r} the id "
                f"{tokenizer.token_to_id(token.content)}, its settings say {token_id}"
            )


def _read_recorded_tokens(folder: Path, settings: Json) -> list[tuple[int, AddedToken]]:
    """Return the added tokens and their ids.

    transformers 4.34 moved them from a file of their own into tokenizer_config.json.
    """
    if decoder := settings.get("added_tokens_decoder"):
        return [
            (
                int(token_id),
                AddedToken(
                    token["content"],
                    lstrip=bool(token.get("lstrip")),
                    rstrip=bool(token.get("rstrip")),
                    normalized=False,
                    special=bool(token.get("special")),
                ),
            )
            for token_id, token in decoder.items()
        ]
    added = read_json(folder / "added_tokens.json", required=False)
    return [
        (token_id, AddedToken(text, normalized=False, special=True))
        for text, token_id in added.items()
    ]


def _add_special_tokens(tokenizer: Tokenizer, names: dict[str, str], config: Json) -> str:
    """Add the released code's tokens, `<image>` and a pad token; return the pad token."""
    tokens = [names[key] for key in _NAMES if key in names]
    if config.get("mm_use_im_patch_token", True):
        tokens.append(_PATCH_TOKEN)
    if config.get("mm_use_im_start_end", False):
        tokens += [_START_TOKEN, _END_TOKEN]
    pad = names.get("pad_token", PAD_TOKEN)
    # Padding is masked: a pad token with another meaning would be masked too.
    if pad in (names.get("unk_token"), names.get("eos_token"), names.get("bos_token")):
        pad = PAD_TOKEN
    for token in (*tokens, IMAGE_TOKEN, pad):
        tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True)])
    return pad


def _token_content(token: Any) -> str:
    return str(token["content"]) if isinstance(token, dict) else str(token)
