"""The servers under test: their commands, start, readiness and end."""

import os
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from benchmarks import systems
from benchmarks.systems import (
    LLAVA_TINY,
    MODEL,
    OURS,
    PEER,
    SYSTEMS,
    ServedModel,
    System,
    run_system,
)
from server.start.parsing import parse_command_line
from server.start.validation import read_settings


def fake_system(*options: str) -> System:
    """Return a system that starts the fake server."""
    module = "tests.benchmarks.fake_server"
    return System("stand-in", module, "/ready", options, eager="--slow", compiled="--fast")


def flags(command: list[str]) -> dict[str, str]:
    """Return the options of a command that have a value."""
    return {
        name: value
        for name, value in pairwise(command)
        if name.startswith("--") and not value.startswith("--")
    }


def about(url: str) -> dict[str, Any]:
    """Return the fake server's description of itself."""
    found: dict[str, Any] = httpx.get(f"{url}/about").json()
    return found


def has_ended(pid: int, within_s: float = 0.0) -> bool:
    """Whether a process ends within a time."""
    deadline = time.monotonic() + within_s
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_names_differ() -> None:
    assert [system.name for system in SYSTEMS] == ["ours", "peer"]


@pytest.mark.parametrize("eager", [True, False])
def test_our_command_is_one_that_our_server_reads(eager: bool) -> None:
    command = OURS.build_command(4321, eager=eager)
    assert command[:3] == [sys.executable, "-m", "server"]
    settings, wrong = read_settings(parse_command_line(command[3:]).values, {})
    assert not wrong
    assert (settings.host, settings.port) == ("127.0.0.1", 4321)
    assert settings.served_model_name == "llava-tiny"
    assert Path(str(settings.model)) == MODEL
    assert settings.enforce_eager is eager


def test_their_command() -> None:
    command = PEER.build_command(4321, eager=True)
    assert command[:3] == [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    assert flags(command)["--port"] == "4321"
    assert command[-1] == "--enforce-eager"
    assert PEER.build_command(4321, eager=False) == [*command[:-1], "--no-enforce-eager"]


def test_both_have_equal_settings_of_the_engine() -> None:
    ours, peer = (flags(system.build_command(1, eager=True)) for system in SYSTEMS)
    assert peer.items() <= ours.items()
    assert {"--model", "--max-model-len", "--max-num-seqs", "--max-num-batched-tokens"} <= set(peer)
    # vLLM's own takes it from the environment.
    assert set(ours) - set(peer) == {"--cpu-kv-cache-gib"}


def test_on_a_gpu_both_have_equal_settings_and_none_of_a_cpu() -> None:
    model = replace(LLAVA_TINY, on_gpu=True)
    ours, peer = (flags(each.build_command(1, eager=False, model=model)) for each in SYSTEMS)
    assert ours == peer
    assert ours["--gpu-memory-utilization"] == "0.92"
    settings, wrong = read_settings(
        parse_command_line(OURS.build_command(1, eager=False, model=model)[3:]).values, {}
    )
    assert not wrong
    assert (settings.gpu_memory_utilization, settings.enforce_eager) == (0.92, False)


def test_a_model_goes_through_a_command_line() -> None:
    model = replace(LLAVA_TINY, on_gpu=True)
    assert ServedModel.from_json(model.to_json()) == model


def test_a_gpu_has_longer_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "START_LIMIT_S", 0.0)
    model = replace(LLAVA_TINY, on_gpu=True)
    with run_system(fake_system(), tmp_path / "log", eager=False, model=model) as server:
        assert server.ready_s > 0


def test_the_model_is_there() -> None:
    assert (MODEL / "config.json").is_file()


def test_it_runs_with_its_command_and_environment_and_is_ended(tmp_path: Path) -> None:
    begun = time.perf_counter()
    with run_system(fake_system("--own"), tmp_path / "log", eager=False) as server:
        assert 0 < server.ready_s <= time.perf_counter() - begun
        assert server.chat_url == f"{server.url}/v1/chat/completions"
        found = about(server.url)
        assert not has_ended(server.pid)
    assert has_ended(server.pid)
    port = urlsplit(server.url).port
    assert port
    assert found["arguments"] == fake_system("--own").build_command(port, eager=False)[3:]
    assert found["arguments"][-2:] == ["--own", "--fast"]
    assert found["session"] == os.getsid(0)
    assert found["group"] == server.pid


def test_its_environment_is_ours_and_what_the_engine_needs(tmp_path: Path) -> None:
    with run_system(fake_system(), tmp_path / "log", eager=True) as server:
        environment = about(server.url)["environment"]
    assert environment["PATH"] == os.environ["PATH"]
    assert environment["HF_HUB_OFFLINE"] == "1"
    ours = flags(OURS.build_command(1, eager=True))
    assert environment["VLLM_CPU_KVCACHE_SPACE"] == ours["--cpu-kv-cache-gib"]


def test_what_it_prints_is_added_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    with run_system(fake_system(), log, eager=True):
        pass
    assert log.read_text().splitlines()[:2] == ["before", "standing in"]


def test_it_is_awaited_until_it_is_ready(tmp_path: Path) -> None:
    with run_system(fake_system("--refuses", "3"), tmp_path / "log", eager=True) as server:
        assert httpx.get(f"{server.url}/ready").status_code == 200
        assert server.ready_s >= 3 * systems.POLL_S


@pytest.mark.parametrize("code", [0, 3])
def test_one_that_dies_says_so(code: int, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        pytest.raises(SystemExit, match=f"ended with {code}; see .*log"),
        run_system(fake_system("--dies", str(code)), log, eager=True),
    ):
        pytest.fail("it is not ready")
    assert log.read_text() == "standing in\n"


def test_one_that_is_never_ready_says_so_and_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systems, "START_LIMIT_S", 0.5)
    before = psutil.Process().children()
    with (
        pytest.raises(SystemExit, match=r"not ready in 0\.5 s"),
        run_system(fake_system("--refuses", "1000000"), tmp_path / "log", eager=True),
    ):
        pytest.fail("it is not ready")
    assert set(psutil.Process().children()) <= set(before)


def test_it_is_ended_where_the_measurement_fails(tmp_path: Path) -> None:
    pids = []

    def measure() -> None:
        with run_system(fake_system(), tmp_path / "log", eager=True) as server:
            pids.append(server.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        measure()
    assert has_ended(pids[0])


def test_one_that_does_not_listen_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systems, "STOP_LIMIT_S", 0.1)
    system = fake_system("--ignores-sigterm", "--has-child")
    with run_system(system, tmp_path / "log", eager=True) as server:
        child = about(server.url)["child"]
        assert not has_ended(child)
    assert has_ended(server.pid)
    assert has_ended(child, within_s=10)


def test_what_it_leaves_behind_is_ended_too(tmp_path: Path) -> None:
    with run_system(fake_system("--has-child"), tmp_path / "log", eager=True) as server:
        child = about(server.url)["child"]
    try:
        assert has_ended(child, within_s=1)
    finally:
        if not has_ended(child):
            psutil.Process(child).kill()


def test_no_proxy_is_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "START_LIMIT_S", 5)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with run_system(fake_system(), tmp_path / "log", eager=True) as server:
        assert server.ready_s > 0
