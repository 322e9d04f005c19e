"""The last request as code: the copied snippets run and give the page's answer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.server.page.browsing import SCENE, ask, pick_files, read_answer

QUESTION = "What shape is at the 'top left', \"please\"? $HOME `date` \\n é"


def copy_snippet(page: Page, name: str) -> str:
    """Press a copy button and return the clipboard."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name=f"Copy {name}").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    return str(page.evaluate("navigator.clipboard.readText()"))


@pytest.fixture
def asked(page: Page) -> str:
    """Ask a question full of quotes and escapes; return the answer."""
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("API key").fill("very-secret")
    page.get_by_label("Temperature").fill("0")
    page.keyboard.press("Escape")
    pick_files(page, SCENE)
    text = read_answer(ask(page, QUESTION))
    page.get_by_role("button", name="Code").click()
    return text


def test_the_curl_command_runs(page: Page, asked: str) -> None:
    command = copy_snippet(page, "curl")
    assert "very-secret" not in command
    assert '"Authorization: Bearer $LLAVA_API_KEY"' in command
    assert "-H 'x-llava-affinity: " in command
    run = subprocess.run(
        ["sh", "-euc", command],
        env={"PATH": "/usr/bin:/bin", "LLAVA_API_KEY": "any"},
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    lines = [line[6:] for line in run.stdout.splitlines() if line.startswith("data: {")]
    choices = [choice for line in lines for choice in json.loads(line)["choices"]]
    assert "".join(choice["delta"].get("content", "") for choice in choices) == asked


def test_the_python_program_runs(page: Page, asked: str, tmp_path: Path) -> None:
    program = tmp_path / "asking.py"
    program.write_text(copy_snippet(page, "Python"))
    assert "very-secret" not in program.read_text()
    run = subprocess.run(
        [sys.executable, program], capture_output=True, check=True, text=True, timeout=60
    )
    text, _, tokens = run.stdout.rstrip().rpartition("\n")
    assert text == asked
    assert tokens.endswith(" tokens")


@pytest.mark.usefixtures("asked")
def test_pictures_are_cut_short_on_the_screen_only(page: Page) -> None:
    shown = page.locator("#snippets pre").first.inner_text()
    whole = copy_snippet(page, "curl")
    assert "data:image/png;base64," in shown
    assert "characters)" in shown
    assert len(shown) < 2000 < len(whole)


@pytest.mark.usefixtures("asked")
def test_copying_works_without_the_clipboard_api(page: Page) -> None:
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(Error('no')); }")
    whole = copy_snippet(page, "curl")
    assert whole.startswith("curl -sN http")
    assert whole.endswith("REQUEST\n")
