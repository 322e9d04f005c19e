"""Markup in answers and questions is shown, never executed or loaded."""

import json

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.api.running import RunningServer
from tests.server.page.browsing import ask, wait_until_ready

ATTACKS = [
    "<img src=x onerror=\"document.title='hacked'\">",
    "<script>document.title='hacked'</script>",
    "<svg/onload=document.title='hacked'>",
    "[click](javascript:document.title='hacked')",
    "[click](JaVaScRiPt:document.title='hacked')",
    "[click](data:text/html,<script>document.title='hacked'</script>)",
    "[click](https://example.org/\"onmouseover=\"document.title='hacked')",
    "![tracker](https://example.org/pixel.png)",
    "![x](javascript:document.title='hacked')",
    "```html\n<script>document.title='hacked'</script>\n```",
    "| <b>a</b> | b |\n|---|---|\n| <img src=x onerror=document.title='hacked'> | c |",
    '"><iframe srcdoc="<script>parent.document.title=\'hacked\'</script>"></iframe>',
]


def render_markdown(page: Page, text: str) -> str:
    """Render a text with the page's own module."""
    script = """async (text) => {
        const { markdown } = await import("/page/markdown.js");
        const holder = document.createElement("div");
        holder.append(...markdown(text));
        return holder.innerHTML;
    }"""
    return str(page.evaluate(script, text))


LINK = 'rel="noopener noreferrer nofollow" target="_blank"'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>"),
        ("# A *b*", "<h3>A <em>b</em></h3>"),
        (
            "**a** __b__ *c* _d_ ~~e~~",
            "<p><strong>a</strong> <strong>b</strong> <em>c</em> <em>d</em> <s>e</s></p>",
        ),
        ("***a***", "<p><strong><em>a</em></strong></p>"),
        ("snake_case_name 2 * 3 * 4", "<p>snake_case_name 2 * 3 * 4</p>"),
        (r"\*a\*", "<p>*a*</p>"),
        ("`a<b` and ``c`d``", "<p><code>a&lt;b</code> and <code>c`d</code></p>"),
        (
            "```py\nif a < b:\n\n    c\n```",
            '<pre tabindex="0"><code>if a &lt; b:\n\n    c</code></pre>',
        ),
        ("```\nnot closed", '<pre tabindex="0"><code>not closed</code></pre>'),
        ("- a\n- b\n  - c\n- d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>"),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("> a\n> b", "<blockquote><p>a<br>b</p></blockquote>"),
        ("a\n\n---\nb", "<p>a</p><hr><p>b</p>"),
        ("[a](https://b.org/c)", f'<p><a href="https://b.org/c" {LINK}>a</a></p>'),
        (
            "see https://b.org/c.",
            f'<p>see <a href="https://b.org/c" {LINK}>https://b.org/c</a>.</p>',
        ),
        ("[a](ftp://b.org) ![c](https://d.org)", "<p>[a](ftp://b.org) [image: c]</p>"),
        (
            "|a|b|\n|-|-|\n|1|*2*|",
            '<div class="table" tabindex="0"><table><thead><tr><th>a</th><th>b</th></tr></thead>'
            "<tbody><tr><td>1</td><td><em>2</em></td></tr></tbody></table></div>",
        ),
        ("<b>&amp;</b>", "<p>&lt;b&gt;&amp;amp;&lt;/b&gt;</p>"),
    ],
)
def test_markdown(page: Page, text: str, html: str) -> None:
    assert render_markdown(page, text) == html


@pytest.mark.parametrize(
    "mark", ["*", "_", "`", "[", "![", "> ", "- ", "**a", "~~", "|", "\\", "("]
)
def test_a_flood_of_marks_takes_no_time(page: Page, mark: str) -> None:
    page.set_default_timeout(5000)
    script = """async (text) => {
        const { markdown } = await import("/page/markdown.js");
        const began = performance.now();
        markdown(text);
        return performance.now() - began;
    }"""
    assert page.evaluate(script, mark * 4000) < 2000


def test_attacks_do_nothing(page: Page) -> None:
    """The model is made to say them: a real one says what is in its picture."""
    said = "\n\n".join(ATTACKS)

    def read_answer(route: Route) -> None:
        chunk = {"choices": [{"delta": {"content": said}, "finish_reason": "stop"}]}
        body = f"data: {json.dumps(chunk)}\r\n\r\ndata: [DONE]\r\n\r\n"
        route.fulfill(body=body, content_type="text/event-stream")

    page.route("**/v1/chat/completions", read_answer)
    wait_until_ready(page)
    turn = ask(page, said)
    assert turn.locator(".question-text").inner_text() == said
    text = turn.locator(".answer-text")
    expect(text).to_contain_text("<script>document.title='hacked'</script>")
    expect(text).to_contain_text("[image: tracker]")
    assert (
        turn.locator("img, script, iframe, svg:not(.icon), [onerror], [onmouseover]").count() == 0
    )
    links = text.locator("a").evaluate_all("links => links.map(link => link.protocol)")
    assert set(links) <= {"https:"}
    expect(page).to_have_title("llava-server")


def test_the_policy_forbids_what_slips_through(browser: Browser, server: RunningServer) -> None:
    page = browser.new_page()
    page.goto(server.url)
    page.evaluate("""() => {
        window.violations = [];
        addEventListener("securitypolicyviolation", (event) => {
            window.violations.push(event.effectiveDirective);
        });
        const image = document.createElement("img");
        image.setAttribute("onerror", "document.title = 'hacked'");
        image.src = "data:,";
        document.body.append(image);
    }""")
    page.wait_for_function("window.violations.includes('script-src-attr')")
    expect(page).to_have_title("llava-server")
    page.close()
