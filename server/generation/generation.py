"""The choices of one request: reads engine outputs as deltas and records their tokens."""

from collections.abc import AsyncGenerator, Sequence
from typing import Self

from server.engine.base import EngineOutput, TokenLogprob
from server.errors import EngineUnavailable
from server.generation.choice_delta import ChoiceDelta
from server.generation.choice_reader import ChoiceReaderFactory, build_text_reader
from server.generation.interruption import Interruption
from server.generation.prompt_details import PromptDetails
from server.telemetry.request_record import RequestRecord


class Generation:
    """An async iterator of deltas. Closing it aborts the sequences, even before any iteration."""

    def __init__(
        self,
        outputs: AsyncGenerator[EngineOutput, None],
        record: RequestRecord,
        build_reader: ChoiceReaderFactory = build_text_reader,
        n: int = 1,
        first_index: int = 0,
    ) -> None:
        """The deltas of the `n` choices are numbered from `first_index`."""
        self.n = n
        self.interruption = Interruption()
        self.prompt_logprobs: Sequence[TokenLogprob | None] = ()
        self.prompt = PromptDetails()
        self._outputs = outputs
        self._record = record
        self._readers = [build_reader(first_index + index) for index in range(n)]
        self._first_output: EngineOutput | None = None
        self._first_index = first_index
        self._num_unfinished = n

    async def await_first(self) -> None:
        """Wait for the first output. Raises `EngineUnavailable`."""
        first = await anext(self._outputs, None)
        if first is None:
            raise EngineUnavailable("The engine dropped the request.")
        self._record.cached_tokens += first.num_cached_tokens
        self._record.record_first_token(first.first_token_s)
        self.prompt_logprobs = first.prompt_logprobs
        self._first_output = first

    def __aiter__(self) -> Self:
        """Iterate over the deltas, once."""
        return self

    async def __anext__(self) -> ChoiceDelta:
        """Return the next delta.

        Raises `EngineUnavailable` if a choice ends without a finish reason, `DeadlineExceeded`, or
        the error that the generation was aborted with.
        """
        self.interruption.check()
        output, self._first_output = self._first_output, None
        if output is None:
            output = await self.interruption.limit(anext(self._outputs, None))
        if output is None:
            if self._num_unfinished:
                raise EngineUnavailable("The engine ended the answer early.")
            raise StopAsyncIteration
        self._record.record_tokens(output.num_tokens, self._first_index + output.index)
        delta = self._readers[output.index].read(output)
        self._num_unfinished -= delta.finish_reason is not None
        return delta

    async def aclose(self) -> None:
        """Abort the sequences that have not finished."""
        await self._outputs.aclose()
