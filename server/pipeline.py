"""The path of one request: images, prompt, engine. Read this first.

media.load -> content key -> [cache] -> media.decode -> vision.encode
                                                              |
messages ------------------------------------------------> prompt -> engine -> outputs
                                                              |
prompts of a text completion, as they are --------------------+
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence

from torch import Tensor

from server.checkpoint.vocabulary import Vocabulary
from server.completions.batch_generation import BatchGeneration
from server.completions.submission import CompletionSubmitter
from server.engine.base import Engine, EngineImage, ToolParser
from server.errors import InvalidValue, ModelNotFound, TooManyImages
from server.generation.choice_readers import ChoiceReaders
from server.generation.generation import Generation
from server.generation.sampling import SamplingDefaults, build_sampling_options, clamp_max_tokens
from server.images.budget import ImageLimits
from server.images.embedder import ImageEmbedder
from server.images.loader import ImageLoader
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import EncodedImage, ImageEmbedsCache
from server.prompt.builder import Prompt, PromptBuilder
from server.prompt.text_tokenizer import INLINE_CHARACTERS, TextTokenizer
from server.prompt.token_ids import check_sampling_token_ids
from server.prompt.tools import PromptTools
from server.prompt.turns import Conversation, split_turns
from server.protocol.chat.request import ChatCompletionRequest
from server.protocol.completions.request import CompletionRequest
from server.protocol.generation_fields import GenerationFields
from server.structured_outputs.grammar import (
    CallableTools,
    GrammarConstraint,
    build_constraint,
    build_format_constraint,
    resolve_callable_tools,
)
from server.structured_outputs.validator import GrammarValidator
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord


class Pipeline:
    """Turns requests into streams of outputs."""

    def __init__(
        self,
        *,
        model_name: str,
        adapters: Collection[str] = (),
        image_limits: ImageLimits,
        temperature: float,
        top_p: float,
        media: ImageLoader,
        vision: VisionBatcher,
        cache: ImageEmbedsCache[EncodedImage],
        prompt: PromptBuilder,
        grammars: GrammarValidator,
        vocabulary: Vocabulary,
        tool_parser: ToolParser | None = None,
        engine: Engine,
        metrics: Metrics,
    ) -> None:
        self._model_name = model_name
        self._adapters = adapters
        self._image_limits = image_limits
        self.defaults = SamplingDefaults(temperature, top_p)
        self._images = ImageEmbedder(media, vision, cache, metrics)
        self._prompt = prompt
        self._grammars = grammars
        self._vocabulary = vocabulary
        self._readers = ChoiceReaders(vocabulary, tool_parser)
        self._engine = engine
        self._metrics = metrics
        self._text_answers = CompletionSubmitter(engine, vocabulary, self.defaults)
        self.texts = TextTokenizer(prompt, vocabulary, metrics)

    async def generate(
        self, request: ChatCompletionRequest, record: RequestRecord, tenant: str = ""
    ) -> Generation:
        """Do all that can fail and await the first output. Raises `ApiError`.

        Images are shared within a `tenant` only. Whoever gets the generation closes it.
        """
        conversation = self._check(request)
        calls = resolve_callable_tools(request)
        # How long the prompt is can only be told when its images are there.
        room = self._vocabulary.estimate_char_budget(
            request.token_limit or self._engine.max_model_len // 2
        )
        forced = None if self._readers.is_native(calls) else calls
        grammar = await self._proved(build_constraint(request, forced, room), request)
        budget = self._image_limits.budget()
        images = await self._images.embed(request.images, tenant, budget)
        record.notes.extend(budget.notes)
        lengths = [len(embeds) for _, embeds in images]
        prompt = await self._build_prompt(request, conversation, lengths, calls)
        record.submitted(len(prompt.token_ids), prompt.num_image_tokens)
        outputs = self._engine.generate(
            record.request_id,
            prompt.token_ids,
            _place(images, prompt),
            build_sampling_options(
                request,
                self.defaults,
                self._prompt.stop,
                max_tokens=clamp_max_tokens(
                    request.token_limit, len(prompt.token_ids), self._engine.max_model_len
                ),
                logprobs=request.num_logprobs,
                grammar=grammar,
                # They may be what the checkpoint begins a call with.
                skip_special_tokens=not self._readers.is_native(calls),
            ),
            stream=bool(request.stream),
            adapter=self._adapter(request.model),
        )
        new_choice = self._readers.choices(request.num_logprobs, calls)
        generation = Generation(outputs, record, new_choice, request.n or 1)
        await generation.await_first()
        return generation

    async def complete(self, request: CompletionRequest, record: RequestRecord) -> BatchGeneration:
        """Do all that can fail and await each prompt's first output. Raises `ApiError`.

        All prompts run at once. Whoever gets the batch closes it.
        """
        self.check_model(request.model)
        check_sampling_token_ids(request, self._vocabulary.size)
        wanted = build_format_constraint(
            request, self._vocabulary.estimate_char_budget(request.token_limit)
        )
        grammar = await self._proved(wanted, request)
        prompts = await self.texts.prompts(request)
        record.submitted(sum(len(prompt.token_ids) for prompt in prompts), 0)
        adapter = self._adapter(request.model)
        return await self._text_answers.begin(request, record, prompts, grammar, adapter)

    async def measure(self, request: ChatCompletionRequest, tenant: str = "") -> Prompt:
        """Return the prompt that `generate` would submit, however long. Raises `ApiError`."""
        conversation = self._check(request)
        budget = self._image_limits.budget()
        lengths = await self._images.count(request.images, tenant, budget)
        calls = resolve_callable_tools(request)
        return await self._build_prompt(request, conversation, lengths, calls, limited=False)

    def check_model(self, name: str) -> None:
        """Raise `ModelNotFound` for models that are not served."""
        if name != self._model_name and name not in self._adapters:
            raise ModelNotFound(f"The model '{name}' does not exist.", "model")

    def _adapter(self, name: str) -> str | None:
        """Return the LoRA adapter that is to be decoded with, None for the model itself."""
        return name if name in self._adapters else None

    def _check(self, request: ChatCompletionRequest) -> Conversation:
        """Refuse what needs no work to refuse."""
        self.check_model(request.model)
        max_images = self._image_limits.max_images
        if len(request.images) > max_images:
            raise TooManyImages(
                f"The request holds {len(request.images)} images; the limit is {max_images}.",
                request.images[max_images].param,
            )
        check_sampling_token_ids(request, self._vocabulary.size)
        return split_turns(request.messages)

    async def _proved(
        self, wanted: GrammarConstraint | None, request: GenerationFields
    ) -> str | None:
        """Return the proved grammar of the answer, if it must have one."""
        if wanted is None:
            return None
        if request.min_tokens:
            raise InvalidValue(
                "'min_tokens' cannot be combined with tools or structured outputs.", "min_tokens"
            )
        await self._grammars.check(wanted)
        return wanted.grammar

    async def _build_prompt(
        self,
        request: ChatCompletionRequest,
        conversation: Conversation,
        image_lengths: Sequence[int],
        calls: CallableTools | None,
        *,
        limited: bool = True,
    ) -> Prompt:
        tools = None
        length = conversation.num_characters
        if calls is not None:
            tools = PromptTools(calls.tools, calls.description)
            length += len(tools.description)
        options = request.chat_template_kwargs
        with self._metrics.stage("prompt"):
            if length <= INLINE_CHARACTERS:
                return self._prompt.build(
                    conversation, image_lengths, tools, options, limited=limited
                )
            return await asyncio.to_thread(
                self._prompt.build, conversation, image_lengths, tools, options, limited=limited
            )


def _place(images: Iterable[tuple[str, Tensor]], prompt: Prompt) -> list[EngineImage]:
    return [
        EngineImage(key, placeholder.offset, embeds)
        for (key, embeds), placeholder in zip(images, prompt.placeholders, strict=True)
    ]
