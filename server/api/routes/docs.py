"""`GET /docs` and `GET /openapi.json`: the API's description, without a file from another host."""

import json
import re
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files as package_files
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.staticfiles import StaticFiles

from server.api.browsers.security_headers import build_security_headers

router = APIRouter(include_in_schema=False)

# FastAPI's own page loads Swagger UI from another host; this package has its files.
ASSETS: Final = Path(str(package_files("fastapi_offline"))) / "static"
SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)

assets = StaticFiles(directory=ASSETS)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Return Swagger UI over `/openapi.json`."""
    root = request.scope.get("root_path", "")
    page = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title=f"{request.app.title}: API",
        swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/swagger-ui.css",
        swagger_favicon_url=f"{root}/page/icon.svg",
        # Loads no badge from a validator on the Internet.
        swagger_ui_parameters={"validatorUrl": None},
    )
    # The page configures Swagger UI in an inline script, which the policy allows by its digest.
    digests = " ".join(
        f"'{_digest(script)}'" for script in SCRIPT.findall(bytes(page.body).decode())
    )
    page.headers.update(
        build_security_headers(script=f"'self' {digests}", style="'self' 'unsafe-inline'")
    )
    return page


@router.get("/openapi.json")
def openapi(request: Request) -> Response:
    """Return the description in OpenAPI's form; behind `--root-path` it names the server's path."""
    root = request.scope.get("root_path", "")
    return Response(_dump_description(request.app, root), media_type="application/json")


@router.get("/docs/{name}")
async def docs_file(request: Request, name: str) -> Response:
    """Return a file of Swagger UI."""
    response = await assets.get_response(name, request.scope)
    response.headers.update(build_security_headers())
    return response


@lru_cache(maxsize=2)
def _dump_description(app: FastAPI, root: str) -> bytes:
    servers = {"servers": [{"url": root}]} if root else {}
    return json.dumps({**app.openapi(), **servers}).encode()


def _digest(script: str) -> str:
    return f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"
