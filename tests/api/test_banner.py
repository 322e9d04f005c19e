"""The command that a ready server prints gets a right answer, wherever it is run."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from server.banner import format_curl_command
from tests.api.running import RunningServer


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_printed_command_is_answered_from_any_folder(
    server: RunningServer, tmp_path: Path
) -> None:
    command = format_curl_command(server.url, "llava-tiny")
    run = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, check=True, timeout=60
    )
    content = json.loads(run.stdout)["choices"][0]["message"]["content"]
    assert content == "A red circle at the left, a blue square at the right."
