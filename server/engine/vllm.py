"""vLLM as the engine: finished token ids and image embeddings in, deltas out.

The only file that imports vllm. Prompts skip vLLM's own rendering and image processing, and with
`limit_mm_per_prompt={"image": 0}` it builds neither tower nor projector.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from transformers import LlavaConfig, LlavaNextConfig, PreTrainedConfig
from vllm import envs
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import VLLMClientError
from vllm.inputs.engine import MultiModalInput, TokensInput, mm_input, tokens_input
from vllm.logprobs import Logprob
from vllm.lora.request import LoRARequest
from vllm.multimodal.inputs import (
    MultiModalBatchedField,
    MultiModalFieldElem,
    MultiModalKwargsItem,
    MultiModalKwargsItems,
    MultiModalSharedField,
    PlaceholderRange,
)
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams
from vllm.usage.usage_lib import UsageContext
from vllm.utils.ompmultiprocessing import OMPProcessManager
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
from vllm.v1.executor.uniproc_executor import UniProcExecutor

from server.checkpoint.adapters import LoraAdapter
from server.checkpoint.config import MODEL_TYPES, CheckpointError
from server.engine.base import EngineImage, EngineOutput, SamplingOptions, TokenLogprob, ToolParser
from server.errors import EngineUnavailable, InvalidRequest
from server.telemetry.logs import get_logger

log = get_logger(__name__)

# What the engine process gets to end in before it is killed.
CLOSE_TIMEOUT_S: Final = 5.0
# How often the engine's death is looked for.
WATCH_INTERVAL_S: Final = 0.25

# On a CPU, instead of vLLM's own choices; docs/performance.md has the measurements.
CPU_ARGUMENTS: Final[Mapping[str, Any]] = {
    # Scheduler and model in one process, as on a GPU: else they wait for each other by spinning,
    # which takes a core, and a second process costs seconds and hundreds of MiB.
    "distributed_executor_backend": UniProcExecutor,
    # The prefix cache knows whole blocks only: of 128 tokens it would rarely find one again.
    "block_size": 32,
}


# llguidance. It compiles lazily within bounds, and refuses what it does not know in a schema.
GRAMMAR_BACKEND: Final = "guidance"
# The ranks that vLLM has kernels for.
LORA_RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)


@dataclass(frozen=True, slots=True)
class VllmOptions:
    """What an operator may choose of vLLM's engine arguments."""

    model: Path
    model_name: str
    dtype: str
    has_image_newline: bool  # among the weights
    max_model_len: int | None
    max_num_seqs: int
    max_num_batched_tokens: int
    enforce_eager: bool
    gpu_memory_utilization: float
    drain_timeout_s: float
    adapters: Sequence[LoraAdapter] = ()
    max_loras: int = 1


class VllmEngine:
    """vLLM's `AsyncLLM`, whose scheduler and model run in a process of their own."""

    def __init__(self, options: VllmOptions) -> None:
        """Start the engine process and load the weights. Blocks for many seconds."""
        args = AsyncEngineArgs(
            model=str(options.model),
            served_model_name=options.model_name,
            dtype=options.dtype,
            max_model_len=options.max_model_len,
            max_num_seqs=options.max_num_seqs,
            max_num_batched_tokens=options.max_num_batched_tokens,
            enforce_eager=options.enforce_eager,
            gpu_memory_utilization=options.gpu_memory_utilization,
            hf_overrides=override_as_llava_next if options.has_image_newline else override_as_llava,
            enable_mm_embeds=True,
            limit_mm_per_prompt={"image": 0},
            structured_outputs_config={"backend": GRAMMAR_BACKEND},
            # A signal to the whole process group must not end sequences that still drain.
            shutdown_timeout=int(options.drain_timeout_s) + 1,
            **(CPU_ARGUMENTS if current_platform.is_cpu() else {}),
            **_lora_arguments(options),
        )
        self._llm = _start(args)
        # Read for every token: without the cache each is looked up in os.environ.
        envs.enable_envs_cache()
        self._adapters = {
            adapter.name: LoRARequest(adapter.name, number, str(adapter.path))
            for number, adapter in enumerate(options.adapters, 1)
        }
        self._hidden_size = self._llm.model_config.get_hidden_size()

    @property
    def max_model_len(self) -> int:
        """Context in tokens: prompt and answer together."""
        return int(self._llm.model_config.max_model_len)

    def tool_parser(self, name: str) -> ToolParser:
        """Return one of vLLM's tool parsers; see `server.engine.base.Engine.tool_parser`."""
        # They bring vLLM's whole OpenAI server along.
        from server.engine.tool_parsers import NativeToolParser

        return NativeToolParser(name, self._llm.get_tokenizer())

    async def load_adapters(self) -> None:
        """Load the adapters, so that a broken one is known at once. Raises `CheckpointError`."""
        for name, request in self._adapters.items():
            try:
                await self._llm.add_lora(request)
            except Exception as error:
                raise CheckpointError(f"the adapter {name!r} cannot be loaded: {error}") from None

    async def generate(
        self,
        request_id: str,
        token_ids: list[int],
        images: Sequence[EngineImage],
        sampling: SamplingOptions,
        *,
        stream: bool,
        adapter: str | None = None,
    ) -> AsyncGenerator[EngineOutput, None]:
        """Decode a prompt's answers; see `server.engine.base.Engine.generate`."""
        submitted = time.perf_counter()
        first_token_s = 0.0
        engine_input = self._engine_input(token_ids, images)
        copies = range(sampling.n if _is_greedy(sampling) else 1)
        has_grammar = sampling.grammar is not None
        try:
            generating = self._llm.generate(
                engine_input,
                _sampling_params(sampling, stream),
                request_id,
                lora_request=None if adapter is None else self._adapters[adapter],
            )
            async with aclosing(generating) as outputs:
                async for output in outputs:
                    first_token_s = first_token_s or _first_token_s(output, submitted)
                    for each in _outputs(output, first_token_s, has_grammar=has_grammar):
                        for index in copies:
                            yield replace(each, index=index) if index else each
        except (EngineDeadError, EngineGenerateError):
            raise EngineUnavailable("The engine failed while it worked on the request.") from None
        except VLLMClientError as error:
            log.warning("the engine refused a request", id=request_id, reason=str(error))
            raise InvalidRequest("The engine refuses this combination of parameters.") from None

    async def died(self) -> None:
        """Return when the engine can generate no more."""
        while not self._llm.errored:  # noqa: ASYNC110 - vLLM offers no event for it
            await asyncio.sleep(WATCH_INTERVAL_S)

    def close(self) -> None:
        """End the engine's process."""
        self._llm.shutdown(timeout=CLOSE_TIMEOUT_S)

    def _engine_input(
        self, token_ids: list[int], images: Sequence[EngineImage]
    ) -> TokensInput | MultiModalInput:
        if not images:
            return tokens_input(token_ids)
        for image in images:
            self._check_shape(image)
        return mm_input(
            token_ids,
            MultiModalKwargsItems({"image": [_image_item(image) for image in images]}),
            mm_hashes={"image": [image.key for image in images]},
            mm_placeholders={
                "image": [
                    PlaceholderRange(image.offset, len(image.image_embeds)) for image in images
                ]
            },
        )

    def _check_shape(self, image: EngineImage) -> None:
        """Refuse what vLLM would not check and could not survive."""
        embeds = image.image_embeds
        if embeds.ndim != 2 or embeds.shape[1] != self._hidden_size:
            raise ValueError(f"image_embeds of shape {tuple(embeds.shape)}")


def _lora_arguments(options: VllmOptions) -> dict[str, Any]:
    if not options.adapters:
        return {}
    rank = max(adapter.rank for adapter in options.adapters)
    fitting = [allowed for allowed in LORA_RANKS if allowed >= rank]
    if not fitting:
        raise CheckpointError(f"a LoRA adapter has rank {rank}; {LORA_RANKS[-1]} is the most")
    return {
        "enable_lora": True,
        "max_lora_rank": fitting[0],
        "max_loras": min(options.max_loras, len(options.adapters)),
        "max_cpu_loras": len(options.adapters),
    }


def _start(args: AsyncEngineArgs) -> AsyncLLM:
    """Start the engine's process, its OpenMP threads bound as vLLM's own worker binds them."""
    config = args.create_engine_config(UsageContext.ENGINE_CONTEXT)
    with OMPProcessManager(config).configure_omp_envs(rank=0, local_rank=0):
        return AsyncLLM.from_vllm_config(config, usage_context=UsageContext.ENGINE_CONTEXT)


def override_as_llava(config: PreTrainedConfig) -> PreTrainedConfig:
    """Describe any LLaVA as a plain one: the engine sees a language model with rows to splice in.

    vLLM also calls this with a nameless configuration, which is left alone.
    """
    return _described(config, LlavaConfig, "LlavaForConditionalGeneration")


def override_as_llava_next(config: PreTrainedConfig) -> PreTrainedConfig:
    """Describe any LLaVA as the class whose weights hold an `image_newline`; see `as_llava`."""
    return _described(config, LlavaNextConfig, "LlavaNextForConditionalGeneration")


def _described(
    config: PreTrainedConfig, kind: type[PreTrainedConfig], architecture: str
) -> PreTrainedConfig:
    if config.model_type not in MODEL_TYPES:
        return config
    if not isinstance(config, kind):
        content = config.to_dict()
        del content["model_type"]
        config = kind(**content)
    config.architectures = [architecture]
    return config


def _image_item(image: EngineImage) -> MultiModalKwargsItem:
    """Wrap an image for vLLM, which batches only images that share the value of a shared field.

    That has to be their length: the engine would die of a batch of unequal ones.
    """
    length = torch.tensor(len(image.image_embeds))
    return MultiModalKwargsItem(
        {
            "image_embeds": MultiModalFieldElem(image.image_embeds, MultiModalBatchedField()),
            "num_image_tokens": MultiModalFieldElem(length, MultiModalSharedField(batch_size=1)),
        }
    )


def _is_greedy(sampling: SamplingOptions) -> bool:
    """Tell whether all answers to the prompt are the same one, so that decoding it once will do.

    vLLM refuses to decode them more often.
    """
    return sampling.temperature == 0


class ValidatedSamplingParams(SamplingParams):  # type: ignore[misc]  # vLLM is Any to mypy
    """Sampling with a grammar that was proved in a worker process.

    vLLM would compile it once more on the event loop, only to validate it.
    """

    def _validate_structured_outputs(self, *_: object) -> None:
        if self.structured_outputs is not None:
            self.structured_outputs._backend = GRAMMAR_BACKEND


def _sampling_params(sampling: SamplingOptions, stream: bool) -> SamplingParams:
    grammar = sampling.grammar
    return ValidatedSamplingParams(
        n=1 if _is_greedy(sampling) else sampling.n,
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
        stop_token_ids=list(sampling.stop_token_ids),
        ignore_eos=sampling.ignore_eos,
        min_tokens=sampling.min_tokens,
        logprobs=sampling.logprobs,
        prompt_logprobs=sampling.prompt_logprobs,
        structured_outputs=grammar and StructuredOutputsParams(grammar=grammar),
        output_kind=RequestOutputKind.DELTA if stream else RequestOutputKind.FINAL_ONLY,
    )


def _first_token_s(output: RequestOutput, submitted: float) -> float:
    """Take vLLM's own measure where the output is not the first token itself."""
    if output.metrics is not None and output.metrics.first_token_latency:
        return float(output.metrics.first_token_latency)
    return time.perf_counter() - submitted


def _outputs(
    output: RequestOutput, first_token_s: float, *, has_grammar: bool
) -> Iterator[EngineOutput]:
    prompt_logprobs = _prompt_logprobs(output)
    for completion in output.outputs:
        if completion.finish_reason == "error" and has_grammar:
            raise InvalidRequest("The answer's grammar became too complex.")
        if completion.finish_reason not in (None, "stop", "length"):
            raise EngineUnavailable("The engine dropped the request.")
        yield EngineOutput(
            text=completion.text,
            num_tokens=len(completion.token_ids),
            finish_reason=completion.finish_reason,
            first_token_s=first_token_s,
            num_cached_tokens=output.num_cached_tokens or 0,
            index=completion.index,
            token_ids=completion.token_ids,
            logprobs=_generated_logprobs(completion),
            prompt_logprobs=prompt_logprobs,
        )


def _generated_logprobs(completion: CompletionOutput) -> Sequence[TokenLogprob]:
    if not completion.logprobs:
        return ()
    return list(map(_token_logprob, completion.token_ids, completion.logprobs))


def _prompt_logprobs(output: RequestOutput) -> Sequence[TokenLogprob | None]:
    """The first token has none, since nothing is before it."""
    if not output.prompt_logprobs:
        return ()
    return [
        _token_logprob(token_id, entries) if entries else None
        for token_id, entries in zip(output.prompt_token_ids, output.prompt_logprobs, strict=False)
    ]


def _token_logprob(token_id: int, entries: Mapping[int, Logprob]) -> TokenLogprob:
    likeliest = sorted(entries.items(), key=lambda entry: entry[1].rank or 0)
    top = [(each, entry.logprob) for each, entry in likeliest]
    return TokenLogprob(token_id, entries[token_id].logprob, top)
