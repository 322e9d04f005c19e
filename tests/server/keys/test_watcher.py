"""The file of keys is read again when it changes, and a broken one changes nothing."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.keys import watcher as watcher_module
from server.keys.key import ApiKey
from server.keys.secret import hash_secret
from server.keys.watcher import MAX_UNSETTLED, KeysFileWatcher

POLL_S = 0.01
LIMIT_S = 10


def table(name: str) -> str:
    """Return a key of the file."""
    return f'[keys.{name}]\nhash = "{hash_secret(name)}"\n'


class Watched:
    """A watched file, and what the watcher tells."""

    def __init__(self, path: Path, poll_s: float = POLL_S) -> None:
        self.path = path
        self.names: list[str] = []
        self.is_ok = True
        self.num_reads = 0
        self.watcher = KeysFileWatcher(path, self._note, self._note_ok, poll_s)

    def _note(self, keys: Sequence[ApiKey]) -> None:
        self.names = [key.name for key in keys]

    def _note_ok(self, is_ok: bool) -> None:
        self.is_ok = is_ok
        self.num_reads += 1

    async def wait_for(self, names: list[str], *, is_ok: bool = True) -> None:
        """Wait until the keys are these."""
        async with asyncio.timeout(LIMIT_S):
            while (self.names, self.is_ok) != (names, is_ok):  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(POLL_S)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    """Return a watched file with one key."""
    path = tmp_path / "keys.toml"
    path.write_text(table("alice"))
    watched = Watched(path)
    task = asyncio.create_task(watched.watcher.watch())
    await watched.wait_for(["alice"])
    yield watched
    task.cancel()


async def test_a_change_is_read(watched: Watched) -> None:
    watched.path.write_text(table("alice") + table("bob"))
    await watched.wait_for(["alice", "bob"])


async def test_a_file_that_is_replaced_is_read(watched: Watched) -> None:
    other = watched.path.with_name("other")
    other.write_text(table("bobby"))
    os.replace(other, watched.path)
    await watched.wait_for(["bobby"])


async def test_a_symbolic_link_that_leads_elsewhere_is_followed(tmp_path: Path) -> None:
    """So Kubernetes changes a secret: `..data` is replaced by a link to another folder."""
    for name in ("alice", "bob"):
        (tmp_path / f"of-{name}").mkdir()
        (tmp_path / f"of-{name}" / "keys.toml").write_text(table(name))
    (tmp_path / "..data").symlink_to("of-alice")
    (tmp_path / "keys.toml").symlink_to("..data/keys.toml")
    watched = Watched(tmp_path / "keys.toml")
    task = asyncio.create_task(watched.watcher.watch())
    await watched.wait_for(["alice"])
    (tmp_path / "new").symlink_to("of-bob")
    os.replace(tmp_path / "new", tmp_path / "..data")
    await watched.wait_for(["bob"])
    task.cancel()


@pytest.mark.parametrize(
    "broken", ["[keys.alice", "[keys.alice]\n", "\0", "x = 1", "x = " + "9" * 5000]
)
async def test_a_broken_file_keeps_the_old_keys_and_says_so_once(
    watched: Watched, broken: str
) -> None:
    before = watched.num_reads
    watched.path.write_text(broken)
    await watched.wait_for(["alice"], is_ok=False)
    await asyncio.sleep(5 * POLL_S)
    assert watched.num_reads == before + 1
    watched.path.write_text(table("bob"))
    await watched.wait_for(["bob"])


async def test_a_missing_file_keeps_the_old_keys(watched: Watched) -> None:
    watched.path.unlink()
    await watched.wait_for(["alice"], is_ok=False)
    watched.path.mkdir()
    await asyncio.sleep(5 * POLL_S)
    assert (watched.names, watched.is_ok) == (["alice"], False)
    watched.path.rmdir()
    watched.path.write_text(table("bob"))
    await watched.wait_for(["bob"])


async def test_a_reload_that_is_asked_for_waits_for_no_poll(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text(table("alice"))
    watched = Watched(tmp_path / "keys.toml", poll_s=1000)
    task = asyncio.create_task(watched.watcher.watch())
    watched.watcher.reload_soon()
    await watched.wait_for(["alice"])
    watched.path.write_text(table("bob"))
    watched.watcher.reload_soon()
    await watched.wait_for(["bob"])
    task.cancel()


async def test_a_file_that_is_still_written_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(table("alice"))
    watched = Watched(path)
    await watched.watcher._look()
    await watched.watcher._look()
    assert watched.names == ["alice"]
    for size in (10, 20):
        path.write_text(table("bob")[:size])
        await watched.watcher._look()
    assert watched.num_reads == 1
    path.write_text(table("bob"))
    await watched.watcher._look()
    await watched.watcher._look()
    assert (watched.names, watched.num_reads) == (["bob"], 2)


async def test_a_file_that_always_changes_is_read_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(table("alice"))
    watched = Watched(path)
    for number in range(3 * MAX_UNSETTLED):
        path.write_text(table(f"key-{'x' * number}"))
        await watched.watcher._look()
        assert watched.num_reads == (number + 1) // MAX_UNSETTLED
    assert watched.names == [f"key-{'x' * number}"]
    assert MAX_UNSETTLED * watcher_module.POLL_S <= 2  # as documented


async def test_an_unforeseen_error_shows_in_metrics(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> tuple[ApiKey, ...]:
        raise MemoryError

    with capture_logs() as lines, monkeypatch.context() as patch:
        patch.setattr(watcher_module, "read_keys", fail)
        watched.path.write_text(table("bob"))
        await watched.wait_for(["alice"], is_ok=False)
    assert [line["log_level"] for line in lines] == ["error"]


async def test_a_file_that_cannot_be_read_for_a_while_is_tried_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> tuple[ApiKey, ...]:
        raise OSError(24, "Too many open files")

    with capture_logs() as lines, monkeypatch.context() as patch:
        patch.setattr(watcher_module, "read_keys", fail)
        watched.path.write_text(table("bob"))
        await watched.wait_for(["alice"], is_ok=False)
        await asyncio.sleep(10 * POLL_S)
    assert ["Too many open files" in line.get("reason", "") for line in lines] == [True]
    await watched.wait_for(["bob"])
