"""The systemd units fit the server, HAProxy's configuration and each other."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.process.service_manager import ALIVE_INTERVAL_S
from tests.deploy.balancing import CONFIGURATION
from tests.deploy.settings import VARIABLES, stop_s

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = ("llava-server.service", "llava-server@.service")
GUIDE = (FOLDER.parents[1] / "docs" / "deployment.md").read_text()
FOLDERS = {
    "/var/lib": "StateDirectory",
    "/var/cache": "CacheDirectory",
    "/var/log": "LogsDirectory",
    "/run": "RuntimeDirectory",
}
SINCE_254 = ("RestartSteps", "RestartMaxDelaySec")
# What may differ where several servers share a host.
OF_AN_INSTANCE = re.compile(
    r"#|(Description|Documentation|CacheDirectory|ExecStop|ExecStartPost|EnvironmentFile)="
    r"|Environment=(HOME|XDG_CACHE_HOME|TORCHINDUCTOR_CACHE_DIR|CUDA_VISIBLE_DEVICES"
    r"|LLAVA_PORT|LLAVA_ADMIN_PORT)="
)

each_unit = pytest.mark.parametrize("unit", UNITS)


def read(unit: str) -> str:
    """Return a unit's text."""
    return (FOLDER / unit).read_text()


def values(unit: str, name: str) -> list[str]:
    """Return the values of a directive."""
    return re.findall(rf"^{name}=(.*)$", read(unit), re.M)


def variables(unit: str) -> dict[str, str]:
    """Return the server's variables that the unit sets."""
    pairs = (value.partition("=") for value in values(unit, "Environment"))
    return {name: value for name, _, value in pairs if name.startswith("LLAVA_")}


@each_unit
def test_variables_are_settings(unit: str) -> None:
    assert set(variables(unit)) <= VARIABLES
    assert set(re.findall(r"LLAVA_\w+", read(unit))) <= VARIABLES


@each_unit
def test_the_server_has_time_to_stop(unit: str) -> None:
    assert float(*values(unit, "TimeoutStopSec")) > stop_s(variables(unit))


@each_unit
def test_the_watchdog_hears_of_the_server_often_enough(unit: str) -> None:
    assert values(unit, "Type") == ["notify"]
    assert float(*values(unit, "WatchdogSec")) > 2 * ALIVE_INTERVAL_S


@each_unit
def test_wrong_settings_are_not_tried_again(unit: str) -> None:
    assert values(unit, "RestartPreventExitStatus") == ["2"]


@each_unit
def test_what_is_written_to_is_writable(unit: str) -> None:
    """With ProtectSystem=strict only these folders and the private /tmp are."""
    assert values(unit, "ProtectSystem") == ["strict"]
    for directive in FOLDERS.values():
        assert "llava-server" in values(unit, directive)[0].split()
    assert set(re.findall(r"=(/(?:run|var/\w+)/llava-server)\b", read(unit))) <= {
        f"{folder}/llava-server" for folder in FOLDERS
    }


def test_the_guide_creates_what_the_unit_names() -> None:
    for needed in (
        *("/opt/llava-server", "useradd --system", "/etc/llava-server/environment"),
        *("/etc/llava-server/keys.toml", "0640", "LLAVA_USAGE_LOG=/var/log/llava-server/"),
        "LLAVA_UDS=/run/llava-server/",
    ):
        assert needed in GUIDE


@each_unit
def test_restarts_come_later_and_later(unit: str) -> None:
    first_s = float(*values(unit, "RestartSec"))
    assert float(*values(unit, "RestartMaxDelaySec")) > first_s
    assert int(*values(unit, "RestartSteps")) > 1


def test_an_instance_is_the_same_server_on_ports_and_a_gpu_of_its_own() -> None:
    single, instance = (
        [line for line in read(unit).splitlines() if not OF_AN_INSTANCE.match(line)]
        for unit in UNITS
    )
    assert single == instance
    ports = variables(UNITS[1])
    for number in "01":
        port, admin = (
            ports[name].replace("%i", number) for name in ("LLAVA_PORT", "LLAVA_ADMIN_PORT")
        )
        line = rf"server llava{number} 127\.0\.0\.1:{port} id \d check port {admin}"
        assert re.search(line, CONFIGURATION.read_text())


@each_unit
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze found")
def test_systemd_accepts_it(unit: str, tmp_path: Path) -> None:
    copy = tmp_path / unit.replace("@", "@0")
    programs = r"/opt/llava-server/\.venv/bin/[\w-]+"
    copy.write_text(re.sub(programs, sys.executable, read(unit)))
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
