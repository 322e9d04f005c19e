"""`python -m evaluation`, as a process of its own."""

import asyncio

from tests.asking import process
from tests.asking.process import Finished


async def start(*arguments: str) -> asyncio.subprocess.Process:
    """Start `python -m evaluation`."""
    return await process.start("evaluation", *arguments, EVALUATION_API_KEY="a-key")


async def evaluation(*arguments: str) -> Finished:
    """Run `python -m evaluation` to its end."""
    return await process.finished(await start(*arguments))
