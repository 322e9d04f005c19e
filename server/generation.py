"""The outputs of one request, from the first on, told to its record on their way."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Self

from server.engine.base import Output
from server.errors import EngineUnavailable
from server.record import RequestRecord


class Generation:
    """An iterator of outputs. Closing it aborts the sequence, whether it was begun or not."""

    def __init__(self, outputs: AsyncGenerator[Output, None], record: RequestRecord) -> None:
        self._outputs = outputs
        self._record = record
        self._first: Output | None = None
        self._begun = False

    async def await_first(self) -> None:
        """Wait until there is something to read. Raises `EngineUnavailable`."""
        first = await anext(self._outputs, None)
        if first is None:
            raise EngineUnavailable("The engine dropped the request.")
        self._record.cached_tokens = first.num_cached_tokens
        self._record.first_token(first.first_token_s)
        self._first = first

    def __aiter__(self) -> Self:
        """Iterate over the outputs, once."""
        return self

    async def __anext__(self) -> Output:
        """Return the next output, without the space that follows `ASSISTANT:`."""
        output, self._first = self._first, None
        if output is None:
            output = await anext(self._outputs)
        self._record.generated(output.num_tokens)
        if not self._begun:
            output = replace(output, text=output.text.lstrip())
            self._begun = bool(output.text)
        return output

    async def aclose(self) -> None:
        """Abort what is not finished."""
        await self._outputs.aclose()
