"""What a user does on the page, and what has to hold whatever they do."""

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
DESK = {"width": 1200, "height": 800}
LIMIT_MS = 20_000


@contextmanager
def visiting(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Open the page; at the end, nothing must have broken and nobody else been asked."""
    context = browser.new_context(**{"viewport": DESK, **options})
    context.set_default_timeout(LIMIT_MS)
    faults: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.extend(_faults(message)))
    page.on("request", lambda request: faults.extend(_strangers(request, url)))
    page.goto(url)
    try:
        yield page
        page.unroute_all(behavior="ignoreErrors")
    finally:
        context.close()
    assert faults == []


def _faults(message: ConsoleMessage) -> list[str]:
    """Browsers report responses with an error status, too: those are no faults of the page."""
    expected = "Failed to load resource: the server responded with a status of"
    refused = "net::ERR_"
    is_fault = message.type in {"error", "warning"} and expected not in message.text
    return [message.text] if is_fault and refused not in message.text else []


def _strangers(request: Request, url: str) -> list[str]:
    own = request.url.startswith((url, f"blob:{url}", "data:"))
    return [] if own else [f"a request to {request.url}"]


def ready(page: Page) -> None:
    """Wait until the page says that the model can be asked."""
    expect(page.locator("#state[data-state=ready]")).to_be_visible(timeout=90_000)


def file(name: str, data: bytes, mime: str = "") -> FilePayload:
    """Return a file that exists in the browser only."""
    return {"name": name, "mimeType": mime, "buffer": data}


def pick(page: Page, *files: FilePayload) -> None:
    """Pick files."""
    before = page.locator("#tray li").count()
    page.set_input_files("#files", list(files))
    expect(page.locator("#tray .reading")).to_have_count(0)
    expect(page.locator("#tray li")).to_have_count(before + len(files))


def ask(page: Page, question: str) -> Locator:
    """Ask, and return the turn that holds the answer once it has ended."""
    asked = page.locator(".turn").count()
    page.get_by_label("Question", exact=True).fill(question)
    expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=LIMIT_MS)
    page.get_by_label("Question", exact=True).press("Enter")
    expect(page.locator(".turn")).to_have_count(asked + 1)
    return ended(page)


def ended(page: Page) -> Locator:
    """Wait until the last answer has ended; return its turn."""
    turn = page.locator(".turn").nth(page.locator(".turn").count() - 1)
    expect(turn.get_by_role("button", name="Code")).to_be_visible()
    return turn


def answer(turn: Locator) -> str:
    """Return an answer's text."""
    return turn.locator(".answer-text").inner_text()


def failure(turn: Locator) -> str:
    """Return what an error says of itself, in one line."""
    return turn.get_by_role("alert").inner_text().replace("\n", " ")


def sent(request: Request) -> Any:
    """Return the body of a chat request."""
    return json.loads(request.post_data or "")


def drag(page: Page, kind: str, name: str, data: bytes, mime: str) -> None:
    """Drop or paste a file, as the browser tells the page of it."""
    script = """([kind, name, data, type]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(data)], name, { type }));
        const options = { bubbles: true, cancelable: true };
        const drop = () => new DragEvent(kind, { ...options, dataTransfer: transfer });
        const paste = () => new ClipboardEvent(kind, { ...options, clipboardData: transfer });
        document.activeElement.dispatchEvent(kind === "paste" ? paste() : drop());
    }"""
    page.evaluate(script, [kind, name, list(data), mime])
