"""A scripted engine, to inject faults; everything else in these tests is real."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from server.checkpoint.config import CheckpointError
from server.engine.base import EngineImage, EngineOutput, SamplingOptions, ToolParser
from server.errors import ApiError


@dataclass(frozen=True)
class Call:
    """The arguments of one call of `generate`."""

    request_id: str
    token_ids: list[int]
    images: Sequence[EngineImage]
    sampling: SamplingOptions
    stream: bool
    adapter: str | None
    cache_partition: str = ""


@dataclass
class FakeEngine:
    """Replays `script`: outputs to yield, exceptions to raise, and events to wait for."""

    script: Sequence[EngineOutput | Exception | asyncio.Event] = ()
    max_model_len: int = 2048
    calls: list[Call] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    error: ApiError | None = None

    async def generate(
        self,
        request_id: str,
        token_ids: list[int],
        images: Sequence[EngineImage],
        sampling: SamplingOptions,
        *,
        stream: bool,
        adapter: str | None = None,
        cache_partition: str,
    ) -> AsyncGenerator[EngineOutput, None]:
        """Replay the script."""
        self.calls.append(
            Call(request_id, token_ids, images, sampling, stream, adapter, cache_partition)
        )
        self.begun.set()
        try:
            for item in self.script:
                if isinstance(item, Exception):
                    raise item
                if isinstance(item, asyncio.Event):
                    await item.wait()
                else:
                    yield item
        finally:
            self.closed.set()

    def load_tool_parser(self, name: str) -> ToolParser:
        """Raise `CheckpointError`: there is no parser."""
        raise CheckpointError(name)

    async def load_adapters(self) -> None:
        """Do nothing: there are no adapters."""

    @property
    def is_busy(self) -> bool:
        """Whether the engine works on a sequence."""
        return False

    @property
    def has_failed(self) -> bool:
        """Whether the engine can no longer generate."""
        return self.error is not None

    async def wait_until_dead(self) -> str:
        """Wait forever."""
        await asyncio.Event().wait()
        return "the engine died"

    def fail_all(self, error: ApiError) -> None:
        """Keep the error."""
        self.error = error

    def close(self) -> None:
        """Do nothing."""
