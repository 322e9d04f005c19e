"""`GET /`: the page for a browser, its files, and the pictures that come with the model."""

import os
from html import escape
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.datastructures import Headers
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from server.api.browsers.security_headers import build_security_headers
from server.api.runtime import Runtime
from server.errors import NotFound

router = APIRouter(include_in_schema=False)

PAGE: Final = Path(__file__).parents[2] / "page"
# Set here: the machine's own table may lack a type that browsers insist on.
MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
EXAMPLE_TYPES: Final = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
HEADERS: Final = build_security_headers()
HEAD: Final = "<head>\n"


class PageFiles(StaticFiles):
    """The page's files: browsers keep them, but ask each time whether they changed."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Return a file, or 304 if the browser has it."""
        media_type = MEDIA_TYPES[Path(full_path).suffix]
        response = FileResponse(
            full_path, status_code, HEADERS, media_type, stat_result=stat_result
        )
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response


files = PageFiles(directory=PAGE)


@router.get("/")
async def page(request: Request) -> Response:
    """Return the page. It needs no model; while the model loads, the page says so."""
    root = request.scope.get("root_path", "")
    if root:
        return _page_below(root)
    return await files.get_response("index.html", request.scope)


@router.get("/page/examples")
def examples(request: Request) -> list[str]:
    """Name the pictures that come with the model."""
    return sorted(_examples(request))


@router.get("/page/examples/{name}")
def example(request: Request, name: str) -> Response:
    """Return one of them."""
    path = _examples(request).get(name)
    if path is None:
        raise NotFound(f"There is no {request.url.path}.")
    return FileResponse(path, headers=HEADERS, media_type=EXAMPLE_TYPES[path.suffix])


@router.get("/page/{name}")
async def page_file(request: Request, name: str) -> Response:
    """Return a file of the page."""
    return await files.get_response(name, request.scope)


def _page_below(root: str) -> Response:
    """Return the page with its base, since its own URL may lack the final slash."""
    text = (PAGE / "index.html").read_text()
    base = f'{HEAD}  <base href="{escape(root)}/">\n'
    headers = build_security_headers(base="'self'")
    return HTMLResponse(text.replace(HEAD, base, 1), headers=headers)


def _examples(request: Request) -> dict[str, Path]:
    """Return the pictures in the checkpoint's `examples/`; links may lead out of it."""
    runtime: Runtime = request.app.state.runtime
    if runtime.examples is None or not runtime.examples.is_dir():
        return {}
    return {
        path.name: path
        for path in runtime.examples.iterdir()
        if path.suffix in EXAMPLE_TYPES and path.is_file() and not path.is_symlink()
    }
