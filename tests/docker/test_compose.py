"""The Compose files fit the server, the images and each other."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from tests.deploy.settings import VARIABLES, stop_s
from tests.docker.dockerfile import ROOT

FOLDER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVERS = ("server", "server-gpu")


@pytest.mark.parametrize("file", sorted(FOLDER.glob("compose*.yaml")), ids=lambda path: path.name)
def test_the_specification_is_met(file: Path) -> None:
    """Unknown keys, wrong types and names that are not defined are refused."""
    PyCompose.from_json(json.dumps(yaml.safe_load(file.read_text()))).validate()


@pytest.mark.parametrize("service", SERVERS)
def test_variables_are_settings(service: str) -> None:
    assert set(COMPOSE["services"][service]["environment"]) <= VARIABLES


@pytest.mark.parametrize("service", SERVERS)
def test_the_grace_period_is_longer_than_the_drain(service: str) -> None:
    options = COMPOSE["services"][service]
    assert float(options["stop_grace_period"].removesuffix("s")) > stop_s(options["environment"])


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_services_are_confined_and_start_again(service: str) -> None:
    options = COMPOSE["services"][service]
    assert options["read_only"]
    assert options["cap_drop"] == ["ALL"]
    assert options["restart"] == "unless-stopped"
    assert all(port.startswith("127.0.0.1:") for port in options["ports"])


def test_mounted_files_exist() -> None:
    for options in COMPOSE["services"].values():
        for volume in options["volumes"]:
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (FOLDER / source).exists(), volume


def test_prometheus_asks_the_admin_port() -> None:
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    port = COMPOSE["services"]["server"]["environment"]["LLAVA_ADMIN_PORT"]
    assert job["static_configs"] == [{"targets": [f"server:{port}"]}]
    assert COMPOSE["services"]["server-gpu"]["networks"]["default"]["aliases"] == ["server"]


@pytest.mark.parametrize("service", SERVERS)
def test_the_key_files_folder_is_mounted(service: str) -> None:
    options = yaml.safe_load((FOLDER / "compose.keys.yaml").read_text())["services"][service]
    assert set(options["environment"]) <= VARIABLES
    (volume,) = options["volumes"]
    file = options["environment"]["LLAVA_KEYS_FILE"]
    assert volume["target"] == str(Path(file).parent)
    assert volume["read_only"]
    assert volume["bind"] == {"create_host_path": False}


EXAMPLES = [
    (path.name, command)
    for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), ROOT / "Dockerfile")
    for command in re.findall(r"docker run (?:[^\n]*\\\n)*[^\n]*", path.read_text())
    if " llava-server keys " not in command
]


@pytest.mark.parametrize(("file", "command"), EXAMPLES)
def test_examples_give_shared_memory_and_time_to_stop(file: str, command: str) -> None:
    assert "--shm-size 2g" in command, file
    assert "--stop-timeout 60" in command, file
