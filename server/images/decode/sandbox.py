"""What a decode worker may use: memory and CPU time, but no files and no sockets."""

from dataclasses import dataclass
from typing import Final

from PIL import Image

from server.images.decode.decode import DecodedImage, DecodeFailure, DecodeOptions, decode
from server.workers.confinement import confine, limit_cpu

# Decode workers give way to the engine and the event loop.
NICENESS: Final = 5
STANDARD_STREAMS: Final = 3


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one decode may take.

    `memory_bytes` is address space on top of what a worker has at rest; `cpu_s` is CPU time,
    `wall_s` what the clock on the wall may say before the worker is killed. `open_files` counts the
    numbers that a file or socket may get; the pipe that the worker has stays.
    """

    memory_bytes: int
    cpu_s: int
    wall_s: float
    open_files: int = STANDARD_STREAMS


def start_worker(limits: DecodeLimits) -> None:
    """Prepare a worker process: low priority, plugins loaded, limits set."""
    Image.MAX_IMAGE_PIXELS = None
    Image.init()
    confine(memory_bytes=limits.memory_bytes, open_files=limits.open_files, niceness=NICENESS)


def decode_within(
    limits: DecodeLimits, data: bytes, options: DecodeOptions
) -> DecodedImage | DecodeFailure:
    """Decode one image; a process that takes too much CPU time for it is killed."""
    limit_cpu(limits.cpu_s)
    return decode(data, options)
