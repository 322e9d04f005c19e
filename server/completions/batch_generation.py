"""The answers to several prompts of one request, merged as they come."""

import asyncio
from collections.abc import Sequence
from typing import Self

from server.completions.prompt_echo import PromptEcho
from server.concurrency import gather_or_cancel
from server.generation.choice_delta import ChoiceDelta
from server.generation.generation import Generation


class BatchGeneration:
    """An iterator of all generations' deltas. Closing it aborts them, whether it was begun or not.

    `echoes[i]` is what the answers to prompt i begin with, None where they are not to repeat it.
    """

    def __init__(self, generations: Sequence[Generation]) -> None:
        self.echoes: Sequence[PromptEcho | None] = [None] * len(generations)
        self._generations = generations
        # With room for one delta of each, none goes on while nobody reads.
        self._ready: asyncio.Queue[ChoiceDelta | Exception | None] = asyncio.Queue(len(generations))
        self._readers: list[asyncio.Task[None]] = []
        self._open = len(generations)

    @property
    def size(self) -> int:
        """How many answers there are, to all prompts."""
        return sum(generation.n for generation in self._generations)

    def echo(self, index: int) -> PromptEcho | None:
        """Return what an answer begins with."""
        return self.echoes[index * len(self._generations) // self.size]

    async def await_first(self) -> None:
        """Wait until each prompt has something to read; the first error ends them all."""
        await gather_or_cancel(generation.await_first() for generation in self._generations)

    def __aiter__(self) -> Self:
        """Iterate over the deltas, once."""
        self._readers = [asyncio.create_task(self._read(each)) for each in self._generations]
        return self

    async def __anext__(self) -> ChoiceDelta:
        """Return the next delta of any answer. Raises what a generation raises."""
        while self._open:
            ready = await self._ready.get()
            if isinstance(ready, Exception):
                raise ready
            if ready is not None:
                return ready
            self._open -= 1
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Abort what is not finished."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for generation in self._generations:
            await generation.aclose()

    async def _read(self, generation: Generation) -> None:
        try:
            async for delta in generation:
                await self._ready.put(delta)
        except Exception as error:  # for whoever iterates
            await self._ready.put(error)
        else:
            await self._ready.put(None)
