"""A file of keys that is broken when it is read again: the old keys stay, and the log says so."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from server.settings import Settings
from tests.api.running import running_server
from tests.faults.phases import wait_until
from tests.faults.probing import CHAT, build_text_request

pytestmark = pytest.mark.skipif(
    "keys_file" not in Settings.model_fields, reason="there is no --keys-file"
)

RELOAD_LIMIT_S = 10
BROKEN = ("[[keys", "", 'keys = "none"')


def make_key(path: Path, name: str) -> str:
    """Add a key to the file and return it."""
    command = [sys.executable, "-m", "server", "keys", "new", name, "--keys-file", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return next(word for word in run.stdout.split() if word.startswith("llava-"))


def test_a_broken_file_keeps_the_old_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    key = make_key(path, "ada")
    whole = path.read_text()
    options = ("--cpu-kv-cache-gib", "1", "--enforce-eager", "true", "--keys-file", str(path))
    headers = {"authorization": f"Bearer {key}"}
    with running_server(*options) as server:
        with httpx.Client(base_url=server.url, headers=headers, timeout=60) as http:
            for text in BROKEN:
                server.log.clear()
                path.write_text(text)
                wait_until(lambda: any("keys" in line for line in server.log), RELOAD_LIMIT_S)
                http.post(CHAT, json=build_text_request()).raise_for_status()
            path.unlink()
            http.post(CHAT, json=build_text_request()).raise_for_status()
            path.write_text(whole)
            http.post(CHAT, json=build_text_request()).raise_for_status()
        unknown = httpx.post(f"{server.url}{CHAT}", json=build_text_request())
        assert unknown.status_code == 401
