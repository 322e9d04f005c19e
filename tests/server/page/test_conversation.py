"""Conversations on the page with the real model: images, answers, turns, keys."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.api.running import RunningServer, metric, wait_for_metric
from tests.server.page.browsing import (
    EXAMPLES,
    SCENE,
    ask,
    drag,
    parse_body,
    pick_files,
    read_answer,
    wait_for_answer,
    wait_until_ready,
)
from tests.web import QuietHandler, serve_http

SHAPE = "What shape is at the top left?"
COMPLETIONS = "**/v1/chat/completions"


@pytest.fixture
def requests(page: Page) -> list[Any]:
    """Collect the bodies of all chat requests."""
    bodies: list[Any] = []

    def collect(request: Request) -> None:
        if request.url.endswith("/chat/completions"):
            bodies.append(parse_body(request))

    page.on("request", collect)
    return bodies


@pytest.fixture
def endless(page: Page) -> Page:
    """Let answers run to the token limit, so that there is time to stop them."""

    def go_on(route: Route) -> None:
        body = {**parse_body(route.request), "ignore_eos": True}
        route.continue_(post_data=json.dumps(body))

    page.route(COMPLETIONS, go_on)
    return page


@pytest.fixture
def address() -> Iterator[str]:
    """Serve the scene from another web server."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802
            self.send_response(200)
            self.end_headers()
            self.wfile.write(SCENE["buffer"])

    with serve_http(Handler) as url:
        yield f"{url}/scene.png"


def test_a_picked_picture_is_answered_with_figures(
    page: Page, server: RunningServer, requests: list[Any]
) -> None:
    pick_files(page, SCENE)
    turn = ask(page, SHAPE)
    assert "circle" in read_answer(turn)
    body = {**requests[0], "stream": False}
    del body["stream_options"]
    usage = httpx.post(f"{server.url}/v1/chat/completions", json=body).json()["usage"]
    figures = turn.locator(".figures").inner_text().replace("\n", " ")
    assert f"Prompt {usage['prompt_tokens']} tokens, 64 for images" in figures
    assert f"Answer {usage['completion_tokens']} tokens" in figures
    assert re.search(r"First token \d+ ms", figures)
    assert re.search(r"Total [\d.]+ m?s", figures)


def test_a_dropped_and_a_pasted_picture(page: Page, requests: list[Any]) -> None:
    wait_until_ready(page)
    drag(page, "dragenter", "scene.png", SCENE["buffer"], "image/png")
    expect(page.locator("#drop")).to_be_visible()
    drag(page, "drop", "scene.png", SCENE["buffer"], "image/png")
    expect(page.locator("#drop")).to_be_hidden()
    expect(page.locator("#tray img")).to_have_count(1)
    second = (EXAMPLES / "scene-3.png").read_bytes()
    drag(page, "paste", "", second, "image/png")
    expect(page.locator("#tray img")).to_have_count(2)
    page.get_by_role("button", name="Remove scene.png").click()
    assert read_answer(ask(page, "How many shapes are there?")) == "4"
    [part] = [part for part in requests[0]["messages"][-1]["content"] if "image_url" in part]
    assert part["image_url"]["url"].startswith("data:image/png;base64,")


def test_a_picture_at_an_address_is_fetched_by_the_server_alone(page: Page, address: str) -> None:
    wait_until_ready(page)
    page.get_by_role("button", name="By address").click()
    page.get_by_label("Address of a picture").fill("no address")
    page.get_by_label("Address of a picture").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not an http or https address")
    page.get_by_label("Address of a picture").fill(address)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#tray .tile")).to_have_text(address)
    assert "circle" in read_answer(ask(page, SHAPE))


def test_an_example_needs_one_click(page: Page) -> None:
    wait_until_ready(page)
    expect(page.get_by_text("Of photographs it knows nothing.")).to_be_visible()
    page.locator(".example").first.click()
    assert (
        read_answer(wait_for_answer(page))
        == "A red circle at the top left, a blue star at the center."
    )


def test_turns_retry_and_edit(page: Page, requests: list[Any]) -> None:
    pick_files(page, SCENE)
    first = read_answer(ask(page, SHAPE))
    second = ask(page, "What color is the star?")
    assert read_answer(second) == "blue"
    roles = [message["role"] for message in requests[1]["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert requests[1]["messages"][1]["content"] == first
    second.get_by_role("button", name="Retry").click()
    assert read_answer(wait_for_answer(page)) == "blue"
    assert requests[2] == requests[1]
    expect(page.locator(".turn")).to_have_count(2)

    page.get_by_label("Question", exact=True).fill("a draft")
    page.get_by_role("button", name="Edit question").click()
    expect(page.get_by_label("Question", exact=True)).to_have_value("What color is the star?")
    page.get_by_label("Question", exact=True).fill("What color is the circle?")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".turn").last.locator(".answer-text")).to_have_text("red")
    expect(page.locator(".turn")).to_have_count(2)
    expect(page.get_by_label("Question", exact=True)).to_have_value("a draft")

    page.get_by_role("button", name="New chat").click()
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.locator("#start")).to_be_visible()


def test_a_conversation_asks_to_be_led_to_one_replica(page: Page) -> None:
    sent: list[str] = []

    def record(route: Route) -> None:
        sent.append(route.request.headers["x-llava-affinity"])
        headers = {"x-llava-affinity": "named"} if len(sent) == 2 else {}
        response = route.fetch()
        route.fulfill(response=response, headers={**response.headers, **headers})

    page.route(COMPLETIONS, record)
    for _ in range(3):
        ask(page, SHAPE)
    page.get_by_role("button", name="New chat").click()
    ask(page, SHAPE)
    first, second, third, other = sent
    assert first == second
    assert third == "named"
    assert len({first, third, other}) == 3


def test_stopping_ends_the_work_and_keeps_what_is_there(
    endless: Page, server: RunningServer
) -> None:
    page = endless
    pick_files(page, SCENE)
    cancelled = _cancelled(server)
    page.get_by_label("Question", exact=True).fill("Describe the image in detail.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".answer-text")).to_contain_text("The image shows")
    page.keyboard.press("Escape")
    turn = wait_for_answer(page)
    expect(turn).to_contain_text("Stopped.")
    assert read_answer(turn).startswith("The image shows")
    wait_for_metric(server.url, 'llava:requests_total{outcome="cancelled"}', cancelled + 1, 20)
    wait_for_metric(server.url, "vllm:num_requests_running", 0, 20)
    page.unroute(COMPLETIONS)
    page.route(COMPLETIONS, _shorten_answer)
    assert read_answer(ask(page, "What color is the star?")) == "blue"


def _shorten_answer(route: Route) -> None:
    """Check that a stopped answer is sent, and send its beginning.

    How far it came depends on the machine, and the next answer on how far that is.
    """
    body = parse_body(route.request)
    message = body["messages"][1]
    assert message["role"] == "assistant"
    assert message["content"].startswith("The image shows")
    message["content"] = "The image shows"
    route.continue_(post_data=json.dumps(body))


def _cancelled(server: RunningServer) -> float:
    return metric(server.url, 'llava:requests_total{outcome="cancelled"}')


def test_everything_by_keyboard(page: Page) -> None:
    wait_until_ready(page)
    _tab_to(page, "Skip to the question", back=True)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Question", exact=True)).to_be_focused()
    # Listening begins well before: the browser learns of it behind the test's back.
    page.on("filechooser", lambda chooser: chooser.set_files([SCENE]))
    _tab_to(page, "Add pictures")
    page.keyboard.press("Enter")
    expect(page.locator("#tray img")).to_have_count(1)
    _tab_to(page, "Question")
    page.keyboard.type("What shape is")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("at the top left?")
    page.keyboard.press("Enter")
    turn = wait_for_answer(page)
    assert turn.locator(".question-text").inner_text() == "What shape is\nat the top left?"
    assert "circle" in read_answer(turn)
    _tab_to(page, "Retry", back=True)
    page.keyboard.press("Enter")
    wait_for_answer(page)
    _tab_to(page, "Code", back=True)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    _tab_to(page, "Settings", back=True)
    page.keyboard.press("Enter")
    _tab_to(page, "Temperature")
    page.keyboard.type("0.5")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def _tab_to(page: Page, name: str, *, back: bool = False) -> None:
    """Press Tab until the element of this name has the focus, which must show."""
    script = """() => {
        const { labels, ariaLabel, textContent } = document.activeElement;
        const name = labels?.[0]?.textContent ?? ariaLabel ?? textContent;
        return name.trim();
    }"""
    for _ in range(30):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if page.evaluate(script) == name:
            return
    raise AssertionError(f"no way to {name} by keyboard")


def test_settings_are_sent_only_where_they_are_set(page: Page, requests: list[Any]) -> None:
    pick_files(page, SCENE)
    ask(page, SHAPE)
    assert set(requests[0]) == {"model", "messages", "stream", "stream_options"}
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("System text").fill("Be brief.")
    for label, value in {
        "Temperature": "0.5",
        "Top p": "0.9",
        "Max tokens": "2",
        "Seed": "7",
    }.items():
        page.get_by_label(label).fill(value)
    page.get_by_label("Image detail").select_option("low")
    page.keyboard.press("Escape")
    turn = ask(page, "Describe the image.")
    expect(turn).to_contain_text("the token limit")
    body = requests[1]
    named = {name: body[name] for name in ("temperature", "top_p", "max_completion_tokens", "seed")}
    assert named == {"temperature": 0.5, "top_p": 0.9, "max_completion_tokens": 2, "seed": 7}
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["messages"][1]["content"][0]["image_url"]["detail"] == "low"
    page.reload()
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_label("Temperature")).to_have_value("0.5")
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_label("Temperature")).to_have_value("")


def test_screen_readers_hear_an_answer_once(page: Page) -> None:
    pick_files(page, SCENE)
    page.evaluate("""() => {
        window.heard = [];
        const region = document.getElementById("announcer");
        const hear = () => window.heard.push(region.textContent);
        new MutationObserver(hear).observe(region, { childList: true });
    }""")
    text = read_answer(ask(page, "Describe the image in detail."))
    assert page.evaluate("window.heard") == ["Asking…", f"Answer: {text}"]
    assert page.locator("#announcer").get_attribute("aria-live") == "polite"
    assert page.locator("#turns[aria-live], #turns [aria-live]").count() == 0
