"""What a decode worker cannot do."""

import errno
import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final

from server.images.decode.decode import DecodedImage, DecodeOptions
from server.images.decode.sandbox import DecodeLimits, decode_within, start_worker
from tests.mutation import build_seed_images

LIMITS: Final = DecodeLimits(memory_bytes=2**28, cpu_s=20, wall_s=20)


def in_a_worker(report: Callable[[], Any]) -> Any:
    """Return what a function says in a process of its own that has been limited."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_limited, args=(report, there))
    process.start()
    there.close()
    said = here.recv()
    process.join()
    here.close()
    return said


def _limited(report: Callable[[], Any], there: Connection) -> None:
    start_worker(LIMITS)
    there.send(report())


def _error(attempt: Callable[[], Any]) -> int | None:
    try:
        attempt()
    except OSError as error:
        return error.errno
    return None


def _opened() -> list[int | None]:
    return [_error(lambda: os.open("/etc/hosts", os.O_RDONLY)), _error(socket.socket)]


def _formats() -> list[str]:
    verdicts = [
        decode_within(LIMITS, data, DecodeOptions(96, "pad", 10**6)) for data in build_seed_images()
    ]
    return [each.format if isinstance(each, DecodedImage) else each.fault for each in verdicts]


def test_it_opens_neither_files_nor_sockets() -> None:
    assert in_a_worker(_opened) == [errno.EMFILE, errno.EMFILE]


def test_it_decodes_every_format_all_the_same() -> None:
    assert set(in_a_worker(_formats)) == {"JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"}
