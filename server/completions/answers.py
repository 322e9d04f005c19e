"""From the prompts of a text completion to their answers, all of which are generated at once."""

import asyncio
from collections.abc import Sequence
from typing import Final

from server.answer.choice import Choice
from server.answer.echo import Echo, echo_tokens
from server.answer.logprobs import EveryToken
from server.answer.scored import without_answer
from server.answer.tool_calls import PlainReader
from server.completions.batch import Batch
from server.completions.texts import TextPrompt
from server.engine.base import Engine, Sampling, TokenLogprob
from server.generation import Generation
from server.prompt.format import Stop
from server.protocol.completions import CompletionRequest
from server.record import RequestRecord
from server.sampling import SamplingDefaults, fitting, sampling
from server.vocabulary import Vocabulary

# There is no template whose end would end an answer.
NO_STOP: Final = Stop((), ())


class TextAnswers:
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
    ) -> Batch:
        """Submit all prompts and await the first output of each. Raises `EngineUnavailable`."""
        generations = [
            self._generation(request, record, index, prompt, grammar, adapter)
            for index, prompt in enumerate(prompts)
        ]
        batch = Batch(generations)
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
            outputs = without_answer(outputs)

        def new_choice(number: int) -> Choice:
            tokens = None
            if request.logprobs is not None:
                tokens = EveryToken(self._vocabulary, request.logprobs)
            return Choice(number, PlainReader(), tokens, verbatim=True)

        n = request.n or 1
        return Generation(outputs, record, new_choice, n, first_index=index * n)

    def _sampling(
        self, request: CompletionRequest, prompt_length: int, grammar: str | None
    ) -> Sampling:
        return sampling(
            request,
            self._defaults,
            NO_STOP,
            max_tokens=fitting(
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
    ) -> list[Echo]:
        if top is None:
            return [Echo(prompt.text) for prompt in prompts]
        return [
            Echo(
                prompt.text,
                list(echo_tokens(prompt.token_ids, known, self._vocabulary, top)),
                prompt.hidden,
            )
            for prompt, known in zip(prompts, logprobs, strict=True)
        ]
