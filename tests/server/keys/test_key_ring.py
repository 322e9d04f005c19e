"""Keys are found by their secrets."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.keys.configured import read_key_ring
from server.keys.errors import KeysFileError
from server.keys.key import PreviousHash
from server.keys.key_ring import KeyRing
from server.keys.secret import generate_secret, hash_secret
from server.settings import Settings
from tests.server.keys.samples import build_key

NOW = datetime.now(UTC)


def test_a_secret_finds_its_key() -> None:
    ring = KeyRing(["one", "two"], [build_key("alice")])
    found = [ring.find(secret) for secret in ("one", "two", "alice")]
    assert [match.key.name for match in found if match] == ["env-1", "env-2", "alice"]
    assert [ring.find(secret) for secret in ("", "ONE", "three", "alice ")] == [None] * 4


def test_the_key_of_the_file_goes_before_the_same_one_of_the_environment() -> None:
    match = KeyRing(["same"], [build_key("alice", "same")]).find("same")
    assert match is not None
    assert match.key.name == "alice"


def test_an_earlier_secret_expires_by_itself_or_with_the_key() -> None:
    previous = (PreviousHash(hash=hash_secret("old"), expires=NOW + timedelta(days=2)),)
    for expires, end in ((None, 2), (NOW + timedelta(days=1), 1), (NOW + timedelta(days=3), 2)):
        match = KeyRing([], [build_key(previous=previous, expires=expires)]).find("old")
        assert match is not None
        assert match.expires == NOW + timedelta(days=end)


def test_a_server_is_open_only_without_any_source_of_keys() -> None:
    assert KeyRing().is_open
    assert not KeyRing(["one"]).is_open
    assert not KeyRing([], []).is_open  # a file without keys


def test_keys_are_replaced_and_those_of_the_environment_stay() -> None:
    ring = KeyRing(["one"], [build_key("alice")])
    ring.replace([build_key("bob")])
    assert ring.find("alice") is None
    assert list(ring.keys) == ["env-1", "bob"]


def test_secrets_are_long_and_random() -> None:
    first, second = generate_secret(), generate_secret()
    assert first != second
    assert first.startswith("llava-")
    assert len(first) >= len("llava-") + 43  # 256 bits in base64


def test_a_file_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    settings = Settings.model_validate({"keys_file": tmp_path / "none.toml"})
    with pytest.raises(KeysFileError, match="or make one by `llava-server keys new NAME"):
        read_key_ring(settings)


def test_keys_come_from_the_variable_and_the_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(f'[keys.alice]\nhash = "{hash_secret("alice")}"\n')
    ring = read_key_ring(Settings.model_validate({"keys_file": path, "api_keys": "one,two"}))
    assert list(ring.keys) == ["env-1", "env-2", "alice"]
    assert read_key_ring(Settings.model_validate({})).is_open
