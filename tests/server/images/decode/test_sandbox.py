"""A decode worker has no files and no sockets, and still decodes."""

import errno
import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final

from server.images.decode.decode import DecodedImage, DecodeOptions, decode
from server.images.decode.formats import FORMATS
from server.images.decode.sandbox import DecodeLimits, run_within_limits, start_decode_worker
from tests.mutation import build_seed_images

LIMITS: Final = DecodeLimits(memory_bytes=2**28, cpu_s=20, wall_s=20)


def run_in_worker(function: Callable[[], Any]) -> Any:
    """Return a function's result from a process with the limits of a decode worker."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe()
    process = context.Process(target=_run, args=(function, sender))
    process.start()
    sender.close()
    result = receiver.recv()
    process.join()
    receiver.close()
    return result


def _run(function: Callable[[], Any], sender: Connection) -> None:
    start_decode_worker(LIMITS)
    sender.send(function())


def _errno(attempt: Callable[[], Any]) -> int | None:
    try:
        attempt()
    except OSError as error:
        return error.errno
    return None


def _open_file_and_socket() -> list[int | None]:
    return [_errno(lambda: os.open("/etc/hosts", os.O_RDONLY)), _errno(socket.socket)]


def _decode_all_formats() -> list[str]:
    results = [
        run_within_limits(LIMITS, decode, data, DecodeOptions(96, "pad", 10**6))
        for data in build_seed_images()
    ]
    return [each.format if isinstance(each, DecodedImage) else each.fault for each in results]


def test_it_opens_neither_files_nor_sockets() -> None:
    assert run_in_worker(_open_file_and_socket) == [errno.EMFILE, errno.EMFILE]


def test_it_decodes_every_format() -> None:
    formats = set(run_in_worker(_decode_all_formats))
    assert formats == set(FORMATS)
