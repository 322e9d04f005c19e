"""From messages to prompt_token_ids: conversation template, tokenisation, image placeholders."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.errors import ContextLengthExceeded
from server.prompt.chat_template import ChatTemplate
from server.prompt.format import PromptFormat, Stop
from server.prompt.segments import ImageSlot, Segment, UntrustedText
from server.prompt.tools import PromptTools, render_tools_as_text
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

    def __init__(
        self, prompt_format: PromptFormat, max_model_len: int, *, native_tools: bool = False
    ) -> None:
        """With `native_tools` calls are read as the checkpoint's own template has them written."""
        self._format = prompt_format
        self._native_tools = native_tools
        self._max_model_len = max_model_len

    @property
    def stop(self) -> Stop:
        """What ends an answer, beside the tokenizer's EOS."""
        return self._format.stop

    def build(
        self,
        conversation: Conversation,
        image_lengths: Sequence[int],
        tools: PromptTools | None = None,
        template_options: Mapping[str, Any] | None = None,
        *,
        limited: bool = True,
    ) -> Prompt:
        """Tokenise a conversation, with `image_lengths[i]` placeholder tokens for image i.

        `template_options` go to the checkpoint's own template, if that is in use. Unless `limited`
        the prompt may exceed the context. Raises `InvalidValue` or `ContextLengthExceeded`.
        """
        segments = self._render(conversation, tools, template_options)
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
        pieces = self._format.tokenizer.tokenize([UntrustedText(text)], bos=special_tokens)
        return [each for piece in pieces if not isinstance(piece, ImageSlot) for each in piece]

    def detokenize(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids, special tokens by their names."""
        return self._format.tokenizer.decode(token_ids)

    def token_strings(self, token_ids: Sequence[int]) -> list[str]:
        """Return the vocabulary's own spelling of each id."""
        return self._format.tokenizer.token_strings(token_ids)

    def _render(
        self,
        conversation: Conversation,
        tools: PromptTools | None,
        options: Mapping[str, Any] | None,
    ) -> Iterable[Segment]:
        template = self._format.template
        if isinstance(template, ChatTemplate) and template.takes_tools and self._native_tools:
            return template.render(conversation, tools.tools if tools else (), options)
        description = None if tools is None else tools.description
        if isinstance(template, ChatTemplate):
            return template.render(render_tools_as_text(conversation, description, ""), (), options)
        conversation = render_tools_as_text(conversation, description, template.system)
        return template.render(conversation.system, conversation.turns)

    def check_length(self, length: int, param: str) -> None:
        """Raise `ContextLengthExceeded`, naming `param`, for prompts that leave no room."""
        if length >= self._max_model_len:
            raise ContextLengthExceeded(
                f"The prompt has {length} tokens, image tokens included; the model's context is "
                f"{self._max_model_len} tokens and must also hold the answer.",
                param,
            )
