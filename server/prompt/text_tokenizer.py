"""Tokenises and detokenises text without a template, for text completions and `/tokenize`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from server.checkpoint.vocabulary import Vocabulary
from server.concurrency import run_in_thread_if_large
from server.errors import InvalidValue
from server.prompt.builder import PromptBuilder
from server.prompt.token_ids import check_prompt_token_ids
from server.protocol.completions.request import CompletionRequest
from server.telemetry.metrics import Metrics

# Shorter texts, and fewer ids, are tokenised on the event loop.
INLINE_CHARACTERS: Final = 8192


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """A prompt's token ids and its text.

    `prefix_length` counts the characters that the ids decode to before the text: SentencePiece puts
    a space there.
    """

    token_ids: list[int]
    text: str
    prefix_length: int = 0


class TextTokenizer:
    """Tokenises text that is not rendered by a conversation template."""

    def __init__(self, prompt: PromptBuilder, vocabulary: Vocabulary, metrics: Metrics) -> None:
        self._prompt = prompt
        self._vocabulary = vocabulary
        self._metrics = metrics

    async def tokenize_prompts(self, request: CompletionRequest) -> list[TextPrompt]:
        """Return a request's prompts as token ids; texts are tokenised.

        Raises `InvalidValue` or `ContextLengthExceeded`.
        """
        prompts = request.prompts
        keep_last = self._prompt.resolve_truncation(request, request.token_limit)
        for prompt, param in prompts:
            if isinstance(prompt, str):
                self._prompt.check_characters(len(prompt), param, enforce_limit=keep_last is None)
        size = sum(len(prompt) for prompt, _ in prompts)
        with self._metrics.stage("prompt"):
            return await run_in_thread_if_large(
                size,
                INLINE_CHARACTERS,
                lambda: [
                    self._build_text_prompt(
                        prompt, param, keep_last, special_tokens=request.add_special_tokens
                    )
                    for prompt, param in prompts
                ],
            )

    async def tokenize(self, text: str, *, special_tokens: bool = True) -> list[int]:
        """Return the ids of a text; names of special tokens in it are not parsed.

        Raises `InvalidValue` for text far beyond the context.
        """
        self._prompt.check_characters(len(text), "prompt", enforce_limit=False)
        with self._metrics.stage("prompt"):
            return await run_in_thread_if_large(
                len(text),
                INLINE_CHARACTERS,
                lambda: self._prompt.tokenize(text, special_tokens=special_tokens),
            )

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids. Raises `InvalidValue`."""
        return await run_in_thread_if_large(
            len(token_ids), INLINE_CHARACTERS, lambda: self._check_and_detokenize(token_ids)
        )

    async def convert_ids_to_tokens(self, token_ids: Sequence[int]) -> list[str]:
        """Return each id's token as in the vocabulary, like transformers' method of this name."""
        return await run_in_thread_if_large(
            len(token_ids), INLINE_CHARACTERS, lambda: self._prompt.convert_ids_to_tokens(token_ids)
        )

    def _check_and_detokenize(self, token_ids: Sequence[int]) -> str:
        check_prompt_token_ids(token_ids, self._vocabulary.size, "tokens")
        return self._prompt.detokenize(token_ids)

    def _build_text_prompt(
        self,
        prompt: str | list[int],
        param: str,
        keep_last: int | None,
        *,
        special_tokens: bool,
    ) -> TextPrompt:
        if isinstance(prompt, str):
            token_ids = self._prompt.tokenize(prompt, special_tokens=special_tokens)
        else:
            token_ids = prompt if keep_last is None else prompt[-keep_last:]
            self._prompt.check_length(len(token_ids), param)
            check_prompt_token_ids(token_ids, self._vocabulary.size, param)
            self._check_no_media(token_ids, param)
        if not token_ids:
            raise InvalidValue("The prompt has no tokens.", param)
        is_whole = keep_last is None or len(token_ids) <= keep_last
        if keep_last is not None:
            token_ids = token_ids[-keep_last:]
        self._prompt.check_length(len(token_ids), param)
        text = self._decode_without_special_tokens(token_ids)
        if isinstance(prompt, str) and is_whole:
            return TextPrompt(token_ids, prompt, max(len(text) - len(prompt), 0))
        return TextPrompt(token_ids, text)

    def _decode_without_special_tokens(self, token_ids: Sequence[int]) -> str:
        vocabulary = self._vocabulary
        visible = (each for each in token_ids if not vocabulary.is_special(each))
        return b"".join(map(vocabulary.token_bytes, visible)).decode(errors="replace")

    def _check_no_media(self, token_ids: Sequence[int], param: str) -> None:
        for modality, token_id in self._prompt.media_token_ids.items():
            if token_id in token_ids:
                raise InvalidValue(
                    f"This is the {modality} token, and a text completion has no {modality}s.",
                    f"{param}[{token_ids.index(token_id)}]",
                )
