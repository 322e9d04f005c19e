"""`python -m model_store` as a user runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model_store.store import PACKAGED_STORE
from tests.model_store.local_hub import LocalHub, Repo

SHARD = "model.safetensors"
RELEASED = {"architectures": ["LlavaLlamaForCausalLM"], "model_type": "llava"}


def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start the program."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    return subprocess.Popen(
        [sys.executable, "-m", "model_store", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, "COLUMNS": "120", **variables},
        # Whoever runs the tests in the background ignores Ctrl-C, and so would the program.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run(*arguments: str, code: int = 0, **variables: str) -> tuple[str, str]:
    """Run the program to its end; returns what it printed on stdout and stderr."""
    process = start(*arguments, **variables)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    return out, err


def run_json(*arguments: str) -> Any:
    """Run the program for its JSON."""
    return json.loads(run(*arguments, "--json")[0])


@pytest.fixture
def damaged_model(store: Path) -> Path:
    """Return the embedded model's copy in the user's store, with a bit of its weights flipped."""
    folder = store / "tiny"
    shutil.copytree(PACKAGED_STORE / "llava-tiny", folder)
    with (folder / SHARD).open("r+b") as file:
        file.seek(-1000, os.SEEK_END)
        (byte,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    return folder


def test_a_flipped_bit(damaged_model: Path, store: Path) -> None:
    (store / "bare").mkdir()
    (store / "bare" / "config.json").write_text("{}")
    out, err = run("verify", "tiny", code=1)
    assert err.startswith(f"tiny: {SHARD}: SHA-256 is ")
    assert (out, len(err.splitlines())) == ("", 1)
    states = {entry["name"]: entry["state"] for entry in run_json("list", "--verify")}
    assert states == {"tiny": "damaged", "llava-tiny": "verified", "bare": "no manifest"}
    states = {entry["name"]: entry["state"] for entry in run_json("list")}
    assert states == {"tiny": "not checked", "llava-tiny": "not checked", "bare": "no manifest"}
    assert run("verify", str(damaged_model), code=1)[1].startswith(
        f"{damaged_model}: {SHARD}: SHA-256 is "
    )


@pytest.mark.usefixtures("store")
def test_the_embedded_model() -> None:
    manifest = json.loads((PACKAGED_STORE / "llava-tiny" / "manifest.json").read_text())
    assert "files (" in run("verify", "llava-tiny")[0]
    shown = run_json("show", "llava-tiny")
    assert shown == {"folder": str(PACKAGED_STORE / "llava-tiny"), **manifest}
    text = run("show", "llava-tiny")[0]
    assert all(file["sha256"] in text and file["path"] in text for file in manifest["files"])
    assert "2048 tokens" in text
    table = run("list")[0]
    assert all(word in table for word in ("llava-tiny", "vicuna_v1", "pad", "not checked", "MB"))


def test_a_model_without_a_manifest(store: Path) -> None:
    (store / "bare").mkdir(parents=True)
    (store / "bare" / "config.json").write_text("{}")
    for command in ("show", "verify"):
        out, err = run(command, "bare", code=1)
        assert err == (
            f"error: {store / 'bare'} has no manifest.json: its files cannot be checked\n"
        )
        assert out == ""
    assert run("show", "nothing", code=1)[1].startswith("error: no model 'nothing': it is not")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("arguments", [["show"], ["list", "x"], ["pull"], ["grow"], ["show", "-x"]])
def test_wrong_usage(arguments: list[str]) -> None:
    assert "Usage: " in run(*arguments, code=2)[1]


def test_pulling_a_released_model(hub_server: LocalHub, store: Path) -> None:
    repo = hub_server.repos["org/released"] = Repo()
    files = {"config.json": json.dumps(RELEASED).encode(), "pytorch_model.bin": b"\x80\x04N."}
    commit = repo.commit("main", files)
    refused = run("pull", "org/released", code=1, HF_ENDPOINT=hub_server.url)[1]
    assert refused.startswith("error: org/released has its weights as pickles only")
    out, _ = run("pull", "org/released", "--allow-pickle", HF_ENDPOINT=hub_server.url)
    folder = store / "org" / "released"
    assert f"org/released at {commit}: pulled; " in out
    assert f"\n  llava-server convert {folder}\n" in out
    again = run("pull", "org/released", "--revision", commit, HF_HUB_OFFLINE="1")[0]
    assert "already there, nothing was pulled" in again
    offline = run("pull", "org/released", "--revision", "main", code=1, HF_HUB_OFFLINE="1")[1]
    assert offline.startswith("error: HF_HUB_OFFLINE is set, so org/released cannot be pulled: ")
    assert len(offline.splitlines()) == 1


@pytest.mark.parametrize(
    ("ending", "code", "message"),
    [
        (signal.SIGINT, 130, "interrupted; pull again to resume\n"),
        (signal.SIGKILL, -signal.SIGKILL, ""),
    ],
)
def test_an_interrupted_pull_goes_on_later(
    ending: signal.Signals, code: int, message: str, hub_server: LocalHub, store: Path
) -> None:
    repo = hub_server.repos["org/small"] = Repo()
    weights = os.urandom(25_000_000)
    repo.commit("main", {"config.json": b"{}", SHARD: weights})
    hub_server.stall = SHARD
    process = start("pull", "org/small", HF_HUB_DOWNLOAD_TIMEOUT="300", HF_ENDPOINT=hub_server.url)
    assert hub_server.stalled.wait(60)
    process.send_signal(ending)
    assert process.communicate(timeout=60)[1] == message
    assert process.returncode == code
    assert not (store / "org" / "small").exists()
    hub_server.stall = None
    hub_server.files.clear()
    run("pull", "org/small", HF_ENDPOINT=hub_server.url)
    assert (store / "org" / "small" / SHARD).read_bytes() == weights
    starts = [int((a.range or "bytes=0-")[6:-1]) for a in hub_server.files if a.path == SHARD]
    assert len(starts) == 1
    assert starts[0] > 0
