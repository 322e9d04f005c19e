"""The path of one request: images, prompt, engine. Read this first.

media.load -> content key -> [cache] -> media.decode -> vision.encode
                                                              |
messages ------------------------------------------------> prompt -> engine -> outputs
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Final, TypeVar

from torch import Tensor

from server.answer.choice import Choice, ChoiceFactory
from server.answer.logprobs import LogprobReader
from server.answer.tool_calls import CallReader, PlainReader
from server.engine.base import Engine, EngineImage, Sampling
from server.errors import ImageError, InvalidValue, ModelNotFound, TooManyImages
from server.generation import Generation
from server.grammar.build import CallableFunctions, callable_functions, constraint
from server.grammar.checker import GrammarChecker
from server.image_budget import ImageBudget, ImageLimits
from server.media.load import LoadedImage, MediaLoader
from server.metrics import Metrics
from server.prompt.builder import Prompt, PromptBuilder
from server.prompt.format import Stop
from server.prompt.turns import Conversation, split_turns
from server.protocol.request import ChatCompletionRequest, ImageReference
from server.record import RequestRecord
from server.tool_format import describe
from server.vision.batcher import VisionBatcher
from server.vision.cache import EncodedImage, ImageEmbedsCache
from server.vocabulary import Vocabulary, check_token_ids

T = TypeVar("T")

# Below this, tokenising takes less time than handing the text to a thread.
INLINE_CHARACTERS: Final = 8192


class Pipeline:
    """Turns chat requests into streams of outputs."""

    def __init__(
        self,
        *,
        model_name: str,
        image_limits: ImageLimits,
        temperature: float,
        top_p: float,
        media: MediaLoader,
        vision: VisionBatcher,
        cache: ImageEmbedsCache[EncodedImage],
        prompt: PromptBuilder,
        grammars: GrammarChecker,
        vocabulary: Vocabulary,
        engine: Engine,
        metrics: Metrics,
    ) -> None:
        self._model_name = model_name
        self._image_limits = image_limits
        self._temperature = temperature
        self._top_p = top_p
        self._media = media
        self._vision = vision
        self._cache = cache
        self._prompt = prompt
        self._grammars = grammars
        self._vocabulary = vocabulary
        self._engine = engine
        self._metrics = metrics

    @property
    def defaults(self) -> tuple[float, float]:
        """Temperature and top_p of requests that wish none."""
        return self._temperature, self._top_p

    async def generate(
        self, request: ChatCompletionRequest, record: RequestRecord, tenant: str = ""
    ) -> Generation:
        """Do all that can fail and await the first output. Raises `ApiError`.

        Images are shared within a `tenant` only. Whoever gets the generation closes it.
        """
        conversation = self._check(request)
        calls = callable_functions(request)
        grammar = await self._grammar(request, calls)
        budget = self._image_limits.budget()
        images = await _all(self._image(each, tenant, budget) for each in request.images)
        record.notes.extend(budget.notes)
        lengths = [len(embeds) for _, embeds in images]
        prompt = await self._build_prompt(conversation, lengths, calls)
        record.submitted(len(prompt.token_ids), prompt.num_image_tokens)
        outputs = self._engine.generate(
            record.request_id,
            prompt.token_ids,
            _place(images, prompt),
            self._sampling(request, len(prompt.token_ids), grammar),
            stream=bool(request.stream),
        )
        new_choice = self._choices(request.num_logprobs, calls)
        generation = Generation(outputs, record, new_choice, request.n or 1)
        await generation.await_first()
        return generation

    def _check(self, request: ChatCompletionRequest) -> Conversation:
        """Refuse what needs no work to refuse."""
        if request.model != self._model_name:
            raise ModelNotFound(f"The model '{request.model}' does not exist.", "model")
        max_images = self._image_limits.max_images
        if len(request.images) > max_images:
            raise TooManyImages(
                f"The request holds {len(request.images)} images; the limit is {max_images}.",
                request.images[max_images].param,
            )
        check_token_ids(request, self._vocabulary.size)
        return split_turns(request.messages)

    async def _grammar(
        self, request: ChatCompletionRequest, calls: CallableFunctions | None
    ) -> str | None:
        """Return the proved grammar of the answer, if it must have one."""
        # How long the prompt is can only be told when its images are there.
        max_tokens = request.token_limit or self._engine.max_model_len // 2
        wanted = constraint(request, calls, max_tokens)
        if wanted is None:
            return None
        if request.min_tokens:
            raise InvalidValue(
                "'min_tokens' cannot be combined with tools or structured outputs.", "min_tokens"
            )
        await self._grammars.check(wanted)
        return wanted.grammar

    def _choices(self, top_logprobs: int | None, calls: CallableFunctions | None) -> ChoiceFactory:
        """Return how the answers are to be read."""

        def new_choice(index: int) -> Choice:
            tools = PlainReader() if calls is None else CallReader()
            logprobs = None
            if top_logprobs is not None:
                logprobs = LogprobReader(self._vocabulary, top_logprobs)
            return Choice(index, tools, logprobs, called=calls is not None and calls.named)

        return new_choice

    async def _image(
        self, reference: ImageReference, tenant: str, budget: ImageBudget
    ) -> tuple[str, Tensor]:
        """Return an image's content key and its image_embeds (num_image_tokens, hidden)."""
        try:
            image = await self._media.load(
                reference.url,
                low_detail=reference.low_detail,
                tenant=tenant,
                deadline=budget.deadline,
            )
            encoded = await self._cache.get_or_compute(image.key, lambda: self._encode(image))
            budget.spend(encoded, reference.param)
        except ImageError as error:
            self._metrics.image_refusals.labels(error.code).inc()
            raise error.at(reference.param) from None
        return image.key, encoded.image_embeds

    async def _encode(self, image: LoadedImage) -> EncodedImage:
        decoded = await self._media.decode(image.data, base_view_only=image.base_view_only)
        image_embeds = await self._vision.encode(decoded.views, decoded.image_size)
        return EncodedImage(image_embeds, decoded.image_size, decoded.frames)

    async def _build_prompt(
        self,
        conversation: Conversation,
        image_lengths: Sequence[int],
        calls: CallableFunctions | None,
    ) -> Prompt:
        tools = None
        if calls is not None:
            tools = describe(calls.functions, required=calls.required, parallel=calls.parallel)
        with self._metrics.stage("prompt"):
            if conversation.num_characters + len(tools or "") <= INLINE_CHARACTERS:
                return self._prompt.build(conversation, image_lengths, tools)
            return await asyncio.to_thread(self._prompt.build, conversation, image_lengths, tools)

    def _sampling(
        self, request: ChatCompletionRequest, prompt_length: int, grammar: str | None
    ) -> Sampling:
        """Take the request's wishes, else the checkpoint's; the answer fits into the context.

        The template's own stop ends an answer as EOS does, and is ignored where EOS is.
        """
        ignore_eos = bool(request.ignore_eos)
        stop = Stop((), ()) if ignore_eos else self._prompt.stop
        room = self._engine.max_model_len - prompt_length
        max_tokens = min(request.token_limit or room, room)
        return Sampling(
            max_tokens=max_tokens,
            temperature=_either(request.temperature, self._temperature),
            top_p=_either(request.top_p, self._top_p),
            top_k=max(request.top_k or 0, 0),
            min_p=request.min_p or 0,
            n=request.n or 1,
            presence_penalty=request.presence_penalty or 0,
            frequency_penalty=request.frequency_penalty or 0,
            repetition_penalty=request.repetition_penalty or 1,
            logit_bias=request.logit_bias,
            seed=request.seed,
            stop=[*request.stop_strings, *stop.strings],
            ignore_eos=ignore_eos,
            stop_token_ids=[*stop.token_ids, *(request.stop_token_ids or ())],
            min_tokens=min(request.min_tokens or 0, max_tokens),
            logprobs=request.num_logprobs,
            grammar=grammar,
        )


def _place(images: Iterable[tuple[str, Tensor]], prompt: Prompt) -> list[EngineImage]:
    return [
        EngineImage(key, placeholder.offset, embeds)
        for (key, embeds), placeholder in zip(images, prompt.placeholders, strict=True)
    ]


async def _all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await everything; the first error cancels the rest."""
    tasks = [asyncio.create_task(coroutine) for coroutine in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _either(wish: float | None, default: float) -> float:
    return default if wish is None else wish
