"""The memory limit, from control groups of both versions as Linux shows them."""

import os
from pathlib import Path

import pytest

from server.process.memory_limit import read_memory_limit

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
MIB = 1024**2
UNLIMITED_V1 = "9223372036854771712"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, MACHINE),
        ({"proc/self/cgroup": "0::/"}, MACHINE),
        ({"proc/self/cgroup": "0::/", f"{V2}/memory.max": "max"}, MACHINE),
        # in a container, whose group is its root
        ({"proc/self/cgroup": "0::/", f"{V2}/memory.max": str(MIB)}, MIB),
        # a systemd unit
        ({"proc/self/cgroup": "0::/a/b", f"{V2}/a/b/memory.max": str(MIB)}, MIB),
        # the tightest of all counts
        (
            {
                "proc/self/cgroup": "0::/a/b",
                f"{V2}/a/memory.max": str(MIB),
                f"{V2}/a/b/memory.max": str(2 * MIB),
            },
            MIB,
        ),
        # version 1, without a group of its own below the mount
        (
            {
                "proc/self/cgroup": "3:cpu:/\n2:memory:/docker/c0ffee\n0::/",
                f"{V1}/memory.limit_in_bytes": str(MIB),
            },
            MIB,
        ),
        ({"proc/self/cgroup": "2:memory:/", f"{V1}/memory.limit_in_bytes": UNLIMITED_V1}, MACHINE),
    ],
)
def test_limits(files: dict[str, str], limit: int, tmp_path: Path) -> None:
    assert read_memory_limit(write(tmp_path, files)) == limit


def test_this_machine() -> None:
    assert 0 < read_memory_limit() <= MACHINE
