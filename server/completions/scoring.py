"""Prompts that are only scored: the engine generates a token at least, which nobody asked for."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from server.engine.base import EngineOutput


async def drop_generated_tokens(
    outputs: AsyncGenerator[EngineOutput, None],
) -> AsyncGenerator[EngineOutput, None]:
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
