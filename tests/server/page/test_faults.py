"""The page while the server loads, requires a key, is full, or dies."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.api.limits import LIMITS
from tests.api.running import RunningServer, starting_server, wait_for_metric
from tests.server.page.browsing import (
    SCENE,
    ask,
    open_page,
    parse_body,
    pick_files,
    read_answer,
    read_failure,
    wait_for_answer,
    wait_until_ready,
)

KEY = "the-key"
SERVER_OPTIONS = ("--api-keys", KEY, "--max-concurrent-requests", "1", "--max-queue-s", "0.5")


@pytest.fixture
def starting() -> Iterator[RunningServer]:
    """Start a server without waiting for it."""
    with starting_server(*LIMITS, *SERVER_OPTIONS) as server:
        yield server


def find_address(server: RunningServer) -> str:
    """Find the address of a server that is still loading; it logs it only when ready."""
    process = psutil.Process(server.process.pid)
    for _ in range(600):
        assert server.process.poll() is None, server.log
        for connection in process.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                return f"http://127.0.0.1:{connection.laddr.port}"
        time.sleep(0.1)
    raise AssertionError("the server does not listen")


def test_from_loading_to_death(browser: Browser, starting: RunningServer) -> None:
    with open_page(browser, find_address(starting)) as page:
        asks_for_a_key(page)
        is_loading(page)
        wait_until_ready(page)
        pick_files(page, SCENE)
        assert "circle" in read_answer(ask(page, "What shape is at the top left?"))
        is_full(page, starting)
        breaks_off(page, starting)
        is_gone(page, starting)


def asks_for_a_key(page: Page) -> None:
    """The key is asked for at once, and again where it is wrong."""
    notice = page.locator("#key-notice")
    expect(notice).to_contain_text("The API key is missing or wrong")
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_label("API key")).to_be_focused()
    expect(notice).to_be_visible()
    page.get_by_label("API key").fill(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    stored = page.evaluate("[Object.values(localStorage), sessionStorage['llava-api-key']]")
    assert stored == [[], KEY]


def is_loading(page: Page) -> None:
    """The page is there before the model is."""
    expect(page.locator("#state")).to_have_text("Model is loading…")
    page.get_by_label("Question", exact=True).fill("Anybody there?")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    page.get_by_label("Question", exact=True).fill("")


def is_full(page: Page, server: RunningServer) -> None:
    """Another client holds the only permit."""
    with long_answer(server):
        turn = ask(page, "What color is the star?")
        said = read_failure(turn)
        assert "status 429" in said
        assert "code rate_limit_exceeded" in said
        assert re.search(r"retry after [1-9]\d* s", said)
    wait_for_metric(server.url, "llava:num_requests_running", 0, 20)
    turn.get_by_role("button", name="Try again").click()
    assert read_answer(wait_for_answer(page)) == "blue"


@contextmanager
def long_answer(server: RunningServer) -> Iterator[None]:
    """Hold a permit: an answer is under way for the whole block."""
    body = {
        "model": "llava-tiny",
        "messages": [{"role": "user", "content": "Describe the image."}],
        "stream": True,
        "ignore_eos": True,
    }
    headers = {"authorization": f"Bearer {KEY}"}
    url = f"{server.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, headers=headers, timeout=60) as response:
        assert response.status_code == 200
        yield


def breaks_off(page: Page, server: RunningServer) -> None:
    """The engine dies in the middle of an answer."""

    def go_on(route: Route) -> None:
        route.continue_(post_data=json.dumps({**parse_body(route.request), "ignore_eos": True}))

    page.route("**/v1/chat/completions", go_on)
    page.get_by_label("Question", exact=True).fill("Describe the image in detail.")
    page.keyboard.press("Enter")
    text = page.locator(".turn").last.locator(".answer-text")
    expect(text).to_contain_text("The image shows")
    os.kill(server.engine_pid(), signal.SIGKILL)
    turn = wait_for_answer(page)
    assert "code engine_unavailable" in read_failure(turn)
    assert read_answer(turn).startswith("The image shows")


def is_gone(page: Page, server: RunningServer) -> None:
    """The server has ended."""
    server.wait_for_exit()
    page.get_by_role("button", name="Try again").click()
    assert "The server could not be reached" in read_failure(wait_for_answer(page))
    expect(page.locator("#state")).to_have_text("No connection")
