"""Names: where they lead, which hide others, and which cannot be names."""

from pathlib import Path

import pytest

from model_store.errors import UnknownModel
from model_store.store import (
    PACKAGED_STORE,
    find_model,
    is_name,
    list_stored_models,
    locate_user_store,
)


def put(folder: Path) -> Path:
    """Make a folder that looks like a model."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_the_order_of_the_search(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_model("llava-tiny") == PACKAGED_STORE / "llava-tiny"
    here = put(tmp_path / "org" / "model")
    assert find_model("org/model") == here
    assert find_model(str(here)) == here
    own = put(store / "org" / "model")
    assert find_model("org/model") == own
    assert find_model("./org/model") == here
    hiding = put(store / "llava-tiny")
    assert find_model("llava-tiny") == hiding


@pytest.mark.parametrize("name", ["../outside", "org/../../outside", "/outside", "org/name/deep"])
def test_names_do_not_leave_the_store(name: str, store: Path, tmp_path: Path) -> None:
    put(tmp_path / "outside")
    put(store / "org" / "name" / "deep")
    assert not is_name(name)
    with pytest.raises(UnknownModel) as unknown:
        find_model(name)
    assert all(part in str(unknown.value) for part in (name, str(store), str(PACKAGED_STORE)))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("llava-tiny", True),
        ("llava-hf/llava-1.5-7b-hf", True),
        ("_x/y_", True),
        (".hidden", False),
        ("org/.name.partial", False),
        ("a..b", False),
        ("org/name\n", False),
        ("", False),
        ("-x", False),
        ("org/name@main", False),
    ],
)
def test_names(text: str, named: bool) -> None:
    assert is_name(text) is named


def test_all_models(store: Path) -> None:
    put(store / "org" / "b")
    put(store / "a")
    put(store / "org" / ".b.0123.partial")
    (store / "org" / "empty").mkdir()
    assert [(model.name, model.folder) for model in list_stored_models()] == [
        ("a", store / "a"),
        ("llava-tiny", PACKAGED_STORE / "llava-tiny"),
        ("org/b", store / "org" / "b"),
    ]


def test_where_the_users_store_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("LLAVA_STORE", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert locate_user_store() == tmp_path / ".local/share/llava-server/models"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert locate_user_store() == Path("/data/llava-server/models")
    monkeypatch.setenv("LLAVA_STORE", "~/models")
    assert locate_user_store() == tmp_path / "models"
