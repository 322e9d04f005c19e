"""The limits of a decode worker: memory and CPU time, and no files or sockets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar, TypeVarTuple

# All that workers are to run is imported here: a confined process cannot open a module's file.
from server.images.decode import image_size  # noqa: F401
from server.images.decode.formats import load_plugins
from server.images.decode.video import decode  # noqa: F401
from server.images.decode.video.reader import load_libraries
from server.workers.confinement import confine, limit_cpu

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

# Decode workers give way to the engine and the event loop.
NICENESS: Final = 5
STANDARD_STREAMS: Final = 3


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """The resources that one decode may take.

    `memory_bytes` is address space in addition to that of an idle worker. `cpu_s` is CPU time,
    `wall_s` the wall-clock time after which the worker is killed. `open_files` bounds the file
    descriptors of new files and sockets; the worker's own pipe stays open.
    """

    memory_bytes: int
    cpu_s: int
    wall_s: float
    open_files: int = STANDARD_STREAMS


def start_decode_worker(limits: DecodeLimits) -> None:
    """Prepare a worker process: low priority, plugins loaded, limits set."""
    load_plugins()
    load_libraries()
    confine(memory_bytes=limits.memory_bytes, open_files=limits.open_files, niceness=NICENESS)


def run_within_limits(
    limits: DecodeLimits, function: Callable[[*Arguments], Result], *args: *Arguments
) -> Result:
    """Return `function(*args)`; the kernel kills the process after `limits.cpu_s` of CPU time."""
    limit_cpu(limits.cpu_s)
    return function(*args)
