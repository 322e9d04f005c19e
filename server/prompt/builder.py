"""Builds prompt_token_ids: conversation template, tokenisation, image placeholders."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from server.errors import ContextLengthExceeded, InvalidValue
from server.prompt.chat_template import ChatTemplate
from server.prompt.format import PromptFormat, StopCriteria
from server.prompt.prompt import Placeholder, Prompt
from server.prompt.rendering import render_chat_template
from server.prompt.segments import MediaSlot, Segment, UntrustedText, count_characters
from server.prompt.tools import PromptTools, render_tools_as_text
from server.prompt.truncation import resolve_truncation, truncate_prompt
from server.prompt.turns import Conversation
from server.protocol.sampling import SamplingFields

# Characters that `/tokenize` always takes: its prompts may exceed the context.
MAX_TOKENIZED_CHARACTERS: Final = 1_000_000


class PromptBuilder:
    """Builds prompts in the format that the checkpoint was trained with."""

    def __init__(
        self, prompt_format: PromptFormat, max_model_len: int, *, native_tools: bool = False
    ) -> None:
        """With `native_tools`, a chat template that supports tools renders them itself."""
        self._format = prompt_format
        self.native_tools = native_tools
        self._max_model_len = max_model_len

    @property
    def stop(self) -> StopCriteria:
        """The stop criteria besides the tokenizer's EOS."""
        return self._format.stop

    def build(
        self,
        conversation: Conversation,
        image_token_counts: Sequence[int],
        tools: PromptTools | None = None,
        template_options: Mapping[str, Any] | None = None,
        *,
        video_token_counts: Sequence[int] = (),
        enforce_limit: bool = True,
        keep_last: int | None = None,
    ) -> Prompt:
        """Tokenise a conversation, with `image_token_counts[i]` image tokens for image i.

        Video i gets `video_token_counts[i]` tokens. The last `keep_last` tokens of the prompt are
        kept, by default all. `template_options` are passed to the checkpoint's own chat template,
        if that is in use. Raises `InvalidValue`, or with `enforce_limit` `ContextLengthExceeded`.
        """
        segments = self._render(conversation, tools, template_options)
        return self.assemble(
            segments,
            image_token_counts,
            video_token_counts=video_token_counts,
            enforce_limit=enforce_limit,
            keep_last=keep_last,
        )

    def assemble(
        self,
        segments: Sequence[Segment],
        image_token_counts: Sequence[int],
        *,
        video_token_counts: Sequence[int] = (),
        enforce_limit: bool = True,
        keep_last: int | None = None,
    ) -> Prompt:
        """Tokenise rendered segments and keep the last tokens, by default all; see `build`."""
        self.check_characters(
            count_characters(segments),
            "messages",
            enforce_limit=enforce_limit and keep_last is None,
        )
        token_ids: list[int] = []
        placeholders: list[Placeholder] = []
        counts = {"image": iter(image_token_counts), "video": iter(video_token_counts)}
        for chunk in self._format.tokenizer.tokenize(segments):
            if isinstance(chunk, MediaSlot):
                length = next(counts[chunk.modality])
                placeholders.append(Placeholder(len(token_ids), length, chunk.modality))
                token_ids += [self._format.image_token_id] * length
            else:
                token_ids += chunk
        prompt = truncate_prompt(Prompt(token_ids, placeholders), keep_last)
        if enforce_limit:
            self.check_length(len(prompt.token_ids), "messages")
        return prompt

    def resolve_truncation(self, request: SamplingFields, token_limit: int | None) -> int | None:
        """Return how many of the prompt's last tokens a request keeps, None for all.

        Raises `InvalidValue`.
        """
        return resolve_truncation(request, token_limit, self._max_model_len)

    @property
    def media_token_ids(self) -> Mapping[str, int]:
        """The ids of the image token and the video token, by modality."""
        ids = {"image": self._format.image_token_id, "video": self._format.video_token_id}
        return {modality: each for modality, each in ids.items() if each is not None}

    def tokenize(self, text: str, *, special_tokens: bool = True) -> list[int]:
        """Tokenise text without a template; `special_tokens` adds the BOS."""
        chunks = self._format.tokenizer.tokenize([UntrustedText(text)], bos=special_tokens)
        return [each for chunk in chunks if not isinstance(chunk, MediaSlot) for each in chunk]

    def detokenize(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids, with the names of special tokens."""
        return self._format.tokenizer.decode(token_ids)

    def convert_ids_to_tokens(self, token_ids: Sequence[int]) -> list[str]:
        """Return each id's token as in the vocabulary, like transformers' method of this name."""
        return self._format.tokenizer.convert_ids_to_tokens(token_ids)

    def _render(
        self,
        conversation: Conversation,
        tools: PromptTools | None,
        options: Mapping[str, Any] | None,
    ) -> Sequence[Segment]:
        """Render a conversation with the checkpoint's template. Raises `InvalidValue`."""
        template = self._format.template
        if isinstance(template, ChatTemplate):
            return render_chat_template(
                template, conversation, tools, options, native_tools=self.native_tools
            )
        description = None if tools is None else tools.description
        conversation = render_tools_as_text(conversation, description, template.system)
        return template.render(conversation.system, conversation.turns, conversation.ending)

    def check_characters(self, count: int, param: str, *, enforce_limit: bool = True) -> None:
        """Refuse text with too many characters for the context, before any work.

        The limit is the context's tokens times the longest token. Raises `ContextLengthExceeded`,
        naming `param`, or without `enforce_limit` `InvalidValue` at a multiple of the limit.
        """
        limit = self._max_model_len * self._format.tokenizer.max_chars_per_token
        if enforce_limit and count > limit:
            raise ContextLengthExceeded(
                f"The prompt has {count} characters; the model's context of "
                f"{self._max_model_len} tokens holds at most {limit}.",
                param,
            )
        limit = max(4 * limit, MAX_TOKENIZED_CHARACTERS)
        if count > limit:
            raise InvalidValue(f"The prompt has {count} characters; the limit is {limit}.", param)

    def check_length(self, length: int, param: str) -> None:
        """Raise `ContextLengthExceeded`, naming `param`, if no token of an answer would fit."""
        if length >= self._max_model_len:
            raise ContextLengthExceeded(
                f"The prompt has {length} tokens, image tokens included; the model's context is "
                f"{self._max_model_len} tokens and must also hold the answer.",
                param,
            )
