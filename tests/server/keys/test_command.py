"""`llava-server keys`."""

import json
import os
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.keys.command import main
from server.keys.key_file import read_keys
from server.keys.key_ring import KeyRing
from server.keys.secret import hash_secret


class Keys:
    """The commands on one file."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command; return its exit code and what it prints."""
        code = main([*arguments, "--keys-file", str(self.path)])
        printed = self._capsys.readouterr()
        return code, printed.out.strip(), printed.err.strip()

    def new(self, *arguments: str) -> str:
        """Make a key; return its secret."""
        code, secret, _ = self.run("new", *arguments)
        assert code == 0
        return secret

    def find(self, secret: str) -> str | None:
        """Return the name of a secret's key."""
        match = KeyRing([], read_keys(self.path)).find(secret)
        return None if match is None else match.key.name


@pytest.fixture
def keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Keys:
    """Return the commands on a file that is not there yet."""
    return Keys(tmp_path / "folder" / "keys.toml", capsys)


def test_a_new_key_is_printed_once_and_its_hash_is_kept(keys: Keys) -> None:
    secret = keys.new("alice")
    assert keys.find(secret) == "alice"
    assert secret not in keys.path.read_text()
    assert secret not in "".join(map(str, keys.run("list") + keys.run("list", "--json")))
    assert keys.path.stat().st_mode & 0o777 == 0o600
    assert list(keys.path.parent.iterdir()) == [keys.path]


def test_limits_and_expiry(keys: Keys) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    keys.new("a", "--requests-per-minute", "6", "--models", "x, y", "--weight", "2.5",
             "--priority", "-3", "--expires", "90d", "--concurrent-requests", "1",
             "--image-tokens-per-minute", "7", "--output-tokens-per-minute", "8")  # fmt: skip
    (key,) = read_keys(keys.path)
    assert (key.requests_per_minute, key.models, key.weight, key.priority) == (
        6, ("x", "y"), 2.5, -3,
    )  # fmt: skip
    assert (key.image_tokens_per_minute, key.output_tokens_per_minute) == (7, 8)
    assert key.expires is not None
    assert timedelta(0) <= key.expires - before - timedelta(days=90) < timedelta(minutes=1)


def test_a_rotated_key_keeps_its_name_and_for_a_while_its_old_secret(keys: Keys) -> None:
    first = keys.new("alice", "--requests-per-minute", "6")
    second = keys.run("rotate", "alice", "--keep", "2h")[1]
    assert (keys.find(first), keys.find(second)) == ("alice", "alice")
    third = json.loads(keys.run("rotate", "alice", "--keep", "0", "--json")[1])["key"]
    assert [keys.find(each) for each in (first, second, third)] == [None, None, "alice"]
    assert read_keys(keys.path)[0].requests_per_minute == 6


def test_a_revoked_key_stays_in_the_list(keys: Keys) -> None:
    keys.new("alice")
    assert keys.run("revoke", "alice")[0] == 0
    (entry,) = json.loads(keys.run("list", "--json")[1])
    assert (entry["name"], entry["state"]) == ("alice", "revoked")
    assert keys.run("rotate", "alice")[0] == 1
    assert keys.run("new", "alice")[0] == 1


def test_the_operators_comments_stay(keys: Keys) -> None:
    keys.path.parent.mkdir()
    keys.path.write_text(
        f"# ours\n[keys.alice] # first\nhash = '{hash_secret('a')}' # why\n\n# of bob\n"
        f"[keys.bob]\nhash = '{hash_secret('b')}'\n# end\n"
    )
    for arguments in (
        ["rotate", "alice"],
        ["revoke", "alice"],
        ["revoke", "bob"],
        ["new", "carol"],
    ):
        assert keys.run(*arguments)[0] == 0
    text = keys.path.read_text()
    assert text.index("# of bob\n[keys.bob]") > text.index("disabled = true\n")
    for comment in ("# ours\n[keys.alice] # first", "# why", "# end"):
        assert comment in text


def test_an_expired_key_is_not_rotated(keys: Keys) -> None:
    keys.path.parent.mkdir()
    keys.path.write_text(f"[keys.alice]\nhash = '{hash_secret('a')}'\nexpires = 2020-01-01\n")
    code, printed, said = keys.run("rotate", "alice")
    assert (code, printed) == (1, "")
    assert "the key 'alice' has expired; make a new one" in said
    assert keys.find("a") == "alice"


def test_the_file_is_utf_8_whatever_the_locale_is(keys: Keys) -> None:
    keys.path.parent.mkdir()
    keys.path.write_bytes("# Schlüssel\r\n".encode())
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command: list[Any] = [sys.executable, "-m", "server", "keys", "new", "alice"]
    subprocess.run([*command, "--keys-file", keys.path], check=True, env=environment)
    assert keys.path.read_bytes().startswith("# Schlüssel\r\n".encode())
    keys.path.write_bytes("# Schlüssel".encode("latin-1"))
    code, _, said = keys.run("new", "bob")
    assert code == 1
    assert "is not UTF-8 at byte 6" in said


def test_a_byte_order_mark_goes_with_an_edit(keys: Keys) -> None:
    secret = keys.new("alice")
    keys.path.write_text(keys.path.read_text(), encoding="utf-8-sig")
    other = keys.new("john.doe")
    assert (keys.find(secret), keys.find(other)) == ("alice", "john.doe")
    assert not keys.path.read_bytes().startswith(b"\xef\xbb\xbf")


def test_the_file_keeps_its_mode_and_its_link(keys: Keys) -> None:
    target = keys.path.parent / "target.toml"
    target.parent.mkdir()
    target.touch(0o640)
    target.chmod(0o640)
    keys.path.symlink_to(target.name)
    keys.new("alice")
    assert keys.path.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["revoke", "bob"], 1, "has no key 'bob'"),
        (["rotate", "bob"], 1, "has no key 'bob'"),
        (["new", "alice"], 1, "has a key 'alice' already"),
        (["new", "a b"], 2, "is not a name for a key"),
        (["new", "env-1"], 2, "LLAVA_API_KEYS"),
        (["new", "bob", "--expires", "soon"], 2, "is not a time"),
        (["new", "bob", "--expires", "2001-01-01"], 2, "is in the past"),
        (["new", "bob", "--requests-per-minute", "0"], 2, "requests-per-minute"),
        (["rotate", "alice", "--keep", "x"], 2, "is not a span of time"),
    ],
)
def test_mistakes_are_told_and_change_nothing(
    keys: Keys, arguments: list[str], code: int, said: str
) -> None:
    keys.new("alice")
    before = keys.path.read_bytes()
    result = keys.run(*arguments)
    assert result[0] == code
    assert said in " ".join(result[2].split())
    assert keys.path.read_bytes() == before


def test_a_broken_file_is_not_written(keys: Keys) -> None:
    keys.path.parent.mkdir()
    keys.path.write_text("[keys.alice]\n")
    code, _, said = keys.run("new", "bob")
    assert (code, keys.path.read_text()) == (1, "[keys.alice]\n")
    assert "line 1, key 'alice': 'hash' is missing" in said


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    command: list[Any] = [sys.executable, "-m", "server", "keys", "new"]

    def make(number: int) -> str:
        run = [*command, f"key-{number}", "--keys-file", path]
        return subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()

    with ThreadPoolExecutor(4) as pool:
        secrets = list(pool.map(make, range(4)))
    ring = KeyRing([], read_keys(path))
    assert all(ring.find(secret) for secret in secrets)
    assert len(tomllib.loads(path.read_text())["keys"]) == 4
