"""From messages to prompt_token_ids: conversation template, tokenisation, image placeholders."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.errors import ContextLengthExceeded
from server.prompt.format import PromptFormat, Stop
from server.prompt.segments import ImageSlot, Words
from server.prompt.tools import spelt
from server.prompt.turns import Conversation


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

    def __init__(self, prompt_format: PromptFormat, max_model_len: int) -> None:
        self._format = prompt_format
        self._max_model_len = max_model_len

    @property
    def stop(self) -> Stop:
        """What ends an answer, beside the tokenizer's EOS."""
        return self._format.stop

    def build(
        self,
        conversation: Conversation,
        image_lengths: Sequence[int],
        tools: str | None = None,
        *,
        limited: bool = True,
    ) -> Prompt:
        """Tokenise a conversation, with `image_lengths[i]` placeholder tokens for image i.

        `tools` is what the model is told of the functions it may call. Unless `limited` the prompt
        may exceed the context. Raises `InvalidValue` or `ContextLengthExceeded`.
        """
        template = self._format.template
        conversation = spelt(conversation, tools, template.system)
        segments = template.render(conversation.system, conversation.turns)
        token_ids: list[int] = []
        placeholders: list[Placeholder] = []
        lengths = iter(image_lengths)
        for piece in self._format.tokenizer.tokenize(segments):
            if isinstance(piece, ImageSlot):
                placeholders.append(Placeholder(len(token_ids), next(lengths)))
                token_ids += [self._format.image_token_id] * placeholders[-1].length
            else:
                token_ids += piece
        if limited:
            self.check_length(len(token_ids), "messages")
        return Prompt(token_ids, placeholders)

    @property
    def image_token_id(self) -> int:
        """The id that is repeated for each of an image's rows."""
        return self._format.image_token_id

    def tokenize(self, text: str, *, special_tokens: bool = True) -> list[int]:
        """Tokenise somebody's words without a template; `special_tokens` puts the BOS in front."""
        pieces = self._format.tokenizer.tokenize([Words(text)], bos=special_tokens)
        return [each for piece in pieces if not isinstance(piece, ImageSlot) for each in piece]

    def detokenize(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids, special tokens by their names."""
        return self._format.tokenizer.decode(token_ids)

    def token_strings(self, token_ids: Sequence[int]) -> list[str]:
        """Return the vocabulary's own spelling of each id."""
        return self._format.tokenizer.token_strings(token_ids)

    def check_length(self, length: int, param: str) -> None:
        """Raise `ContextLengthExceeded`, naming `param`, for prompts that leave no room."""
        if length >= self._max_model_len:
            raise ContextLengthExceeded(
                f"The prompt has {length} tokens, image tokens included; the model's context is "
                f"{self._max_model_len} tokens and must also hold the answer.",
                param,
            )
