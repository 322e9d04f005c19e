"""The systemd unit fits the server."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.process.service_manager import ALIVE_INTERVAL_S
from tests.deploy.settings import VARIABLES, stop_s

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "llava-server.service"
TEXT = UNIT.read_text()
GUIDE = (UNIT.parents[2] / "docs" / "deployment.md").read_text()
FOLDERS = {
    "/var/lib": "StateDirectory",
    "/var/cache": "CacheDirectory",
    "/var/log": "LogsDirectory",
    "/run": "RuntimeDirectory",
}
SINCE_254 = ("RestartSteps", "RestartMaxDelaySec")


def values(name: str) -> list[str]:
    """Return the values of a directive."""
    return re.findall(rf"^{name}=(.*)$", TEXT, re.M)


def variables() -> dict[str, str]:
    """Return the server's variables that the unit sets."""
    pairs = (value.partition("=") for value in values("Environment"))
    return {name: value for name, _, value in pairs if name.startswith("LLAVA_")}


def test_variables_are_settings() -> None:
    assert set(variables()) <= VARIABLES
    assert set(re.findall(r"LLAVA_\w+", TEXT)) <= VARIABLES


def test_the_server_has_time_to_stop() -> None:
    assert float(*values("TimeoutStopSec")) > stop_s(variables())


def test_the_watchdog_hears_of_the_server_often_enough() -> None:
    assert values("Type") == ["notify"]
    assert float(*values("WatchdogSec")) > 2 * ALIVE_INTERVAL_S


def test_wrong_settings_are_not_tried_again() -> None:
    assert values("RestartPreventExitStatus") == ["2"]


def test_what_is_written_to_is_writable() -> None:
    """With ProtectSystem=strict only these folders and the private /tmp are."""
    assert values("ProtectSystem") == ["strict"]
    for directive in FOLDERS.values():
        assert values(directive) == ["llava-server"]
    assert set(re.findall(r"=(/(?:run|var/\w+)/llava-server)\b", TEXT)) == {
        f"{folder}/llava-server" for folder in FOLDERS
    }


def test_the_guide_creates_what_the_unit_names() -> None:
    for needed in (
        *("/opt/llava-server", "useradd --system", "/etc/llava-server/environment"),
        *("/etc/llava-server/keys.toml", "0640", "LLAVA_USAGE_LOG=/var/log/llava-server/"),
        "LLAVA_UDS=/run/llava-server/",
    ):
        assert needed in GUIDE


def test_restarts_come_later_and_later() -> None:
    first_s, last_s = float(*values("RestartSec")), float(*values("RestartMaxDelaySec"))
    assert last_s > first_s
    assert int(*values("RestartSteps")) > 1


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze found")
def test_systemd_accepts_it(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(TEXT.replace("/opt/llava-server/.venv/bin/llava-server", sys.executable))
    said = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False
    )
    faults = [line for line in said.stderr.splitlines() if not is_of_later_version(line)]
    assert (said.returncode, faults) == (0, [])


def is_of_later_version(line: str) -> bool:
    """Whether a warning is of a directive that this systemd does not know yet."""
    return any(
        f"Unknown key '{name}'" in line or f"Unknown key name '{name}'" in line
        for name in SINCE_254
    )
