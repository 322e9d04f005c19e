"""Actions of a user on the page, and checks that hold in every test."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, FilePayload, Locator, Page, Request, expect

from model_store.store import find_model

EXAMPLES = find_model("llava-tiny") / "examples"
# A red circle at the top left, a blue star at the center.
SCENE: FilePayload = {
    "name": "scene-1.png",
    "mimeType": "image/png",
    "buffer": (EXAMPLES / "scene-1.png").read_bytes(),
}
DESKTOP_VIEWPORT = {"width": 1200, "height": 800}
TIMEOUT_MS = 20_000


@contextmanager
def open_page(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Open the page; fails on console errors and on requests to other origins."""
    context = browser.new_context(**{"viewport": DESKTOP_VIEWPORT, **options})
    context.set_default_timeout(TIMEOUT_MS)
    faults: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.extend(_find_faults(message)))
    page.on("request", lambda request: faults.extend(_find_foreign_requests(request, url)))
    page.goto(url)
    try:
        yield page
        page.unroute_all(behavior="ignoreErrors")
    finally:
        context.close()
    assert faults == []


def _find_faults(message: ConsoleMessage) -> list[str]:
    """Return errors and warnings; browsers also log error responses, which are no faults."""
    expected = "Failed to load resource: the server responded with a status of"
    refused = "net::ERR_"
    is_fault = message.type in {"error", "warning"} and expected not in message.text
    return [message.text] if is_fault and refused not in message.text else []


def _find_foreign_requests(request: Request, url: str) -> list[str]:
    own = request.url.startswith((url, f"blob:{url}", "data:"))
    return [] if own else [f"a request to {request.url}"]


def wait_until_ready(page: Page) -> None:
    """Wait until the page shows that the model is ready."""
    expect(page.locator("#state[data-state=ready]")).to_be_visible(timeout=90_000)


def build_file(name: str, data: bytes, mime: str = "") -> FilePayload:
    """Build a file that exists only in the browser."""
    return {"name": name, "mimeType": mime, "buffer": data}


def pick_files(page: Page, *files: FilePayload) -> None:
    """Select files in the file picker."""
    before = page.locator("#tray li").count()
    page.set_input_files("#files", list(files))
    expect(page.locator("#tray .reading")).to_have_count(0)
    expect(page.locator("#tray li")).to_have_count(before + len(files))


def ask(page: Page, question: str) -> Locator:
    """Ask a question, wait for the answer and return its turn."""
    asked = page.locator(".turn").count()
    page.get_by_label("Question", exact=True).fill(question)
    expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=TIMEOUT_MS)
    page.get_by_label("Question", exact=True).press("Enter")
    expect(page.locator(".turn")).to_have_count(asked + 1)
    return wait_for_answer(page)


def wait_for_answer(page: Page) -> Locator:
    """Wait until the last answer is complete; return its turn."""
    turn = page.locator(".turn").nth(page.locator(".turn").count() - 1)
    expect(turn.get_by_role("button", name="Code")).to_be_visible()
    return turn


def read_answer(turn: Locator) -> str:
    """Return an answer's text."""
    return turn.locator(".answer-text").inner_text()


def read_failure(turn: Locator) -> str:
    """Return the text of an error, in one line."""
    return turn.get_by_role("alert").inner_text().replace("\n", " ")


def parse_body(request: Request) -> Any:
    """Return the body of a chat request."""
    return json.loads(request.post_data or "")


def drag(page: Page, kind: str, name: str, data: bytes, mime: str) -> None:
    """Drop or paste a file through the browser's events."""
    script = """([kind, name, data, type]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(data)], name, { type }));
        const options = { bubbles: true, cancelable: true };
        const drop = () => new DragEvent(kind, { ...options, dataTransfer: transfer });
        const paste = () => new ClipboardEvent(kind, { ...options, clipboardData: transfer });
        document.activeElement.dispatchEvent(kind === "paste" ? paste() : drop());
    }"""
    page.evaluate(script, [kind, name, list(data), mime])
