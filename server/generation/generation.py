"""The answers to one request, from the first delta on, told to its record on their way."""

from collections.abc import AsyncGenerator, Sequence
from typing import Self

from server.engine.base import EngineOutput, TokenLogprob
from server.errors import EngineUnavailable
from server.generation.choice_delta import ChoiceDelta
from server.generation.choice_reader import ChoiceReader, ChoiceReaderFactory, new_text_reader
from server.telemetry.request_record import RequestRecord


class Generation:
    """An iterator of deltas. Closing it aborts the sequences, whether it was begun or not."""

    def __init__(
        self,
        outputs: AsyncGenerator[EngineOutput, None],
        record: RequestRecord,
        new_choice: ChoiceReaderFactory = new_text_reader,
        n: int = 1,
        first_index: int = 0,
    ) -> None:
        """The answers are numbered from `first_index` on."""
        self.n = n
        self.prompt_logprobs: Sequence[TokenLogprob | None] = ()
        self._outputs = outputs
        self._record = record
        self._choices: list[ChoiceReader] = [new_choice(first_index + index) for index in range(n)]
        self._first: EngineOutput | None = None
        self._first_index = first_index
        self._open = n

    async def await_first(self) -> None:
        """Wait until there is something to read. Raises `EngineUnavailable`."""
        first = await anext(self._outputs, None)
        if first is None:
            raise EngineUnavailable("The engine dropped the request.")
        self._record.cached_tokens += first.num_cached_tokens
        self._record.first_token(first.first_token_s)
        self.prompt_logprobs = first.prompt_logprobs
        self._first = first

    def __aiter__(self) -> Self:
        """Iterate over the deltas, once."""
        return self

    async def __anext__(self) -> ChoiceDelta:
        """Return the next delta. Raises `EngineUnavailable` where answers were not finished."""
        output, self._first = self._first, None
        if output is None:
            output = await anext(self._outputs, None)
        if output is None:
            if self._open:
                raise EngineUnavailable("The engine ended the answer early.")
            raise StopAsyncIteration
        self._record.generated(output.num_tokens, self._first_index + output.index)
        delta = self._choices[output.index].read(output)
        self._open -= delta.finish_reason is not None
        return delta

    async def aclose(self) -> None:
        """Abort what is not finished."""
        await self._outputs.aclose()
