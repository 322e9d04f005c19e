"""The files by which Prometheus finds replicas."""

import json
import os
import platform
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from server.listening import listen
from server.scale.admin_ports import listen_for_admin
from server.scale.targets import name_address, publish_target


def test_a_target_is_there_for_a_block(tmp_path: Path) -> None:
    folder = tmp_path / "targets"
    with publish_target(folder, "one", "127.0.0.1:9000"):
        (target,) = json.loads((folder / "one.json").read_text())
        assert target["targets"] == ["127.0.0.1:9000"]
        assert target["labels"]["replica"] == "one"
    assert list(folder.iterdir()) == []


def test_files_of_the_dead_are_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    here = {"__meta_node": platform.node()}
    labels = {"replica": "dead", "__meta_pid": str(dead.pid), **here}
    (tmp_path / "dead.json").write_text(json.dumps([{"targets": ["x:1"], "labels": labels}]))
    (tmp_path / "other.json").write_text("[]")
    far = {**labels, "__meta_node": "another machine"}
    (tmp_path / "far.json").write_text(json.dumps([{"targets": ["y:1"], "labels": far}]))
    labels = {"replica": "alive", "__meta_pid": str(os.getpid()), **here}
    (tmp_path / "alive.json").write_text(json.dumps([{"targets": ["x:2"], "labels": labels}]))
    with publish_target(tmp_path, "one", "127.0.0.1:9000"):
        names = {path.name for path in tmp_path.iterdir()}
    assert names == {"alive.json", "far.json", "one.json", "other.json"}


def test_the_next_replica_takes_the_next_port() -> None:
    with ExitStack() as stack:
        ports = [listen_for_admin("127.0.0.1", 0, stack).getsockname()[1]]
        ports += [listen_for_admin("127.0.0.1", ports[0], stack).getsockname()[1] for _ in range(2)]
        assert sorted(set(ports)) == ports
    with ExitStack() as stack, pytest.raises(OSError, match="203"):
        listen_for_admin("203.0.113.1", 9000, stack)


def test_a_listener_on_all_addresses_is_named_by_the_machine_s() -> None:
    with listen("0.0.0.0", 0, None) as every, listen("127.0.0.1", 0, None) as one:  # noqa: S104
        ports = [each.getsockname()[1] for each in (every, one)]
        assert name_address(every, "10.0.0.7") == f"10.0.0.7:{ports[0]}"
        assert name_address(every, "fd00::7") == f"[fd00::7]:{ports[0]}"
        assert name_address(one, "10.0.0.7") == f"127.0.0.1:{ports[1]}"
