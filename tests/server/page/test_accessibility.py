"""Accessibility: small screens, light and dark, contrast, names, reduced motion."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.running import RunningServer
from tests.server.page.browsing import (
    SCENE,
    ask,
    build_file,
    open_page,
    pick_files,
    wait_until_ready,
)

WIDTH, HEIGHT = 360, 740
AA = 4.5
MIN_TARGET_PX = 44

# The contrast of every visible text with the nearest background (WCAG 2.2, 1.4.3).
CONTRAST = """() => {
    const parse = (color) => color.match(/[\\d.]+/g).map(Number);
    const linear = (value) => {
        const part = value / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    };
    const luminance = ([red, green, blue]) => {
        return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    };
    const ground = (node) => {
        for (; node; node = node.parentElement) {
            const color = parse(getComputedStyle(node).backgroundColor);
            if ((color[3] ?? 1) === 1) return color;
        }
        return [255, 255, 255];
    };
    const texts = [...document.querySelectorAll("body *")].filter((node) => {
        const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
        const apart = node.closest(":disabled, .unseen, option, noscript");
        return own && node.checkVisibility() && !apart;
    });
    return texts.map((node) => {
        const tones = [parse(getComputedStyle(node).color), ground(node)].map(luminance);
        const ratio = (Math.max(...tones) + 0.05) / (Math.min(...tones) + 0.05);
        return [node.textContent.trim().slice(0, 40), ratio];
    });
}"""

SMALL_TARGETS = f"""() => {{
    const targets = [...document.querySelectorAll("button, a, select, input, textarea")];
    const apart = (each) => each.closest(".unseen, .skip");
    const seen = targets.filter((each) => each.checkVisibility() && !apart(each));
    const small = seen.filter((each) => {{
        const {{ width, height }} = each.getBoundingClientRect();
        return each.id !== "files" && Math.min(width, height) < {MIN_TARGET_PX} - 0.5;
    }});
    return small.map((each) => each.id || each.textContent.trim());
}}"""

OVERFLOW = """() => {
    const page = document.documentElement;
    return page.scrollWidth - page.clientWidth;
}"""


@pytest.fixture
def phone(browser: Browser, server: RunningServer) -> Iterator[Page]:
    """Open the page on a phone."""
    size = {"width": WIDTH, "height": HEIGHT}
    kind: dict[str, Any] = {"has_touch": True, "is_mobile": True, "reduced_motion": "reduce"}
    with open_page(browser, server.url, viewport=size, **kind) as page:
        yield page


def fill(page: Page) -> None:
    """Show all kinds of content: an answer, an error, images, a problem."""
    wait_until_ready(page)
    pick_files(page, SCENE)
    ask(page, "Describe the image in detail.")
    broken = build_file("b.png", SCENE["buffer"][:900], "image/png")
    pick_files(page, broken)
    ask(page, "word" * 80)
    pick_files(page, SCENE, broken)
    page.set_input_files("#files", [build_file("n.txt", b"text")])
    expect(page.locator("#problems .problem")).to_be_visible()
    page.get_by_role("button", name="By address").click()


def dialogs(page: Page) -> Iterator[None]:
    """Open one dialog after the other."""
    for name in ("Settings", "Code"):
        page.get_by_role("button", name=name).last.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        yield
        page.keyboard.press("Escape")


def test_a_phone_shows_everything_without_scrolling_sideways(phone: Page) -> None:
    wait_until_ready(phone)
    assert phone.evaluate(OVERFLOW) == 0
    fill(phone)
    assert phone.evaluate(OVERFLOW) == 0
    for _ in dialogs(phone):
        assert phone.evaluate(OVERFLOW) == 0
        box = phone.get_by_role("dialog").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= WIDTH
    composer = phone.locator("#composer").bounding_box()
    assert composer is not None
    assert composer["y"] + composer["height"] <= HEIGHT


def test_fingers_hit_every_target_of_a_phone(phone: Page) -> None:
    wait_until_ready(phone)
    assert phone.evaluate(SMALL_TARGETS) == []
    fill(phone)
    assert phone.evaluate(SMALL_TARGETS) == []
    for _ in dialogs(phone):
        assert phone.evaluate(SMALL_TARGETS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, server: RunningServer, scheme: str) -> None:
    # Without movement: colours on their way are nobody's.
    options: dict[str, Any] = {"color_scheme": scheme, "reduced_motion": "reduce"}
    with open_page(browser, server.url, **options) as page:
        wait_until_ready(page)
        assert faint(page) == []
        fill(page)
        assert faint(page) == []
        for _ in dialogs(page):
            assert faint(page) == []
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(17, 22, 20)") == (scheme == "dark")


def faint(page: Page) -> list[tuple[str, float]]:
    """Return the texts without enough contrast."""
    texts = page.evaluate(CONTRAST)
    assert len(texts) > 5
    return [(text, ratio) for text, ratio in texts if ratio < AA]


def test_everything_has_a_name(page: Page) -> None:
    fill(page)
    nameless = """() => {
        const kinds = "button, a, select, input, textarea, img, dialog";
        const controls = document.querySelectorAll(kinds);
        const name = (each) => each.labels?.length || each.ariaLabel || each.textContent.trim()
            || each.alt || each.getAttribute("aria-labelledby") || each.hasAttribute("aria-hidden");
        // An example's button is named by its question; its picture says no more.
        const named = (each) => name(each) || each.closest(".example");
        return [...controls].filter((each) => !named(each)).map((each) => each.outerHTML);
    }"""
    assert page.evaluate(nameless) == []
    assert page.evaluate("document.documentElement.lang") == "en"
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map((each) => each.tagName)")
    assert levels.count("H1") == 1


def test_nothing_moves_for_those_who_do_not_want_it(
    browser: Browser, server: RunningServer
) -> None:
    with open_page(browser, server.url, reduced_motion="reduce") as page:
        wait_until_ready(page)
        page.get_by_role("button", name="Settings").click()
        assert page.evaluate("document.getAnimations().length") == 0
