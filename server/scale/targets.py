"""A file for each replica that tells Prometheus where its metrics are (`file_sd_configs`)."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import psutil

PROCESS_LABEL: Final = "__meta_pid"


@contextmanager
def publish_target(folder: Path, replica: str, address: str) -> Iterator[None]:
    """Name the replica's `host:port` in the folder for a block.

    Files of replicas that were killed are removed by the next one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_stale(folder)
    path = folder / f"{replica}.json"
    labels = {"replica": replica, PROCESS_LABEL: str(os.getpid())}
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps([{"targets": [address], "labels": labels}]) + "\n")
    partial.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def name_address(listener: socket.socket, node_address: str) -> str:
    """Return the `host:port` of a listener; the machine's address where it listens on all."""
    host, port = listener.getsockname()[:2]
    if ip_address(host).is_unspecified:
        host = node_address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _remove_stale(folder: Path) -> None:
    for path in folder.glob("*.json"):
        with suppress(OSError, ValueError, LookupError):
            pid = int(json.loads(path.read_text())[0]["labels"][PROCESS_LABEL])
            if not psutil.pid_exists(pid):
                path.unlink()
