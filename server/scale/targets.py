"""A file for each replica that tells Prometheus where its metrics are (`file_sd_configs`)."""

import json
import os
import platform
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import psutil

from server.start.serving import StartFailed

PROCESS_LABEL: Final = "__meta_pid"
NODE_LABEL: Final = "__meta_node"


@contextmanager
def publish_target(folder: Path, replica: str, address: str) -> Iterator[None]:
    """Name the replica's `host:port` in the folder for a block.

    Files of replicas that were killed are removed by the next one.
    """
    create_folder(folder)
    _remove_stale(folder)
    path = folder / f"{replica}.json"
    labels = {"replica": replica, PROCESS_LABEL: str(os.getpid()), NODE_LABEL: platform.node()}
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps([{"targets": [address], "labels": labels}]) + "\n")
    partial.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def create_folder(folder: Path) -> None:
    """Create the folder for targets, where it is missing. Raises `StartFailed`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot create the folder {folder}: {error.strerror}"
        raise StartFailed(f"--metrics-targets: {problem}") from None


def name_address(listener: socket.socket, node_address: str) -> str:
    """Return the `host:port` of a listener; the machine's address where it listens on all."""
    host, port = listener.getsockname()[:2]
    if ip_address(host).is_unspecified:
        host = node_address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _remove_stale(folder: Path) -> None:
    for path in folder.glob("*.json"):
        with suppress(OSError, ValueError, LookupError):
            labels = json.loads(path.read_text())[0]["labels"]
            is_of_here = labels[NODE_LABEL] == platform.node()  # machines may share the folder
            if is_of_here and not psutil.pid_exists(int(labels[PROCESS_LABEL])):
                path.unlink()
