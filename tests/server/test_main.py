"""`python -m server` where it cannot start: exit codes and what it says."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from model_store.store import find_model
from server.settings import Settings
from tests.model_store.local_hub import Repo, run_hub

ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.upper().startswith("LLAVA_")}


@dataclass
class Ended:
    """How a process ended and what it said."""

    code: int
    out: str
    err: str


def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start the program."""
    return subprocess.Popen(
        [sys.executable, "-m", "server", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, **variables},
    )


def end(process: subprocess.Popen[str]) -> Ended:
    """Wait for the program to end by itself."""
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    return Ended(process.returncode, out, err)


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["--prot", "80"], {}, "unrecognized arguments: --prot"),
        (["--port", "http"], {}, "port: Input should be a valid integer"),
        (["--max-images", "0"], {}, "max_images: Input should be greater than 0"),
        (["--accelerator", "tpu"], {}, "accelerator: Input should be 'auto', 'cpu' or 'cuda'"),
        ([], {"LLAVA_PORT": "65536"}, "port: Input should be less than or equal to 65535"),
    ],
)
def test_a_bad_option_exits_with_two(
    arguments: list[str], variables: dict[str, str], said: str
) -> None:
    ended = end(start(*arguments, **variables))
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


def test_all_bad_options_are_reported_together() -> None:
    ended = end(start("--port", "x", "--max-images", "x"))
    assert ended.code == 2
    assert [line.partition(":")[0] for line in ended.err.splitlines()] == ["port", "max_images"]


def test_help_names_every_option_and_its_default() -> None:
    ended = end(start("--help"))
    assert ended.code == 0
    shown = " ".join(ended.out.split())
    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in shown
        assert field.description is not None
        assert " ".join(field.description.split()) in shown
    assert "LLAVA_MAX_IMAGES" in shown


@pytest.fixture(scope="module")
def taken() -> Iterator[socket.socket]:
    """Return a socket that listens on a port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture(scope="module")
def refused(
    taken: socket.socket, damaged: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Ended]:
    """Start all that must end by itself but imports much first, side by side."""
    with run_hub() as hub:
        config = json.dumps({"model_type": "llava_llama"}).encode()
        (released := Repo()).commit("main", {"config.json": config})
        hub.repos["org/released"] = released
        online = {
            "HF_ENDPOINT": hub.url,
            "HF_HUB_OFFLINE": "0",
            "LLAVA_STORE": str(tmp_path_factory.mktemp("store")),
        }
        offline = online | {"HF_HUB_OFFLINE": "1"}
        processes = {
            "unknown model": start("--model", "no-such-model", "--port", "0"),
            "taken port": start("--port", str(taken.getsockname()[1])),
            "damaged model": start("--model", str(damaged), "--port", "0"),
            "released model": start("--model", "org/released", "--port", "0", **online),
            "unknown hub id": start("--model", "org/none@v1", "--port", "0", **online),
            "offline": start("--model", "org/other", "--port", "0", **offline),
        }
        return {name: end(process) for name, process in processes.items()}


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the embedded model with a bit of its weights flipped."""
    folder = tmp_path_factory.mktemp("models") / "damaged"
    shutil.copytree(find_model("llava-tiny"), folder)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1000] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    return folder


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("unknown model", r"no model 'no-such-model': neither in the store \(.*model_store\) nor"),
        ("taken port", r"cannot listen on 127\.0\.0\.1:\d+: Address already in use"),
        ("released model", r"convert it first: python -m model_store convert /\S+/org/released"),
        ("unknown hub id", r"no model 'org/none@v1': .*; the hub at \S+ has no org/none, or"),
        ("offline", r"no model 'org/other': .*; HF_HUB_OFFLINE is set, so org/other cannot be"),
    ],
)
def test_a_server_that_cannot_start_exits_with_one(
    case: str, said: str, refused: dict[str, Ended]
) -> None:
    ended = refused[case]
    assert ended.code == 1
    assert re.fullmatch(f"llava-server cannot start: .*{said}.*", ended.err.splitlines()[-1])
    assert "Traceback" not in ended.err
    assert ended.out == ""


def test_a_damaged_model_is_not_loaded(damaged: Path, refused: dict[str, Ended]) -> None:
    ended = refused["damaged model"]
    assert ended.code == 1
    assert f"{damaged} is not as its manifest says: model.safetensors: SHA-256 is " in ended.err
    assert "--no-verify-model" in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


def test_a_signal_stops_a_server_that_pulls(tmp_path: Path) -> None:
    with run_hub() as hub:
        (repo := Repo()).commit("main", {"config.json": b"{}", "a.safetensors": bytes(1000)})
        hub.repos["org/slow"], hub.stall = repo, "a.safetensors"
        online = {
            "HF_ENDPOINT": hub.url,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DOWNLOAD_TIMEOUT": "300",
            "LLAVA_STORE": str(tmp_path),
        }
        process = start("--model", "org/slow", "--port", "0", **online)
        assert hub.stalled.wait(60)
        process.send_signal(signal.SIGTERM)
        ended = end(process)
    assert ended.code == 0
    assert "stopped while the model was pulled" in ended.err
    assert "Traceback" not in ended.err


def test_importing_the_program_starts_nothing() -> None:
    """Decode workers and the engine's process import it again."""
    code = "import runpy; runpy.run_module('server', run_name='__mp_main__')"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (run.stdout, run.stderr) == ("", "")
