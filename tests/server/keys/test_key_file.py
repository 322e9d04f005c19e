"""The file of API keys: what it may hold, and what is said of what it may not."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.keys.errors import KeysFileError
from server.keys.key import has_expired
from server.keys.key_file import MAX_FILE_BYTES, MAX_KEYS, parse_keys, read_keys, read_signature
from server.keys.secret import hash_secret

ALICE, BOB = hash_secret("alice"), hash_secret("bob")
PATH = Path("keys.toml")


def faults(text: str) -> str:
    """Return what is said of a text."""
    with pytest.raises(KeysFileError) as caught:
        parse_keys(text, PATH)
    return str(caught.value)


def test_a_key_with_everything() -> None:
    (key,) = parse_keys(
        f"""
        [keys.alice]
        hash = "{ALICE}"
        previous = [{{ hash = "{BOB}", expires = 2026-12-04T00:00:00+02:00 }}]
        created = 2026-11-27
        expires = "2027-02-25T12:00:00Z"
        requests_per_minute = 60
        image_tokens_per_minute = 100_000
        output_tokens_per_minute = 20000
        concurrent_requests = 4
        models = ["llava-tiny"]
        priority = -1
        weight = 2
        """,
        PATH,
    )
    assert (key.name, key.hash) == ("alice", ALICE)
    assert key.created == datetime(2026, 11, 27, tzinfo=UTC)
    assert key.expires == datetime(2027, 2, 25, 12, tzinfo=UTC)
    assert key.previous[0].expires == datetime(2026, 12, 3, 22, tzinfo=UTC)
    assert (key.requests_per_minute, key.image_tokens_per_minute) == (60, 100_000)
    assert (key.models, key.priority, key.weight) == (("llava-tiny",), -1, 2.0)
    assert key.allows_model("llava-tiny")
    assert not key.allows_model("another")


def test_a_key_without_limits_may_do_everything() -> None:
    (key,) = parse_keys(f'[keys.alice]\nhash = "{ALICE}"\n', PATH)
    assert not key.rate_limits
    assert key.allows_model("any")
    assert not has_expired(key.expires, datetime.now(UTC))


def test_one_model_needs_no_list() -> None:
    (key,) = parse_keys(f'[keys."a.b"]\nhash = "{ALICE}"\nmodels = "x"\n', PATH)
    assert (key.name, key.models) == ("a.b", ("x",))


@pytest.mark.parametrize("text", ["# no keys\n", "[keys]\n"])
def test_a_file_may_hold_no_keys(text: str) -> None:
    assert parse_keys(text, PATH) == ()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("request_per_minute = 5", "line 3, key 'alice': 'request_per_minute' is not a field of a"
         " key: did you mean 'requests_per_minute'?"),
        ("colour = 5", "line 3, key 'alice': 'colour' is not a field of a key"),
        ("requests_per_minute = 0", "line 3, key 'alice': 'requests_per_minute' is wrong"),
        ("requests_per_minute = true", "'requests_per_minute' is wrong"),
        ("requests_per_minute = '60'", "'requests_per_minute' is wrong"),
        ("requests_per_minute = 1.5", "'requests_per_minute' is wrong"),
        ("weight = nan", "'weight' is wrong"),
        ("weight = -1", "'weight' is wrong"),
        ("weight = 1e-300", "'weight' is wrong"),
        ("expires = 20270630", "line 3, key 'alice': 'expires' is wrong: value error, write"),
        ("expires = 2027.5", "'expires' is wrong"),
        ("created = true", "'created' is wrong"),
        ("models = []", "'models' is wrong"),
        ("expires = 'soon'", "line 3, key 'alice': 'expires' is wrong"),
        ("previous = [{ hash = 'x' }]", "'previous.0.hash' must be 'sha256:' and 64"),
        ("name = 'bob'", "the name stands in the heading"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_its_line(fields: str, said: str) -> None:
    assert said in faults(f'[keys.alice]\nhash = "{ALICE}"\n{fields}\n')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n", "keys.toml is empty"),
        ("[keys.alice", "keys.toml is not valid TOML"),
        ("[keys.alice]\n", "keys.toml, line 1, key 'alice': 'hash' is missing"),
        ("[keys.alice]\nhash = 'secret'\n", "line 2, key 'alice': 'hash' must be 'sha256:' and 64"),
        ("[keys.env-1]\nhash = 'x'\n", "LLAVA_API_KEYS"),
        ("[keys.'a b']\nhash = 'x'\n", "is not a name for a key"),
        ("[keys]\nalice = 5\n", "'keys.alice' is not a table"),
        ("[key.alice]\n", "there is no 'key' here, only tables [keys.NAME]"),
        ("x = " + "9" * 5000, "keys.toml is not valid TOML"),
        ("keys = 5", "'keys' is not a table"),
        ("x = " + "[" * 10_000, "keys.toml is"),
        (f"[keys.alice]\nhash = '{ALICE}'\n[keys.alice]\n", "keys.toml is not valid TOML"),
        (
            f"[keys.alice]\nhash = '{ALICE}'\n[keys.bob]\nhash = '{ALICE}'\n",
            "line 4, key 'bob': another key has the same hash",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(text: str, said: str) -> None:
    assert said in faults(text)


def test_all_faults_are_told_at_once() -> None:
    said = faults("[keys.alice]\nhash = 'x'\nweight = 0\n\n[keys.bob]\n")
    assert all(part in said for part in ("line 2,", "line 3,", "line 5, key 'bob'"))


def test_many_faults_are_counted_in_linear_time() -> None:
    began = time.process_time()
    said = faults("".join(f"[keys.k{number}]\nhash = 'x'\n" for number in range(MAX_KEYS)))
    assert time.process_time() - began < 2
    assert "line 40, key 'k19': 'hash' must" in said
    assert "k20" not in said
    assert said.endswith(f": and {MAX_KEYS - 20} more")


def test_the_number_of_keys_is_bounded() -> None:
    said = faults("".join(f"[keys.k{number}]\n" for number in range(MAX_KEYS + 1)))
    assert said == "keys.toml has 2001 keys: the most are 2000"


@pytest.mark.parametrize(
    "heading", ["[keys.alice]", " [ keys . 'alice' ] # x", '["keys"."alice"]', "[[keys.alice]]"]
)
def test_headings_are_found_however_they_are_written(heading: str) -> None:
    text = f"[keys.bob]\nhash = '{BOB}'\n{heading}\n'hash' = 'x'\n"
    assert ("line 3" if "[[" in heading else "line 4") in faults(text).replace("not a table", "")


def test_a_change_that_hides_its_time_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text("one")
    before, status = read_signature(path), path.stat()
    time.sleep(0.02)
    path.write_text("two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert read_signature(path) != before


def test_secrets_are_in_no_message() -> None:
    assert "llava-secret" not in faults("[keys.alice]\nhash = 'llava-secret'\n")


def test_what_is_no_file_of_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeysFileError, match="is not a file"):
        read_keys(tmp_path)
    (tmp_path / "latin").write_bytes(b"# \xff")
    with pytest.raises(KeysFileError, match="not UTF-8"):
        read_keys(tmp_path / "latin")
    (tmp_path / "large").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(KeysFileError, match="bytes"):
        read_keys(tmp_path / "large")
    with pytest.raises(KeysFileError, match="does not exist: put it there, or make one by"):
        read_keys(tmp_path / "none")


def test_a_file_that_may_not_be_read_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", fail)
    with pytest.raises(KeysFileError, match="may not be read: let the server's user read it"):
        read_keys(tmp_path / "keys.toml")


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(f'[keys.alice]\nhash = "{ALICE}"\n', encoding="utf-8-sig")
    assert [key.name for key in read_keys(path)] == ["alice"]


@pytest.mark.parametrize("name", ["john.doe", "john.f.kennedy"])
def test_a_name_without_quotes_is_told(name: str) -> None:
    said = f"keys.toml, line 2, key '{name}': a name with dots needs quotes: [keys.\"{name}\"]"
    assert faults(f"\n[keys.{name}]\nhash = '{ALICE}'\n") == said
    assert faults(f"\n[keys.{name}]\n") == said
    beside = f"\n[keys.{name}]\nhash = '{BOB}'\n[keys.john]\nhash = '{ALICE}'\n"
    assert faults(beside) == said


def test_other_tables_in_a_key_are_no_names() -> None:
    text = f"[keys.alice]\nhash = '{ALICE}'\nlimits.requests = 5\n"
    assert "line 3, key 'alice': 'limits' is not a field of a key" in faults(text)
    assert "'previous'" in faults(f"{text[:-1]}\n[keys.alice.previous]\nhash = '{BOB}'\n")
    assert "is not a field" in faults(f"{text[:-1]}\n[keys.alice.{'x.' * 200}y]\n")
