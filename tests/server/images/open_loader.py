"""Image loaders with real decode workers."""

from collections.abc import Iterator
from contextlib import contextmanager

from server.images.decode.decode import DecodeOptions
from server.images.decode.sandbox import DecodeLimits
from server.images.fetch.fetcher import Fetcher
from server.images.loader import ImageLoader
from server.telemetry.metrics import Metrics
from tests.server.loopback import build_loopback_options

OPTIONS = DecodeOptions(96, "pad", 1_000_000)


@contextmanager
def open_loader(
    options: DecodeOptions = OPTIONS,
    *,
    workers: int = 1,
    timeout_s: float = 20,
    cpu_s: int = 20,
    memory_mib: int = 2048,
    open_files: int = 3,
    variant: str = "",
    metrics: Metrics | None = None,
) -> Iterator[ImageLoader]:
    """Return a loader, and close it at the end of the block."""
    loader = ImageLoader(
        Fetcher(build_loopback_options(max_bytes=10_000_000, timeout_s=20)),
        options,
        workers=workers,
        limits=DecodeLimits(memory_mib * 2**20, cpu_s, timeout_s, open_files),
        variant=variant,
        metrics=metrics or Metrics(),
    )
    try:
        yield loader
    finally:
        loader.close()
