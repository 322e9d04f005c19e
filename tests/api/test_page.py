"""The page's files over HTTP: types, policy, caching, and nothing outside of their folders."""

import re
from pathlib import Path

import httpx
import pytest

from model_store.store import find_model
from server.api.routes.page import PAGE

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@pytest.mark.parametrize("path", sorted(PAGE.iterdir()), ids=lambda path: path.name)
def test_every_file(http: httpx.Client, path: Path) -> None:
    response = http.get(f"/page/{path.name}")
    assert response.content == path.read_bytes()
    assert response.headers["content-type"] == TYPES[path.suffix]
    assert response.headers["x-content-type-options"] == "nosniff"
    again = http.get(f"/page/{path.name}", headers={"if-none-match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"


def test_the_page_may_do_little(http: httpx.Client) -> None:
    response = http.get("/")
    assert response.content == (PAGE / "index.html").read_bytes()
    policy = dict(
        part.strip().split(" ", 1)
        for part in response.headers["content-security-policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "/page" not in str(http.get("/openapi.json").json()["paths"])


def test_the_examples_are_the_models(http: httpx.Client) -> None:
    folder = find_model("llava-tiny") / "examples"
    names = http.get("/page/examples").json()
    assert names == sorted(path.name for path in folder.iterdir())
    for name in names:
        response = http.get(f"/page/examples/{name}")
        assert response.content == (folder / name).read_bytes()
        assert response.headers["content-type"].startswith("image/")


@pytest.mark.parametrize(
    "path",
    [
        "/page/",
        "/page/nothing.js",
        "/page/..%2fapp.py",
        "/page/%2e%2e/app.py",
        "/page/examples/nothing.png",
        "/page/examples/..%2fconfig.json",
        "/page/examples/%2e%2e/config.json",
        "/page/a%00b",
        f"/page/{'a' * 300}",
    ],
)
def test_there_is_nothing_else(http: httpx.Client, path: str) -> None:
    response = http.get(path)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


def test_the_page_names_no_other_place() -> None:
    for path in PAGE.iterdir():
        addresses = re.findall(r"""https?://[\w.-]+|(?<=["'(])//[\w.-]+""", path.read_text())
        known = ("http://www.w3.org", "https://html.spec.whatwg.org")
        assert [each for each in addresses if not each.startswith(known)] == [], path
