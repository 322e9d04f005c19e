"""Prompts with image embeddings, and sampling parameters, as vLLM takes them."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch
from vllm.exceptions import VLLMValidationError
from vllm.inputs.engine import MultiModalInput, TokensInput, mm_input, tokens_input
from vllm.multimodal.inputs import (
    MultiModalBatchedField,
    MultiModalFieldElem,
    MultiModalKwargsItem,
    MultiModalKwargsItems,
    MultiModalSharedField,
    PlaceholderRange,
)
from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

from server.engine.base import EngineImage, SamplingOptions
from server.engine.vllm.arguments import GRAMMAR_BACKEND

BAD_WORDS: Final = "bad_words"
# vLLM's own limits: at every step it compares all of these.
MAX_BAD_FORMS: Final = 128
MAX_BAD_TOKENS: Final = 1024


class ValidatedSamplingParams(SamplingParams):  # type: ignore[misc]  # vLLM is Any to mypy
    """Sampling parameters whose grammar a worker process has validated.

    vLLM would compile the grammar once more on the event loop, only to validate it. It would also
    ban a word with a leading space only if that form has as many tokens as the word alone.
    """

    def update_from_tokenizer(self, tokenizer: Any) -> None:
        """Tokenise the bad words, each with and without a leading space, unless already done.

        Raises `VLLMValidationError` for too many.
        """
        if not self.bad_words or self.bad_words_token_ids is not None:
            return
        texts = [space + word.lstrip() for word in self.bad_words for space in ("", " ")]
        forms = {tuple(tokenizer.encode(text=each, add_special_tokens=False)) for each in texts}
        forms.discard(())
        if len(forms) > MAX_BAD_FORMS or sum(map(len, forms)) > MAX_BAD_TOKENS:
            raise VLLMValidationError(
                f"These have more than {MAX_BAD_FORMS} forms, with and without a space in front,"
                f" or more than {MAX_BAD_TOKENS} tokens ('bad_words').",
                parameter=BAD_WORDS,
            )
        self._bad_words_token_ids = [list(form) for form in sorted(forms)]

    def _validate_structured_outputs(self, *_: object) -> None:
        if self.structured_outputs is not None:
            self.structured_outputs._backend = GRAMMAR_BACKEND


def build_engine_input(
    token_ids: list[int],
    images: Sequence[EngineImage],
    hidden_size: int,
    cache_salt: str | None = None,
    *,
    max_item_tokens: int,
) -> TokensInput | MultiModalInput:
    """Return vLLM's input for a prompt and its images.

    vLLM takes all tokens of an item in one step, so longer ones (videos) are split into items of at
    most `max_item_tokens`. The salt enters the hash of the prompt's first block, and so the hashes
    of all its blocks. Raises `ValueError` if embeddings are not (num_image_tokens, hidden_size):
    vLLM does not check that and would crash.
    """
    if not images:
        return tokens_input(token_ids, cache_salt=cache_salt)
    for image in images:
        _check_shape(image, hidden_size)
    items = [item for image in images for item in _split(image, max_item_tokens)]
    return mm_input(
        token_ids,
        MultiModalKwargsItems({"image": [_build_kwargs_item(item) for item in items]}),
        mm_hashes={"image": [item.key for item in items]},
        mm_placeholders={
            "image": [PlaceholderRange(item.offset, len(item.image_embeds)) for item in items]
        },
        cache_salt=cache_salt,
    )


def build_sampling_params(sampling: SamplingOptions, *, stream: bool) -> SamplingParams:
    """Return vLLM's parameters, with `n` 1 for greedy decoding (see `is_greedy`)."""
    grammar = sampling.grammar
    return ValidatedSamplingParams(
        n=1 if is_greedy(sampling) else sampling.n,
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        min_p=sampling.min_p,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        repetition_penalty=sampling.repetition_penalty,
        logit_bias=dict(sampling.logit_bias) if sampling.logit_bias else None,
        seed=sampling.seed,
        stop=list(sampling.stop),
        skip_special_tokens=sampling.skip_special_tokens,
        include_stop_str_in_output=sampling.include_stop_str_in_output,
        bad_words=list(sampling.bad_words) or None,
        allowed_token_ids=sampling.allowed_token_ids and list(sampling.allowed_token_ids),
        stop_token_ids=list(sampling.stop_token_ids),
        ignore_eos=sampling.ignore_eos,
        min_tokens=sampling.min_tokens,
        logprobs=sampling.logprobs,
        prompt_logprobs=sampling.prompt_logprobs,
        structured_outputs=grammar and StructuredOutputsParams(grammar=grammar),
        output_kind=RequestOutputKind.DELTA if stream else RequestOutputKind.FINAL_ONLY,
    )


def is_greedy(sampling: SamplingOptions) -> bool:
    """Whether decoding is greedy: all `n` completions are the same, and one is enough.

    vLLM refuses to decode more than one.
    """
    return sampling.temperature == 0


def _check_shape(image: EngineImage, hidden_size: int) -> None:
    embeds = image.image_embeds
    if embeds.ndim != 2 or embeds.shape[1] != hidden_size:
        raise ValueError(f"image_embeds of shape {tuple(embeds.shape)}")


def _split(image: EngineImage, max_tokens: int) -> Iterator[EngineImage]:
    embeds = image.image_embeds
    if len(embeds) <= max_tokens:
        yield image
        return
    for start in range(0, len(embeds), max_tokens):
        part = embeds[start : start + max_tokens]
        yield EngineImage(f"{image.key}+{start}", image.offset + start, part)


def _build_kwargs_item(image: EngineImage) -> MultiModalKwargsItem:
    """Wrap an image for vLLM, which batches only images that share the value of a shared field.

    The shared value is the number of image tokens: a batch of unequal ones would kill the engine.
    """
    num_image_tokens = torch.tensor(len(image.image_embeds))
    return MultiModalKwargsItem(
        {
            "image_embeds": MultiModalFieldElem(image.image_embeds, MultiModalBatchedField()),
            "num_image_tokens": MultiModalFieldElem(
                num_image_tokens, MultiModalSharedField(batch_size=1)
            ),
        }
    )
