"""From messages to prompt_token_ids: conversation template, tokenisation, image placeholders."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from server.checkpoint import CheckpointError, TextConfig
from server.errors import ContextLengthExceeded, InvalidValue
from server.protocol.messages import Message

VICUNA_SYSTEM: Final = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)


@dataclass(frozen=True, slots=True)
class Special:
    """A special token, which no text of a client can spell."""

    token: str


@dataclass(frozen=True, slots=True)
class ImageSlot:
    """Where the next image's embeddings go."""


Piece = str | Special | ImageSlot


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker's words, after neighbouring messages of one role have been joined."""

    role: str
    text: str
    num_images: int


@dataclass(frozen=True, slots=True)
class Placeholder:
    """The rows of one image in `token_ids`."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the engine prefills; `placeholders` are in the order of the request's images."""

    token_ids: list[int]
    placeholders: list[Placeholder]

    @property
    def num_image_tokens(self) -> int:
        """Tokens that stand for images."""
        return sum(placeholder.length for placeholder in self.placeholders)


class PromptBuilder:
    """Renders conversations as the checkpoint was trained on them."""

    def __init__(self, tokenizer: Tokenizer, text: TextConfig, max_model_len: int) -> None:
        # A client's "</s>" or "<image>" is text, never the token of that name.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self._text = text
        self._render = _template(text.conv_mode)
        self._max_model_len = max_model_len

    def build(self, messages: Sequence[Message], image_lengths: Sequence[int]) -> Prompt:
        """Tokenise a conversation, with `image_lengths[i]` placeholder tokens for image i.

        Text pieces on either side of an image or a special token are tokenised separately and one
        BOS leads, as in `tokenizer_image_token` of the released code.
        Raises `InvalidValue` or `ContextLengthExceeded`.
        """
        token_ids: list[int] = []
        placeholders: list[Placeholder] = []
        lengths = iter(image_lengths)
        for piece in self._pieces(messages):
            match piece:
                case ImageSlot():
                    length = next(lengths)
                    placeholders.append(Placeholder(len(token_ids), length))
                    token_ids.extend([self._text.image_token_id] * length)
                case Special(token):
                    token_ids.append(self._token_id(token))
                case text:
                    token_ids.extend(self._tokenizer.encode(text, add_special_tokens=False).ids)
        self._check_length(len(token_ids))
        return Prompt(token_ids, placeholders)

    def _pieces(self, messages: Sequence[Message]) -> list[Piece]:
        system, turns = split_turns(messages)
        pieces = self._render(system, turns, Special(self._text.eos_token))
        return [Special(self._text.bos_token), *_join_texts(pieces)]

    def _token_id(self, token: str) -> int:
        token_id = self._tokenizer.token_to_id(token)
        if token_id is None:
            raise CheckpointError(f"the tokenizer has no token {token!r}")
        return token_id

    def _check_length(self, length: int) -> None:
        if length >= self._max_model_len:
            raise ContextLengthExceeded(
                f"The prompt has {length} tokens, image tokens included; the model's context is "
                f"{self._max_model_len} tokens and must also hold the answer.",
                "messages",
            )


def read_tokenizer(path: Path) -> Tokenizer:
    """Load a checkpoint's tokenizer. Raises `CheckpointError`."""
    try:
        return Tokenizer.from_file(str(path / "tokenizer.json"))
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(f"{path} has no usable tokenizer.json: {error}") from None


def split_turns(messages: Sequence[Message]) -> tuple[str | None, list[Turn]]:
    """Separate the system text (None if there is none) from the turns.

    Neighbouring messages of one role become one turn. Raises `InvalidValue` where the
    conversation does not end with the user, or an image comes without words.
    """
    system: list[str] = []
    turns: list[Turn] = []
    last_index = 0
    for index, message in enumerate(messages):
        if message.role in ("system", "developer"):
            system.append(message.text)
            continue
        turn = Turn(message.role, message.text, len(message.images))
        if turns and turns[-1].role == message.role:
            turn = _joined(turns.pop(), turn)
        elif turns:
            _check_has_text(turns[-1], last_index)
        turns.append(turn)
        last_index = index
    if not turns or turns[-1].role != "user":
        raise InvalidValue("The last message must be the user's.", "messages")
    _check_has_text(turns[-1], last_index)
    return "\n".join(system) if system else None, turns


def _joined(first: Turn, second: Turn) -> Turn:
    text = "\n".join(text for text in (first.text, second.text) if text)
    return Turn(first.role, text, first.num_images + second.num_images)


def _check_has_text(turn: Turn, index: int) -> None:
    if turn.num_images and not turn.text.strip():
        raise InvalidValue(
            "An image needs a question: the message holds no text.", f"messages[{index}].content"
        )


def _join_texts(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Merge neighbouring texts, so that each stretch between specials is tokenised as one."""
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


def vicuna_v1(system: str | None, turns: Sequence[Turn], eos: Special) -> Iterator[Piece]:
    """Render LLaVA-1.5's template: `{system} USER: {q} ASSISTANT: {a}</s>USER: …`."""
    system = VICUNA_SYSTEM if system is None else system
    yield f"{system} " if system else ""
    for turn in turns:
        if turn.role == "user":
            yield "USER: "
            for _ in range(turn.num_images):
                yield ImageSlot()
                yield "\n"
            yield f"{turn.text} "
        else:
            yield f"ASSISTANT: {turn.text}"
            yield eos
    yield "ASSISTANT:"


Template = Callable[[str | None, Sequence[Turn], Special], Iterator[Piece]]

TEMPLATES: Final[dict[str, Template]] = {"vicuna_v1": vicuna_v1}


def _template(conv_mode: str) -> Template:
    try:
        return TEMPLATES[conv_mode]
    except KeyError:
        raise CheckpointError(f"the conversation template {conv_mode!r} is not supported") from None
