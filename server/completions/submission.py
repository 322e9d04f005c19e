"""Submits all prompts of a text completion to the engine together."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from server.checkpoint.vocabulary import Vocabulary
from server.completions.batch_generation import BatchGeneration
from server.completions.prompt_echo import PromptEcho, decode_prompt_tokens
from server.concurrency import aclosing_on_error
from server.engine.base import Engine, EngineOutput, SamplingOptions, TokenLogprob
from server.generation.choice_reader import ChoiceReader
from server.generation.generation import Generation
from server.generation.logprobs import AllTokensReader
from server.generation.prompt_details import check_num_prompt_logprobs, describe_prompt
from server.generation.sampling import SamplingDefaults, build_sampling_options, clamp_max_tokens
from server.generation.tool_call_parser import TextOnlyParser
from server.prompt.format import StopCriteria
from server.prompt.text_tokenizer import TextPrompt
from server.protocol.completions.request import CompletionRequest
from server.telemetry.request_record import RequestRecord

# Without a template, only EOS and the request's own stop end a completion.
NO_STOP: Final = StopCriteria((), ())


class CompletionSubmitter:
    """Submits prompts, each as a generation of its own."""

    def __init__(self, engine: Engine, vocabulary: Vocabulary, defaults: SamplingDefaults) -> None:
        self._engine = engine
        self._vocabulary = vocabulary
        self._defaults = defaults

    async def submit(
        self,
        request: CompletionRequest,
        record: RequestRecord,
        prompts: Sequence[TextPrompt],
        grammar: str | None,
        adapter: str | None,
    ) -> BatchGeneration:
        """Submit all prompts and await the first output of each.

        Raises `InvalidValue` for too many log probabilities, or `EngineUnavailable`.
        """
        _check_logprobs(request, [len(prompt.token_ids) for prompt in prompts])
        generations = [
            self._start_generation(request, record, index, prompt, grammar, adapter)
            for index, prompt in enumerate(prompts)
        ]
        batch = BatchGeneration(generations)
        async with aclosing_on_error(batch):
            await batch.await_first()
            for generation, prompt in zip(generations, prompts, strict=True):
                generation.prompt = await describe_prompt(
                    request, prompt.token_ids, generation.prompt_logprobs, self._vocabulary
                )
            if request.echo:
                logprobs = [generation.prompt_logprobs for generation in generations]
                batch.echoes = await asyncio.to_thread(
                    self._build_echoes, prompts, logprobs, request
                )
        return batch

    def _start_generation(
        self,
        request: CompletionRequest,
        record: RequestRecord,
        index: int,
        prompt: TextPrompt,
        grammar: str | None,
        adapter: str | None,
    ) -> Generation:
        outputs = self._engine.generate(
            f"{record.request_id}-{index}",
            prompt.token_ids,
            (),
            self._build_sampling_options(request, len(prompt.token_ids), grammar),
            stream=bool(request.stream),
            adapter=adapter,
            cache_partition=record.caller.cache_partition,
        )
        if request.is_scoring_only:
            outputs = drop_generated_tokens(outputs)

        def build_reader(choice_index: int) -> ChoiceReader:
            logprobs_reader = None
            if request.logprobs is not None:
                logprobs_reader = self._build_logprobs_reader(request, request.logprobs)
            return ChoiceReader(
                choice_index,
                TextOnlyParser(),
                logprobs_reader,
                keep_leading_space=True,
                report_token_ids=bool(request.return_token_ids),
            )

        n = request.n or 1
        return Generation(outputs, record, build_reader, n, first_index=index * n)

    def _build_logprobs_reader(self, request: CompletionRequest, num_top: int) -> AllTokensReader:
        return AllTokensReader(
            self._name_tokens(request),
            num_top,
            skip_special_tokens=request.skip_special_tokens is not False,
        )

    def _name_tokens(self, request: CompletionRequest) -> Vocabulary:
        vocabulary = self._vocabulary
        return vocabulary.named_by_id if request.return_tokens_as_token_ids else vocabulary

    def _build_sampling_options(
        self, request: CompletionRequest, prompt_length: int, grammar: str | None
    ) -> SamplingOptions:
        return build_sampling_options(
            request,
            self._defaults,
            NO_STOP,
            max_tokens=clamp_max_tokens(
                max(request.token_limit, 1), prompt_length, self._engine.max_model_len
            ),
            logprobs=request.logprobs,
            prompt_logprobs=_count_prompt_logprobs(request),
            grammar=grammar,
        )

    def _build_echoes(
        self,
        prompts: Sequence[TextPrompt],
        logprobs: Sequence[Sequence[TokenLogprob | None]],
        request: CompletionRequest,
    ) -> list[PromptEcho]:
        num_top = request.logprobs
        if num_top is None:
            return [PromptEcho(prompt.text) for prompt in prompts]
        vocabulary = self._name_tokens(request)
        return [
            PromptEcho(
                prompt.text,
                list(decode_prompt_tokens(prompt.token_ids, prompt_logprobs, vocabulary, num_top)),
                prompt.prefix_length,
            )
            for prompt, prompt_logprobs in zip(prompts, logprobs, strict=True)
        ]


def _check_logprobs(request: CompletionRequest, prompt_lengths: Sequence[int]) -> None:
    """Raise `InvalidValue` for too many log probabilities of the prompts, in all choices."""
    n = request.n or 1
    check_num_prompt_logprobs(prompt_lengths, n, request.prompt_logprobs, "prompt_logprobs")
    if request.echo:
        check_num_prompt_logprobs(prompt_lengths, n, request.logprobs, "logprobs")


def _count_prompt_logprobs(request: CompletionRequest) -> int | None:
    """Return how many alternatives to each prompt token the engine reports, None for no report."""
    counts = (request.prompt_logprobs, request.logprobs if request.echo else None)
    return max((count for count in counts if count is not None), default=None)


async def drop_generated_tokens(
    outputs: AsyncGenerator[EngineOutput, None],
) -> AsyncGenerator[EngineOutput, None]:
    """Yield outputs without tokens: to score a prompt, the engine must generate a token."""
    async with aclosing(outputs):
        async for output in outputs:
            yield replace(
                output,
                text="",
                num_tokens=0,
                token_ids=(),
                logprobs=(),
                finish_reason=output.finish_reason and "length",
            )
