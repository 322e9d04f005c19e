"""The generations of a request's prompts, merged into one stream of deltas."""

import asyncio
from collections.abc import Sequence
from typing import Self

from server.completions.prompt_echo import PromptEcho
from server.concurrency import gather_or_cancel
from server.generation.choice_delta import ChoiceDelta
from server.generation.generation import Generation
from server.generation.interruption import Interruption
from server.generation.prompt_details import PromptDetails


class BatchGeneration:
    """An async iterator of all deltas. Closing it aborts the generations, even before iteration.

    `echoes[i]` is the echo of prompt i, None without `echo`.
    """

    def __init__(self, generations: Sequence[Generation]) -> None:
        self.echoes: Sequence[PromptEcho | None] = [None] * len(generations)
        self.interruption = Interruption()
        self._generations = generations
        # Its size bounds how far generations run ahead of the reader.
        self._queue: asyncio.Queue[ChoiceDelta | Exception | None] = asyncio.Queue(len(generations))
        self._tasks: list[asyncio.Task[None]] = []
        self._num_unfinished = len(generations)

    @property
    def num_choices(self) -> int:
        """The number of choices, over all prompts."""
        return sum(generation.n for generation in self._generations)

    def get_echo(self, index: int) -> PromptEcho | None:
        """Return the echo of the prompt of choice `index`."""
        return self.echoes[self._find_prompt(index)]

    def get_prompt(self, index: int) -> PromptDetails:
        """Return the details of the prompt of choice `index`."""
        return self._generations[self._find_prompt(index)].prompt

    def _find_prompt(self, index: int) -> int:
        return index * len(self._generations) // self.num_choices

    async def await_first(self) -> None:
        """Wait for each generation's first output; the first error cancels the others."""
        await gather_or_cancel(generation.await_first() for generation in self._generations)

    def __aiter__(self) -> Self:
        """Iterate over the deltas, once."""
        self._tasks = [asyncio.create_task(self._enqueue(each)) for each in self._generations]
        return self

    async def __anext__(self) -> ChoiceDelta:
        """Return the next delta of any choice.

        Raises the first error of a generation, `DeadlineExceeded`, or the error that the batch was
        aborted with.
        """
        while self._num_unfinished:
            self.interruption.check()
            item = await self.interruption.limit(self._queue.get())
            if isinstance(item, Exception):
                raise item
            if item is not None:
                return item
            self._num_unfinished -= 1
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Abort the generations that have not finished."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for generation in self._generations:
            await generation.aclose()

    async def _enqueue(self, generation: Generation) -> None:
        try:
            async for delta in generation:
                await self._queue.put(delta)
        except Exception as error:  # raised by `__anext__`
            await self._queue.put(error)
        else:
            await self._queue.put(None)
