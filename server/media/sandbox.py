"""What a decode worker may use: memory and CPU time, but no files and no sockets."""

import os
import resource
import signal
import time
from dataclasses import dataclass
from typing import Final

from PIL import Image

from server.child import end_with_parent
from server.media.decode import Decoded, DecodeOptions, Undecodable, decode

# Decode workers give way to the engine and the event loop.
NICENESS: Final = 5
STANDARD_STREAMS: Final = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """What one decode may take.

    `memory_bytes` is address space on top of what a worker has at rest; `cpu_s` is CPU time,
    `wall_s` what the clock on the wall may say before the worker is killed. `open_files` counts the
    numbers that a file or socket may get; the pipe that the worker has stays.
    """

    memory_bytes: int
    cpu_s: int
    wall_s: float
    open_files: int = STANDARD_STREAMS


def start_worker(limits: Limits) -> None:
    """Prepare a worker process: low priority, plugins loaded, limits set.

    Ctrl-C reaches all processes of a terminal; a worker ends when the server has drained, or with
    it. SIGTERM ends it at once, also inside of a codec, where no Python handler would run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    os.nice(NICENESS)
    _silence()
    Image.MAX_IMAGE_PIXELS = None
    Image.init()
    _limit(resource.RLIMIT_AS, _address_space() + limits.memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, limits.open_files)


def decode_within(limits: Limits, data: bytes, options: DecodeOptions) -> Decoded | Undecodable:
    """Decode one image; the kernel kills the process (SIGXCPU) that takes too much CPU time."""
    spent = int(time.process_time()) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (spent + limits.cpu_s, hard))
    return decode(data, options)


def _silence() -> None:
    """Send what codecs print about damaged files nowhere: it is strangers' text."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _limit(what: int, value: int) -> None:
    """Lower a limit for good; one that is lower already stays."""
    _, hard = resource.getrlimit(what)
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.setrlimit(what, (value, value))


def _address_space() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()
