"""The forms of `--model`, and when the hub is asked."""

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from model_store.errors import PullError, UnknownModel
from model_store.hub import Hub
from model_store.resolve import HubId, parse_hub_id, resolve_model
from model_store.store import PACKAGED_STORE
from tests.model_store.local_hub import LocalHub, Repo

NAME = "org/small"


@pytest.fixture
def repo(hub_server: LocalHub, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """Return the repository that the hub has, with one commit."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    repo = hub_server.repos[NAME] = Repo()
    repo.commit("main", {"config.json": json.dumps({"model_type": "llava"}).encode()})
    return repo


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org/name", HubId("org/name", None)),
        ("org/name@v1.0", HubId("org/name", "v1.0")),
        ("org/name@refs/pr/1", HubId("org/name", "refs/pr/1")),
        ("org/name@", HubId("org/name", None)),
        ("name", None),
        ("name@main", None),
        ("/org/name", None),
        ("./org/name", None),
        ("a/b/c", None),
    ],
)
def test_hub_ids(text: str, expected: HubId | None) -> None:
    assert parse_hub_id(text) == expected


def test_a_hub_id_is_pulled_once(hub_server: LocalHub, repo: Repo, store: Path) -> None:
    pulls: list[str] = []
    hub = Hub(hub_server.url)
    assert resolve_model(NAME, pulls.append, hub) == store / NAME
    assert (pulls, hub_server.infos) == ([NAME], [f"{NAME}@main"])
    repo.commit("main", {"config.json": b'{"newer": true}'})
    assert resolve_model(NAME, pulls.append, hub) == store / NAME
    assert len(hub_server.infos) == 1, "what is in the store will do"


def test_a_revision_must_be_that(hub_server: LocalHub, repo: Repo, store: Path) -> None:
    hub, first = Hub(hub_server.url), repo.branches["main"]
    assert resolve_model(f"{NAME}@{first}", print, hub) == store / NAME
    assert resolve_model(f"{NAME}@{first}", print, hub) == store / NAME
    assert len(hub_server.infos) == 1, "a commit that is there needs no hub"
    second = repo.commit("main", {"config.json": b'{"newer": true}'})
    resolve_model(f"{NAME}@main", print, hub)
    assert f'"revision": "{second}"' in (store / NAME / "manifest.json").read_text()
    resolve_model(f"{NAME}@{first}", print, hub)
    assert f'"revision": "{first}"' in (store / NAME / "manifest.json").read_text()


@pytest.mark.usefixtures("store")
def test_names_and_paths_never_go_to_the_hub(
    hub_server: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "small").mkdir(parents=True)
    hub = Hub(hub_server.url)
    assert resolve_model("llava-tiny", print, hub) == PACKAGED_STORE / "llava-tiny"
    for reference in ("llava-tinny", "/no/where", "org/small"):  # the last one is a folder
        with pytest.raises(UnknownModel, match="it is not in the store"):
            resolve_model(reference, print, hub)
    assert hub_server.infos == []


@pytest.mark.usefixtures("repo")
def test_a_failed_pull_lists_the_places_searched(hub_server: LocalHub, store: Path) -> None:
    with pytest.raises(PullError) as caught:
        resolve_model("org/other", print, Hub(hub_server.url))
    assert str(store) in str(caught.value)
    assert "has no org/other, or it is private" in str(caught.value)
