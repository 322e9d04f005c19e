"""Prompts that are only scored: the engine generates a token at least, which nobody asked for."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from server.engine.base import Output


async def without_answer(outputs: AsyncGenerator[Output, None]) -> AsyncGenerator[Output, None]:
    """Yield the outputs without what was generated."""
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
