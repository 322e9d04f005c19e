"""From the prompts of a text completion to their answers, all of which are generated at once."""

import asyncio
from collections.abc import Sequence
from typing import Final

from server.checkpoint.vocabulary import Vocabulary
from server.completions.batch_generation import BatchGeneration
from server.completions.prompt_echo import PromptEcho, decode_prompt_tokens
from server.completions.scoring import drop_generated_tokens
from server.engine.base import Engine, SamplingOptions, TokenLogprob
from server.generation.choice_reader import ChoiceReader
from server.generation.generation import Generation
from server.generation.logprobs import AllTokensReader
from server.generation.sampling import SamplingDefaults, build_sampling_options, clamp_max_tokens
from server.generation.tool_call_parser import TextOnlyParser
from server.prompt.format import Stop
from server.prompt.text_tokenizer import TextPrompt
from server.protocol.completions.request import CompletionRequest
from server.telemetry.request_record import RequestRecord

# There is no template whose end would end an answer.
NO_STOP: Final = Stop((), ())


class CompletionSubmitter:
    """Has the engine continue prompts."""

    def __init__(self, engine: Engine, vocabulary: Vocabulary, defaults: SamplingDefaults) -> None:
        self._engine = engine
        self._vocabulary = vocabulary
        self._defaults = defaults

    async def begin(
        self,
        request: CompletionRequest,
        record: RequestRecord,
        prompts: Sequence[TextPrompt],
        grammar: str | None,
        adapter: str | None,
    ) -> BatchGeneration:
        """Submit all prompts and await the first output of each. Raises `EngineUnavailable`."""
        generations = [
            self._generation(request, record, index, prompt, grammar, adapter)
            for index, prompt in enumerate(prompts)
        ]
        batch = BatchGeneration(generations)
        try:
            await batch.await_first()
            if request.echo:
                logprobs = [generation.prompt_logprobs for generation in generations]
                batch.echoes = await asyncio.to_thread(
                    self._echoes, prompts, logprobs, request.logprobs
                )
        except BaseException:
            await batch.aclose()
            raise
        return batch

    def _generation(
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
            self._sampling(request, len(prompt.token_ids), grammar),
            stream=bool(request.stream),
            adapter=adapter,
        )
        if request.scores_only:
            outputs = drop_generated_tokens(outputs)

        def new_choice(number: int) -> ChoiceReader:
            tokens = None
            if request.logprobs is not None:
                tokens = AllTokensReader(self._vocabulary, request.logprobs)
            return ChoiceReader(number, TextOnlyParser(), tokens, verbatim=True)

        n = request.n or 1
        return Generation(outputs, record, new_choice, n, first_index=index * n)

    def _sampling(
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
            prompt_logprobs=request.logprobs if request.echo else None,
            grammar=grammar,
        )

    def _echoes(
        self,
        prompts: Sequence[TextPrompt],
        logprobs: Sequence[Sequence[TokenLogprob | None]],
        top: int | None,
    ) -> list[PromptEcho]:
        if top is None:
            return [PromptEcho(prompt.text) for prompt in prompts]
        return [
            PromptEcho(
                prompt.text,
                list(decode_prompt_tokens(prompt.token_ids, known, self._vocabulary, top)),
                prompt.hidden,
            )
            for prompt, known in zip(prompts, logprobs, strict=True)
        ]
