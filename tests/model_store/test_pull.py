"""Pulling from a hub: whole, cut off, damaged, refused."""

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from model_store.errors import PickleRefused, PullError
from model_store.hub import Hub
from model_store.manifest import read_manifest
from model_store.pull import PullResult, pull
from model_store.store import find_model, list_stored_models
from model_store.verification import verify
from tests.model_store.local_hub import LocalHub, Refusal, Repo

NAME = "org/llava-small"
CONFIG = {
    "model_type": "llava",
    "image_aspect_ratio": "pad",
    "conv_mode": "vicuna_v1",
    "text_config": {"max_position_embeddings": 512},
}
WEIGHTS = bytes(range(256)) * 200
FILES = {
    ".gitattributes": b"*.safetensors filter=lfs\n",
    "config.json": json.dumps(CONFIG).encode(),
    "model.safetensors": WEIGHTS,
    "nested/notes.txt": b"",
}
SHARD = "model.safetensors"


@pytest.fixture
def repo(hub_server: LocalHub, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """Return the repository, with one commit on `main`."""
    # What has come is written in chunks of this size.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    repo = hub_server.repos[NAME] = Repo()
    repo.commit("main", FILES)
    return repo


def pull_repo(hub_server: LocalHub, revision: str = "main", **options: Any) -> PullResult:
    """Pull the repository from the local hub."""
    return pull(NAME, revision, hub=Hub(hub_server.url), **options)


def list_files_in_store(store: Path) -> set[str]:
    """Return the store's files, but the lock."""
    files = {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}
    return files - {"org/.llava-small.lock"}


def test_a_model_comes_whole(hub_server: LocalHub, repo: Repo, store: Path) -> None:
    result = pull_repo(hub_server)
    assert result.downloaded
    assert find_model(NAME) == result.folder == store / NAME
    assert list_files_in_store(store) == {
        f"{NAME}/{path}" for path in (*FILES, "manifest.json") if path != ".gitattributes"
    }
    assert (result.folder / SHARD).read_bytes() == WEIGHTS
    manifest = read_manifest(result.folder)
    assert manifest == result.manifest
    assert (manifest.name, manifest.source) == (NAME, f"hub:{NAME}")
    assert manifest.revision == repo.branches["main"]
    assert (manifest.conv_mode, manifest.image_aspect_ratio) == ("vicuna_v1", "pad")
    assert manifest.max_position_embeddings == 512
    hashes = {file.path: file.sha256 for file in manifest.files}
    assert hashes[SHARD] == hashlib.sha256(WEIGHTS).hexdigest()
    assert verify(result.folder) == []


def test_the_second_pull_downloads_nothing(hub_server: LocalHub, repo: Repo, store: Path) -> None:
    first = pull_repo(hub_server)
    hub_server.paths()
    hub_server.infos.clear()
    again = pull_repo(hub_server)
    assert (again.folder, again.manifest) == (first.folder, first.manifest)
    assert not again.downloaded
    assert (hub_server.files, hub_server.infos) == ([], [f"{NAME}@main"])
    assert not pull_repo(hub_server, repo.branches["main"]).downloaded
    assert len(hub_server.infos) == 1, "a commit that is there needs no hub"
    assert list_files_in_store(store)


def test_a_cut_connection_is_resumed(hub_server: LocalHub, repo: Repo, store: Path) -> None:
    repo.cuts[SHARD] = [20_500]
    assert (pull_repo(hub_server).folder / SHARD).read_bytes() == WEIGHTS
    asked = [asked.range for asked in hub_server.files if asked.path == SHARD]
    assert asked == [None, "bytes=20000-"]
    assert find_model(NAME) == store / NAME


def test_the_next_pull_goes_on_where_one_failed(
    hub_server: LocalHub, repo: Repo, store: Path
) -> None:
    repo.cuts[SHARD] = _ThenDown(repo, 30_100)
    with pytest.raises(PullError, match=r"the hub answered 503 for http://.*model\.safetensors"):
        pull_repo(hub_server)
    assert not (store / NAME).exists()
    assert list_stored_models()[0].name == "llava-tiny"
    del repo.file_refusals[SHARD]
    hub_server.paths()
    assert (pull_repo(hub_server).folder / SHARD).read_bytes() == WEIGHTS
    assert [(asked.path, asked.range) for asked in hub_server.files] == [(SHARD, "bytes=30000-")]
    assert not any(".partial" in path for path in list_files_in_store(store))


class _ThenDown(list[int]):
    """A cut after which the hub refuses the file."""

    def __init__(self, repo: Repo, at: int) -> None:
        super().__init__([at])
        self._repo = repo

    def pop(self, *_: Any) -> int:
        self._repo.file_refusals[SHARD] = Refusal(503)
        return super().pop()


@pytest.mark.parametrize("path", [SHARD, "config.json"])
def test_wrong_bytes_are_reported_and_pulled_again(
    path: str, hub_server: LocalHub, repo: Repo, store: Path
) -> None:
    content = bytearray(FILES[path])
    content[5] ^= 1
    repo.sent[path] = bytes(content)
    with pytest.raises(
        PullError, match=rf"from what the hub announced; {path}: .* is [0-9a-f]+, n"
    ):
        pull_repo(hub_server)
    assert not (store / NAME).exists()
    repo.sent.clear()
    hub_server.paths()
    pull_repo(hub_server)
    assert hub_server.paths() == [path]
    assert verify(store / NAME) == []


def test_a_truncated_file_is_refused(hub_server: LocalHub, repo: Repo, store: Path) -> None:
    repo.sent[SHARD] = WEIGHTS[:-1]
    with pytest.raises(PullError, match="should be of size 51200 but has size 51199"):
        pull_repo(hub_server)
    assert not (store / NAME).exists()


def test_a_new_revision_replaces_the_old_one(hub_server: LocalHub, repo: Repo, store: Path) -> None:
    old = pull_repo(hub_server).manifest.revision
    newer = {**FILES, SHARD: WEIGHTS[::-1]}
    new = repo.commit("main", newer)
    repo.file_refusals["config.json"] = Refusal(500)
    with pytest.raises(PullError, match="500"):
        pull_repo(hub_server)
    assert read_manifest(store / NAME).revision == old, "the old one stays until the new is whole"
    repo.file_refusals.clear()
    assert pull_repo(hub_server).manifest.revision == new
    assert (store / NAME / SHARD).read_bytes() == WEIGHTS[::-1]
    assert {path.split("/")[1] for path in list_files_in_store(store)} == {"llava-small"}
    assert pull_repo(hub_server, str(old)).downloaded
    assert (store / NAME / SHARD).read_bytes() == WEIGHTS


def test_files_shared_by_revisions_are_pulled_once(
    hub_server: LocalHub, repo: Repo, store: Path
) -> None:
    pull_repo(hub_server)
    repo.commit("main", {**FILES, "config.json": b"{}", "new.safetensors": b"more"})
    hub_server.paths()
    folder = pull_repo(hub_server).folder
    assert hub_server.paths() == ["config.json", "new.safetensors"]
    assert (folder / SHARD).read_bytes() == WEIGHTS
    flip_a_bit(folder / SHARD)
    repo.commit("main", FILES)
    pull_repo(hub_server, recheck=False)
    assert hub_server.paths() == ["config.json", SHARD], "what is damaged is not shared"
    assert verify(store / NAME) == []


def test_a_model_stays_while_it_is_mended(hub_server: LocalHub, repo: Repo, store: Path) -> None:
    folder = pull_repo(hub_server).folder
    flip_a_bit(folder / "config.json")
    repo.file_refusals["config.json"] = Refusal(500)
    with pytest.raises(PullError, match="500"):
        pull_repo(hub_server)
    assert (folder / SHARD).read_bytes() == WEIGHTS
    repo.file_refusals.clear()
    assert pull_repo(hub_server).downloaded
    assert verify(store / NAME) == []


@pytest.mark.parametrize("revision", ["main", "the commit"])
def test_only_damaged_files_are_pulled_again(
    revision: str, hub_server: LocalHub, repo: Repo, store: Path
) -> None:
    folder = pull_repo(hub_server).folder
    hub_server.paths()
    flip_a_bit(folder / SHARD)
    assert pull_repo(hub_server, "main" if revision == "main" else repo.branches["main"]).downloaded
    assert hub_server.paths() == [SHARD]
    assert (store / NAME / SHARD).read_bytes() == WEIGHTS
    assert verify(store / NAME) == []


def test_without_a_recheck_sizes_must_do(hub_server: LocalHub, repo: Repo, store: Path) -> None:
    folder = pull_repo(hub_server).folder
    hub_server.paths()
    flip_a_bit(folder / SHARD)
    assert not pull_repo(hub_server, recheck=False).downloaded
    (folder / "extra.bin").write_bytes(b"weights that nobody listed")
    assert pull_repo(hub_server, recheck=False).downloaded
    assert hub_server.paths() == [SHARD]
    assert verify(store / NAME) == []
    assert repo.commits


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


PICKLES = {"config.json": b"{}", "pytorch_model.bin": b"\x80\x04.", "old/net.pth": b"\x80\x04."}


def test_pickles_alone_are_refused(hub_server: LocalHub, repo: Repo, store: Path) -> None:
    repo.commit("main", {**PICKLES, "tf_model.h5": b"keras"})
    with pytest.raises(PickleRefused) as refused:
        pull_repo(hub_server)
    assert "pytorch_model.bin, old/net.pth; " in str(refused.value)
    assert "--allow-pickle" in str(refused.value)
    assert (hub_server.files, list_files_in_store(store)) == ([], set())
    assert pull_repo(hub_server, allow_pickle=True).manifest.paths == set(PICKLES)


def test_pickles_beside_safetensors_are_left_out(
    hub_server: LocalHub, repo: Repo, store: Path
) -> None:
    repo.commit("main", {**FILES, **PICKLES})
    assert not any(path.endswith((".bin", ".pth")) for path in pull_repo(hub_server).manifest.paths)
    hub_server.paths()
    assert pull_repo(hub_server, allow_pickle=True).manifest.paths >= set(PICKLES)
    assert hub_server.paths() == ["old/net.pth", "pytorch_model.bin"]
    assert verify(store / NAME) == []


@pytest.mark.usefixtures("store")
def test_all_that_a_layout_consists_of_comes(hub_server: LocalHub, repo: Repo) -> None:
    """Copies for other programs stay behind: they can be larger than the model."""
    needed = {
        "chat_template.jinja",
        "chat_template.json",
        "config.json",
        "generation_config.json",
        "model-00001-of-00001.safetensors",
        "model.safetensors.index.json",
        "preprocessor_config.json",
        "processor_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
    }
    others = {"onnx/decoder.onnx", "onnx/decoder.onnx_data", "model-q4.gguf", "tf_model.h5"}
    repo.commit("main", dict.fromkeys([*needed, *others], b"{}"))
    assert pull_repo(hub_server).manifest.paths == needed


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (Refusal(401, {"X-Error-Code": "RepoNotFound"}), "has no org/llava-small, or it is privat"),
        (Refusal(404, {"X-Error-Code": "RepoNotFound"}), "has no org/llava-small, or it is privat"),
        (Refusal(403, {"X-Error-Code": "GatedRepo"}), "org/llava-small is gated: accept its terms"),
        (Refusal(502), "the hub answered 502 for http"),
    ],
)
def test_refusals_of_the_listing(
    refusal: Refusal, message: str, hub_server: LocalHub, repo: Repo
) -> None:
    repo.info_refusal = refusal
    with pytest.raises(PullError, match=message) as caught:
        pull_repo(hub_server)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_models_error_names_the_next_step(
    status: int, hub_server: LocalHub, repo: Repo, store: Path
) -> None:
    repo.file_refusals[SHARD] = Refusal(status, {"X-Error-Code": "GatedRepo"})
    with pytest.raises(PullError, match=r"gated: accept its terms at http://.*, then set HF_TOKEN"):
        pull_repo(hub_server)
    assert not (store / NAME).exists()


def test_the_hub_gets_the_token_and_nobody_else(
    hub_server: LocalHub, repo: Repo, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert pull_repo(hub_server).folder == store / NAME
    assert hub_server.credentials == {("127.0.0.1", "Bearer hf_secret"), ("localhost", None)}
    assert repo.commits


@pytest.mark.usefixtures("repo", "store")
def test_an_unknown_revision_is_named(hub_server: LocalHub) -> None:
    with pytest.raises(PullError, match="org/llava-small has no revision 'v9'"):
        pull_repo(hub_server, "v9")


@pytest.mark.usefixtures("repo", "store")
def test_offline(hub_server: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PullError, match=r"HF_HUB_OFFLINE is set, so org/llava-small cannot") as got:
        pull_repo(hub_server)
    assert "unset it, or run 'hf download org/llava-small --local-dir FOLDER'" in str(got.value)
    assert hub_server.infos == []


@pytest.mark.usefixtures("repo", "store")
def test_a_hub_that_is_not_there() -> None:
    with pytest.raises(PullError, match=r"cannot reach the hub at http://127\.0\.0\.1:1: .") as got:
        pull(NAME, hub=Hub("http://127.0.0.1:1/"))
    assert "; set HF_ENDPOINT to a mirror, or run 'hf download org/llava-small" in str(got.value)


@pytest.mark.parametrize("name", ["llava", "../llava", "a/b/c", "/a/b", "a/..", "a b/c", "a/.b"])
def test_texts_that_are_no_hub_id(name: str, store: Path) -> None:
    with pytest.raises(PullError, match="is not a hub id"):
        pull(name)
    assert not store.exists()


def test_a_repository_cannot_write_elsewhere(hub_server: LocalHub, repo: Repo, store: Path) -> None:
    repo.commit("main", {**FILES, "../../../evil.json": b"{}"})
    with pytest.raises(PullError, match=r"'\.\./\.\./\.\./evil\.json', which leaves"):
        pull_repo(hub_server)
    assert list_files_in_store(store) == set()


def test_a_full_disk_is_noticed_before_the_download(
    hub_server: LocalHub, repo: Repo, store: Path
) -> None:
    repo.claimed[SHARD] = 10**18
    with pytest.raises(
        PullError, match=r"^the download needs 1000000000 GB, but only .* are free at"
    ):
        pull_repo(hub_server)
    assert (hub_server.files, store.exists()) == ([], True)


def test_a_folder_that_was_not_pulled_stays(hub_server: LocalHub, repo: Repo, store: Path) -> None:
    folder = store / NAME
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    with pytest.raises(PullError, match=r"no manifest\.json.*move it away"):
        pull_repo(hub_server)
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert repo.commits


def test_two_at_once_download_once(hub_server: LocalHub, repo: Repo, store: Path) -> None:
    results: list[PullResult] = []
    threads = [
        threading.Thread(target=lambda: results.append(pull_repo(hub_server))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.downloaded for result in results) == [False, True]
    assert hub_server.paths() == sorted(
        path for path in FILES if path not in (".gitattributes", "nested/notes.txt")
    )
    assert verify(store / NAME) == []
    assert repo.commits
