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

import httpx
import pytest

from model_store.store import find_model
from server import __version__
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
        (["--prot", "80"], {}, "--prot: no such option; did you mean --port?"),
        (["--port", "http"], {}, "--port http: must be a whole number"),
        ([], {"LLAVA_PORT": "65536"}, "LLAVA_PORT=65536: must be at most 65535"),
        ([], {"LLAVA_MODLE": "x"}, "LLAVA_MODLE: no such setting; did you mean LLAVA_MODEL?"),
        (["srve"], {}, "no such command 'srve'; did you mean serve?"),
        (["--protect-all"], {}, "--protect-all: needs --keys-file or --api-keys"),
    ],
)
def test_a_mistake_exits_with_two(
    arguments: list[str], variables: dict[str, str], said: str
) -> None:
    ended = end(start(*arguments, **variables))
    assert ended.code == 2
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1
    assert ended.out == ""


def test_all_mistakes_are_told_together(taken: socket.socket, tmp_path: Path) -> None:
    port = str(taken.getsockname()[1])
    ended = end(
        start(
            *("--port", port, "--max-images", "x", "--prot", "1", "--model", "llava-tin"),
            *("--lora-adapters", f"a={tmp_path}", "--ssl-certfile", __file__),
            LLAVA_MODLE="x",
            LLAVA_MAX_BODY_MIB="64MB",
        )
    )
    assert ended.code == 2
    first, *lines = ended.err.splitlines()
    assert first == "llava-server cannot start: 7 mistakes"
    assert {line.strip().partition(": ")[0] for line in lines} == {
        *("--prot", "LLAVA_MODLE", "--max-images x", "LLAVA_MAX_BODY_MIB=64MB"),
        *(f"--port {port}", f"--ssl-certfile {__file__}", "--model llava-tin"),
    }
    assert "did you mean llava-tiny?" in ended.err


def test_mistakes_are_json_where_logs_are() -> None:
    ended = end(start("--port", "x", "--model", "none", LLAVA_LOG_FORMAT="json"))
    assert ended.code == 2
    lines = [json.loads(line) for line in ended.err.splitlines()]
    assert [line["setting"] for line in lines] == ["--port x", "--model none"]


def test_mistakes_are_told_without_torch() -> None:
    """What is imported for them decides how fast they are told."""
    for words, others in (
        (["--model", "none", "--port", "x"], ("vllm", "transformers", "fastapi", "uvicorn")),
        (["--help"], ("huggingface_hub", "structlog")),
        (["chat", "--help"], ("server.settings",)),
        (["models", "--help"], ("server.settings",)),
        (["convert", "--help"], ()),
        (["train", "--help"], ()),
        (["evaluate", "--help"], ()),
    ):
        code = (
            "import sys\nfrom server.commands import run\n"
            f"try: code = run({words}, 'llava-server')\n"
            "except SystemExit as end: code = end.code\n"
            f"print(code, [name for name in ('torch', *{others}) if name in sys.modules])"
        )
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60,
            env=ENVIRONMENT,
        )  # fmt: skip
        expected = 2 if words[0] == "--model" else 0
        assert run.stdout.splitlines()[-1] == f"{expected} []", words


def test_check_prints_settings_with_their_sources() -> None:
    words = ("--check", "--port", "0", "--api-keys", "hunter2")
    ended = end(start(*words, LLAVA_MAX_IMAGES="3"))
    assert (ended.code, ended.err) == (0, "")
    shown = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert {
        *("port 0 (--port)", "max_images 3 (LLAVA_MAX_IMAGES)", "host 127.0.0.1 (default)"),
        *("max_model_len 2048 (default)", "api_keys ******** (--api-keys)"),
    } <= set(shown)
    assert "hunter2" not in ended.out


def test_check_runs_beside_a_server(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    ended = end(start("--check", "--port", str(port)))
    assert ended.code == 0
    assert ended.err.startswith(f"note: --port {port}: cannot listen on 127.0.0.1:{port}: Address")
    ended = end(start("--check", "--port", str(port), "--log-format", "json"))
    assert json.loads(ended.err)["setting"] == f"--port {port}"


def test_check_prints_json_and_refuses_mistakes() -> None:
    ended = end(start("--check", "--port", "0", "--log-format", "json"))
    assert ended.code == 0
    settings = json.loads(ended.out)["settings"]
    assert settings.keys() == Settings.model_fields.keys()
    assert settings["log_format"] == {"value": "json", "from": "--log-format"}
    assert end(start("--check", "--port", "x")).code == 2


@pytest.mark.parametrize("word", ["--version", "serve --version"])
def test_version(word: str) -> None:
    ended = end(start(*word.split()))
    assert (ended.code, ended.out) == (0, f"llava-server {__version__}\n")


def test_help_names_every_option_and_its_default() -> None:
    ended = end(start("--help", COLUMNS="80"))
    assert ended.code == 0
    assert max(map(len, ended.out.splitlines())) <= 80
    shown = " ".join(ended.out.split())
    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in shown
        assert field.description is not None
        assert " ".join(field.description.split()) in shown
        assert f"LLAVA_{name.upper()}" in shown
    assert "None" not in ended.out
    assert "tuple" not in ended.out


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
    ("case", "code", "said"),
    [
        (
            "unknown model",
            2,
            r"--model no-such-model: no model 'no-such-model': it is not in the store \(",
        ),
        ("taken port", 2, r"cannot listen on 127\.0\.0\.1:\d+: Address already in use"),
        ("released model", 1, r"convert it first: llava-server convert /\S+/org/released"),
        ("unknown hub id", 1, r"no model 'org/none@v1': .*; the hub at \S+ has no org/none, or"),
        ("offline", 1, r"no model 'org/other': .*; HF_HUB_OFFLINE is set, so org/other cannot be"),
    ],
)
def test_a_server_that_cannot_start_says_why(
    case: str, code: int, said: str, refused: dict[str, Ended]
) -> None:
    ended = refused[case]
    assert ended.code == code
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


def test_a_server_that_pulls_says_how_far_it_is_and_stops_on_a_signal(tmp_path: Path) -> None:
    with run_hub() as hub:
        (repo := Repo()).commit("main", {"config.json": b"{}", "a.safetensors": bytes(1000)})
        hub.repos["org/slow"], hub.stall = repo, "a.safetensors"
        online = {
            "HF_ENDPOINT": hub.url,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DOWNLOAD_TIMEOUT": "300",
            "LLAVA_STORE": str(tmp_path),
        }
        process = start("--model", "org/slow", "--uds", str(tmp_path / "socket"), **online)
        assert hub.stalled.wait(60)
        transport = httpx.HTTPTransport(uds=str(tmp_path / "socket"))
        with httpx.Client(transport=transport, base_url="http://localhost") as client:
            assert client.get("/health").json() == {"status": "alive"}
            ready = client.get("/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "loading")
        assert re.fullmatch(r"pulling org/slow: \d+ B of 1 kB", ready.json()["reason"])
        process.send_signal(signal.SIGTERM)
        ended = end(process)
    assert ended.code == 0
    assert "stopped while pulling the model" in ended.err
    assert "Traceback" not in ended.err


def test_importing_the_program_starts_nothing() -> None:
    """Decode workers and the engine's process import it again."""
    code = "import runpy; runpy.run_module('server', run_name='__mp_main__')"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (run.stdout, run.stderr) == ("", "")
