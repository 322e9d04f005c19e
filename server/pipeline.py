"""The path of one request: images and videos, prompt, engine. Read this first.

images.load -> content key -> [cache] -> images.decode -> images.vision
                                                               |
messages -------------------------------------------------> prompt -> engine -> generation
                                                               |
prompts of a text completion, unchanged -----------------------+
"""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence

from torch import Tensor

from server.checkpoint.vocabulary import Vocabulary
from server.completions.batch_generation import BatchGeneration
from server.completions.submission import CompletionSubmitter
from server.concurrency import aclosing_on_error, gather_or_cancel
from server.engine.base import Engine, EngineImage, EngineOutput, SamplingOptions, ToolParser
from server.errors import ApiError, ModelNotFound, TooManyImages, TooManyVideos, VideosUnsupported
from server.generation.choice_reader import build_chat_readers
from server.generation.generation import Generation
from server.generation.prompt_details import check_num_prompt_logprobs, describe_prompt
from server.generation.sampling import SamplingDefaults, build_sampling_options, clamp_max_tokens
from server.images.budget import MediaBudget, MediaLimits
from server.images.embedder import ImageEmbedder
from server.images.video_embedder import VideoEmbedder
from server.prompt.builder import PromptBuilder
from server.prompt.chat_prompts import ChatPrompts
from server.prompt.prompt import Prompt
from server.prompt.request_templates import RequestTemplates
from server.prompt.segments import Modality
from server.prompt.text_tokenizer import TextTokenizer
from server.prompt.token_ids import check_sampling_token_ids
from server.prompt.turns import Conversation, split_turns
from server.protocol.chat.request import ChatCompletionRequest
from server.protocol.chat.template_fields import PromptEnding
from server.protocol.completions.request import CompletionRequest
from server.structured_outputs.grammar import GrammarBuilder
from server.structured_outputs.validator import GrammarValidator
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord
from server.tools.callable_tools import CallableTools, resolve_callable_tools

OnEncoded = Callable[[], None]
# Content keys and embeddings (tokens, hidden), in the order of the request.
Embedded = Sequence[tuple[str, Tensor]]


def do_nothing() -> None:
    """Do nothing: the default `on_encoded`."""


class Pipeline:
    """Turns requests into generations."""

    def __init__(
        self,
        *,
        model_name: str,
        aliases: Collection[str] = (),
        adapters: Collection[str] = (),
        media_limits: MediaLimits,
        sampling_defaults: SamplingDefaults,
        images: ImageEmbedder,
        videos: VideoEmbedder | None = None,
        prompt: PromptBuilder,
        grammar_validator: GrammarValidator,
        vocabulary: Vocabulary,
        request_templates: RequestTemplates | None = None,
        tool_parser: ToolParser | None = None,
        engine: Engine,
        metrics: Metrics,
    ) -> None:
        """`aliases` are other names of the model; `adapters` names its LoRA adapters.

        Without `videos`, the model does not support video. Without `request_templates`, requests
        with a template of their own have been refused before.
        """
        self.sampling_defaults = sampling_defaults
        self.text_tokenizer = TextTokenizer(prompt, vocabulary, metrics)
        self._model_name = model_name
        self._aliases = aliases
        self._adapters = adapters
        self._media_limits = media_limits
        self._images = images
        self._videos = videos
        self._prompt = prompt
        self._chat_prompts = ChatPrompts(prompt, metrics, request_templates)
        self._grammars = GrammarBuilder(grammar_validator, metrics)
        self._tool_parser = tool_parser
        self._vocabulary = vocabulary
        self._engine = engine
        self._completions = CompletionSubmitter(engine, vocabulary, sampling_defaults)

    async def generate(
        self,
        request: ChatCompletionRequest,
        record: RequestRecord,
        on_encoded: OnEncoded = do_nothing,
    ) -> Generation:
        """Do everything that can fail, then await the first token. Raises `ApiError`.

        `on_encoded` is called once the images are encoded and their data can be freed. The caller
        closes the generation.
        """
        tools = resolve_callable_tools(request, has_native_format=self._prompt.native_tools)
        partition = record.caller.cache_partition
        keep_last = self._prompt.resolve_truncation(request, request.token_limit)
        conversation = self._check(request, tools, enforce_limit=keep_last is None)
        grammar = await self._grammars.build_and_validate(request, tools, partition)
        budget = self._media_limits.start_budget(record.caller.meter)
        images, videos = await self._embed(request, partition, budget)
        on_encoded()
        record.notes.extend(budget.notes)
        record.first_image_key = next((key for key, _ in (*images, *videos)), None)
        prompt = await self._chat_prompts.build(
            request,
            conversation,
            [len(image_embeds) for _, image_embeds in images],
            [len(embeds) for _, embeds in videos],
            tools,
            keep_last=keep_last,
        )
        sampling = self._build_sampling_options(request, prompt, grammar, tools)
        generation = Generation(
            self._submit(request, record, prompt, {"image": images, "video": videos}, sampling),
            record,
            build_chat_readers(
                request,
                tools,
                self._tool_parser,
                self._vocabulary,
                is_continuation=conversation.ending is PromptEnding.CONTINUATION,
            ),
            request.n or 1,
        )
        async with aclosing_on_error(generation):
            await generation.await_first()
            generation.prompt = await describe_prompt(
                request, prompt.token_ids, generation.prompt_logprobs, self._vocabulary
            )
        return generation

    async def complete(self, request: CompletionRequest, record: RequestRecord) -> BatchGeneration:
        """Do everything that can fail, then await each prompt's first token. Raises `ApiError`.

        All prompts are decoded together. The caller closes the batch.
        """
        self.check_model(request.model)
        check_sampling_token_ids(request, self._vocabulary.size)
        grammar = await self._grammars.build_and_validate(
            request, None, record.caller.cache_partition
        )
        prompts = await self.text_tokenizer.tokenize_prompts(request)
        record.record_submission(sum(len(prompt.token_ids) for prompt in prompts))
        adapter = self._find_adapter(request.model)
        return await self._completions.submit(request, record, prompts, grammar, adapter)

    async def build_prompt(self, request: ChatCompletionRequest, cache_partition: str) -> Prompt:
        """Return the prompt that `generate` would submit, however long. Raises `ApiError`."""
        tools = resolve_callable_tools(request, has_native_format=self._prompt.native_tools)
        conversation = self._check(request, tools, enforce_limit=False)
        budget = self._media_limits.start_budget()
        num_image_tokens = await self._images.count_image_tokens(
            request.images, cache_partition, budget
        )
        num_video_tokens = []
        if self._videos is not None:
            num_video_tokens = await self._videos.count_tokens(
                request.videos, request.video_options, cache_partition, budget
            )
        return await self._chat_prompts.build(
            request, conversation, num_image_tokens, num_video_tokens, tools, enforce_limit=False
        )

    @property
    def has_failed(self) -> bool:
        """Whether the engine can no longer generate."""
        return self._engine.has_failed

    def fail_all(self, error: ApiError) -> None:
        """End all running generations with `error`."""
        self._engine.fail_all(error)

    def check_model(self, name: str) -> None:
        """Raise `ModelNotFound` for models that are not served."""
        names = (self._model_name, *self._aliases, *self._adapters)
        if name not in names:
            raise ModelNotFound.build(name, names)

    async def _embed(
        self, request: ChatCompletionRequest, cache_partition: str, budget: MediaBudget
    ) -> tuple[Embedded, Embedded]:
        """Return the content keys and embeddings of the images, and of the videos."""
        steps = [self._images.embed(request.images, cache_partition, budget)]
        if self._videos is not None:
            steps.append(
                self._videos.embed(request.videos, request.video_options, cache_partition, budget)
            )
        images, *videos = await gather_or_cancel(steps)
        return images, videos[0] if videos else []

    def _find_adapter(self, model: str) -> str | None:
        """Return the name of the LoRA adapter, None for the model itself."""
        return model if model in self._adapters else None

    def _check(
        self,
        request: ChatCompletionRequest,
        tools: CallableTools | None,
        *,
        enforce_limit: bool = True,
    ) -> Conversation:
        """Refuse invalid requests before any work is done; return the conversation."""
        self.check_model(request.model)
        self._check_media(request)
        check_sampling_token_ids(request, self._vocabulary.size)
        conversation = split_turns(request.messages, request)
        count = conversation.num_characters
        self._prompt.check_characters(count, "messages", enforce_limit=enforce_limit)
        if tools is not None:
            count += tools.num_characters
            self._prompt.check_characters(count, "tools", enforce_limit=enforce_limit)
        return conversation

    def _check_media(self, request: ChatCompletionRequest) -> None:
        images, videos, limits = request.images, request.videos, self._media_limits
        if len(images) > limits.max_images:
            raise TooManyImages(
                f"The request holds {len(images)} images; the limit is {limits.max_images}. Send"
                " fewer.",
                images[limits.max_images].param,
            )
        if videos and self._videos is None:
            raise VideosUnsupported(
                "The model does not support video; send frames as images instead.", videos[0].param
            )
        if len(videos) > limits.max_videos:
            raise TooManyVideos(
                f"The request holds {len(videos)} videos; the limit is {limits.max_videos}. Send"
                " fewer.",
                videos[limits.max_videos].param,
            )

    def _build_sampling_options(
        self,
        request: ChatCompletionRequest,
        prompt: Prompt,
        grammar: str | None,
        tools: CallableTools | None,
    ) -> SamplingOptions:
        """Raise `InvalidValue` for too many log probabilities."""
        prompt_length = len(prompt.token_ids)
        check_num_prompt_logprobs(
            [prompt_length], request.n or 1, request.prompt_logprobs, "prompt_logprobs"
        )
        return build_sampling_options(
            request,
            self.sampling_defaults,
            self._prompt.stop,
            max_tokens=clamp_max_tokens(
                request.token_limit, prompt_length, self._engine.max_model_len
            ),
            logprobs=request.num_logprobs,
            prompt_logprobs=request.prompt_logprobs,
            grammar=grammar,
            # A native tool parser needs the special tokens that begin a call.
            skip_special_tokens=tools is None or not tools.is_native,
        )

    def _submit(
        self,
        request: ChatCompletionRequest,
        record: RequestRecord,
        prompt: Prompt,
        media: Mapping[Modality, Embedded],
        sampling: SamplingOptions,
    ) -> AsyncGenerator[EngineOutput, None]:
        """Submit the prompt to the engine."""
        embedded = {modality: iter(each) for modality, each in media.items()}
        engine_images = []
        for placeholder in prompt.placeholders:
            key, embeds = next(embedded[placeholder.modality])
            engine_images.append(EngineImage(key, placeholder.offset, embeds))
        record.record_submission(
            len(prompt.token_ids), prompt.num_image_tokens, prompt.num_video_tokens
        )
        return self._engine.generate(
            record.request_id,
            prompt.token_ids,
            engine_images,
            sampling,
            stream=bool(request.stream),
            adapter=self._find_adapter(request.model),
            cache_partition=record.caller.cache_partition,
        )
