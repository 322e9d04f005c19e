"""Runs `python -m evaluation` as a process."""

import asyncio

from tests.asking import process
from tests.asking.process import FinishedProcess


async def start_evaluation(*arguments: str) -> asyncio.subprocess.Process:
    """Start `python -m evaluation`."""
    return await process.start_module("evaluation", *arguments, EVALUATION_API_KEY="a-key")


async def run_evaluation(*arguments: str) -> FinishedProcess:
    """Run `python -m evaluation` until it exits."""
    return await process.wait_for(await start_evaluation(*arguments))
