"""The memory that this process may use: the machine's, or less in a container."""

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def read_memory_limit(root: Path = ROOT) -> int:
    """Return the bytes of the machine's memory, or of the tightest control group around us.

    `root` holds `proc` and `sys`, as Linux mounts them.
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *_read_control_groups(root)])


def _read_control_groups(root: Path) -> Iterator[int]:
    """Yield the memory limits of this process's control groups, of version 1 and 2."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:  # hierarchy:controllers:path
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _read_limits(root / "sys/fs/cgroup", path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _read_limits(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes")


def _read_limits(mount: Path, path: str, name: str) -> Iterator[int]:
    """Yield the limits from a group up to the mount; a container sees its own group there."""
    group = mount / path.strip("/")
    for folder in (group, *group.parents):
        try:
            text = (folder / name).read_text().strip()
        except OSError:
            text = ""
        if text.isdecimal():  # else "max"
            yield int(text)
        if folder == mount:
            return
