"""`/docs` in a browser makes no request to another origin."""

from playwright.sync_api import Browser, expect

from tests.api.running import RunningServer


def test_the_description_is_shown_and_nothing_comes_from_elsewhere(
    server: RunningServer, browser: Browser
) -> None:
    asked: list[str] = []
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{server.url}/docs")
    expect(page.get_by_text("/v1/chat/completions").first).to_be_visible()
    assert [url for url in asked if not url.startswith((server.url, "data:"))] == []
