"""The line that the server prints to be pasted into a shell."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from server.banner import format_ready_banner, parse_ready_url
from server.example_image import EXAMPLE_IMAGE_URL
from server.protocol.chat.request import parse_chat_request

FAKE_CURL = """\
#!/bin/sh
for argument; do printf '%s\\0' "$argument"; done > "$ARGUMENTS"
"""


def pasted(banner: str) -> str:
    """Return what a user copies."""
    _, _, command = banner.partition("\n\n")
    assert command.startswith("curl ")
    return command


def test_the_line_is_valid_shell() -> None:
    command = pasted(format_ready_banner("http://127.0.0.1:8000", "llava-tiny"))
    subprocess.run(["bash", "-n", "-c", command], check=True, timeout=20)
    subprocess.run(["sh", "-n", "-c", command], check=True, timeout=20)


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("model", ["llava-tiny", "org/llava-1.5-7b_hf"])
def test_curl_gets_a_request_that_the_server_understands(
    shell: str, model: str, tmp_path: Path
) -> None:
    curl = tmp_path / "bin" / "curl"
    curl.parent.mkdir()
    curl.write_text(FAKE_CURL)
    curl.chmod(0o755)
    subprocess.run(
        [shell, "-c", pasted(format_ready_banner("http://127.0.0.1:8000", model))],
        cwd=tmp_path,  # no clone of this repository
        env={
            "PATH": f"{curl.parent}:{os.environ['PATH']}",
            "ARGUMENTS": str(tmp_path / "arguments"),
        },
        check=True,
        timeout=20,
    )
    arguments = (tmp_path / "arguments").read_text().split("\0")[:-1]
    assert arguments[:-1] == [
        *("-s", "http://127.0.0.1:8000/v1/chat/completions"),
        *("-H", "Content-Type: application/json", "-d"),
    ]
    request = parse_chat_request(arguments[-1].encode())
    assert request.model == model
    assert request.messages[0].text == "Describe the image."
    assert request.images[0].url == EXAMPLE_IMAGE_URL
    json.loads(arguments[-1])


@pytest.mark.parametrize(
    ("listening", "shown"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://0.0.0.0:80", "http://127.0.0.1:80"),
        ("http://[::]:80", "http://[::1]:80"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("http://10.0.0.5:80", "http://10.0.0.5:80"),
    ],
)
def test_the_address_is_one_that_can_be_reached(listening: str, shown: str) -> None:
    banner = format_ready_banner(listening, "llava-tiny")
    assert f"llava-tiny is ready at {shown} (in a browser, too; docs: {shown}/docs)" in banner
    assert f"curl -s {shown}/v1/chat/completions " in banner
    assert [url for line in banner.splitlines() if (url := parse_ready_url(line))] == [shown]


def test_a_server_with_keys_shows_where_the_key_goes() -> None:
    banner = format_ready_banner("http://127.0.0.1:8000", "m", needs_key=True)
    assert '-H "Authorization: Bearer $LLAVA_API_KEY" http://127.0.0.1:8000/v1/chat' in banner
