"""Image loaders with real decode workers."""

from collections.abc import Iterator
from contextlib import contextmanager

from server.images.decode.decode import DecodeOptions
from server.images.decode.sandbox import DecodeLimits
from server.images.decode.workers import DecodeWorkers
from server.images.fetch.fetcher import Fetcher
from server.images.loader import ImageLoader
from server.telemetry.metrics import Metrics
from tests.server.loopback import build_loopback_options

OPTIONS = DecodeOptions(96, "pad", 1_000_000)


@contextmanager
def open_workers(
    *,
    workers: int = 1,
    timeout_s: float = 20,
    cpu_s: int = 20,
    memory_mib: int = 2048,
    open_files: int = 3,
    metrics: Metrics | None = None,
) -> Iterator[DecodeWorkers]:
    """Return decode workers, and end them at the end of the block."""
    limits = DecodeLimits(memory_mib * 2**20, cpu_s, timeout_s, open_files)
    started = DecodeWorkers(count=workers, limits=limits, metrics=metrics or Metrics())
    try:
        yield started
    finally:
        started.close()


@contextmanager
def open_loader(
    options: DecodeOptions = OPTIONS,
    *,
    workers: int = 1,
    timeout_s: float = 20,
    cpu_s: int = 20,
    memory_mib: int = 2048,
    open_files: int = 3,
    max_bytes: int = 10_000_000,
    variant: str = "",
    metrics: Metrics | None = None,
) -> Iterator[ImageLoader]:
    """Return a loader with workers of its own, and end them at the end of the block."""
    metrics = metrics or Metrics()
    with open_workers(
        workers=workers,
        timeout_s=timeout_s,
        cpu_s=cpu_s,
        memory_mib=memory_mib,
        open_files=open_files,
        metrics=metrics,
    ) as started:
        yield build_loader(started, options, max_bytes=max_bytes, variant=variant, metrics=metrics)


def build_loader(
    workers: DecodeWorkers,
    options: DecodeOptions = OPTIONS,
    *,
    max_bytes: int = 10_000_000,
    variant: str = "",
    metrics: Metrics | None = None,
) -> ImageLoader:
    """Return a loader with these workers."""
    fetcher = Fetcher(build_loopback_options(max_bytes=max_bytes, timeout_s=20))
    return ImageLoader(fetcher, options, workers, variant=variant, metrics=metrics or Metrics())
