"""Edits the keys file: one writer at a time, comments kept, readers never see half a file."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.exceptions import TOMLKitError

from server.keys.errors import KeysFileError
from server.keys.key_file import parse_keys, read_text

HEADER: Final = (
    "API keys of llava-server; docs/keys.md describes the fields.\n"
    "It holds hashes only. A running server reads it again when it changes."
)
NEW_FILE_MODE: Final = 0o600


@contextmanager
def edit_keys(path: Path) -> Iterator[TOMLDocument]:
    """Yield the file's content to be changed; it is written at the end of the block.

    The lock is on the folder, since the file itself is replaced. Raises `OSError`, and
    `KeysFileError`, also if the block leaves a file that the server would refuse.
    """
    path = path.resolve()  # a symbolic link stays, and leads to the new file
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _lock(path.parent):
        text = read_text(path) if path.exists() else ""
        if text.strip():
            parse_keys(text, path)
        else:
            text = _build_header()
        document = _parse(text, path)
        yield document
        changed = tomlkit.dumps(document)
        parse_keys(changed, path)
        _write(path, changed)


def _parse(text: str, path: Path) -> TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise KeysFileError(path, [f" cannot be edited: {error}"]) from None


def _build_header() -> str:
    return "".join(f"# {line}\n" for line in HEADER.splitlines())


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, text: str) -> None:
    """Replace the file atomically. It keeps its owner and mode, so that the server can read it."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            _copy_permissions(path, file.fileno())
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _copy_permissions(path: Path, descriptor: int) -> None:
    os.fchmod(descriptor, NEW_FILE_MODE)
    if not path.exists():
        return
    status = path.stat()
    with suppress(PermissionError):  # only root may change the owner
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, status.st_mode & 0o777)
