"""The application's paths and methods, while the model loads."""

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from itertools import product
from pathlib import Path

import httpx
import pytest

from server.app import create_app
from server.checkpoint.config import Checkpoint, read_checkpoint
from server.keys.configured import read_key_ring
from server.lifecycle import Lifecycle
from server.settings import Settings
from tests.server.siglip_family import write_onevision

GET_PATHS = [
    *("/", "/page/main.js", "/page/examples", "/docs", "/docs/swagger-ui.css", "/openapi.json"),
    *("/health", "/metrics", "/version", "/v1/models", "/v1/models/llava-tiny"),
]
POST_PATHS = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/tokenize",
    "/detokenize",
]


def connect(
    checkpoint: Checkpoint, *, root_path: str = "", **settings: object
) -> httpx.AsyncClient:
    """Return a client of a server that has not been started; the prefix is as uvicorn sets it."""
    read = Settings.model_validate(settings)
    app = create_app(read, checkpoint, Lifecycle(1), lambda _: None, read_key_ring(read))
    transport = httpx.ASGITransport(app, root_path=root_path)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@pytest.fixture
async def client(checkpoint: Checkpoint) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of a server with the default settings."""
    async with connect(checkpoint) as client:
        yield client


@pytest.mark.parametrize("path", GET_PATHS)
async def test_head_is_get_without_the_body(path: str, client: httpx.AsyncClient) -> None:
    got, head = await client.get(path), await client.head(path)
    assert (got.status_code, head.status_code, head.content) == (200, 200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    if path != "/metrics":  # which counts
        assert head.headers["content-length"] == str(len(got.content))


@pytest.mark.parametrize("path", GET_PATHS)
async def test_slashes_change_nothing(path: str, client: httpx.AsyncClient) -> None:
    for spelling in (f"{path}/", f"{path}//", path.replace("/", "//")):
        response = await client.get(f"http://localhost{spelling}")
        assert response.status_code == 200


@pytest.mark.parametrize("path", POST_PATHS)
async def test_every_spelling_of_a_path_passes_the_gate(path: str, checkpoint: Checkpoint) -> None:
    async with connect(checkpoint, api_keys="key") as client:
        for spelling in (path, f"{path}/", f"/{path}", path.replace("s/", "s%2F"), f"{path}%2F"):
            response = await client.post(f"http://localhost{spelling}", content=b"{}")
            assert response.status_code == 401
        for spelling in (f"{path}%0A", f"{path}%0a/", f"{path}%00", f"{path}%0D%0A"):
            response = await client.post(f"http://localhost{spelling}", content=b"{}")
            assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/chat/completions", ": use /v1/chat/completions."),
        ("/v1/v1/models", ": use /v1/models."),
        ("/v1/chat/completion", ": did you mean /v1/chat/completions?"),
        ("/chat/completion", ": did you mean /v1/chat/completions?"),
        ("/healthz", ": did you mean /health?"),
        ("/v1/model/model_id", "."),  # not the pattern of /v1/models/…
        ("/v1/responses/response_id/stop", "."),
        ("/v1/embeddings", "."),
        ("/api/generate", "."),
    ],
)
async def test_a_missing_path_gets_the_nearest_one(
    path: str, said: str, client: httpx.AsyncClient
) -> None:
    response = await client.post(path, json={})
    assert response.status_code == 404
    assert response.json()["error"] == {
        "message": f"There is no {path}{said}",
        "type": "invalid_request_error",
        "param": None,
        "code": "not_found",
    }


@pytest.mark.parametrize("path", POST_PATHS)
async def test_a_body_that_is_not_declared_as_json_is_not_read(
    path: str, client: httpx.AsyncClient
) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded"):
        headers = {"content-type": content_type}
        response = await client.post(f"{path}/", content=b"{}", headers=headers)
        assert response.status_code == 415
        assert response.json()["error"]["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/chat/completions", "OPTIONS, POST"),
        ("/tokenize/", "OPTIONS, POST"),
        ("/v1/models", "GET, HEAD, OPTIONS"),
        ("/v1/models/a/b", "GET, HEAD, OPTIONS"),
        ("/v1/responses/resp_1", "DELETE, GET, HEAD, OPTIONS"),
        ("/docs", "GET, HEAD, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
    ],
)
async def test_options_and_refusals_tell_the_methods(
    path: str, methods: str, client: httpx.AsyncClient
) -> None:
    options = await client.options(path)
    assert (options.status_code, options.headers["allow"]) == (204, methods)
    refused = await client.put(path)
    assert (refused.status_code, refused.headers["allow"]) == (405, methods)
    assert refused.json()["error"]["code"] == "method_not_allowed"


async def test_options_of_no_path(client: httpx.AsyncClient) -> None:
    assert (await client.options("/nothing")).status_code == 404


async def test_docs_load_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    response = await client.get("/docs")
    assert not re.search(r"(src|href)=\"https?:", response.text)
    [script] = re.findall(r"<script>(.*?)</script>", response.text, re.S)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = response.headers["content-security-policy"]
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    for path in re.findall(r"(?:src|href)=\"(/[^\"]+)\"", response.text):
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize("prefix", ["", "/llava"])
async def test_below_a_path_a_proxy_may_cut_the_prefix_or_leave_it(
    prefix: str, checkpoint: Checkpoint
) -> None:
    async with connect(checkpoint, root_path="/llava", api_keys="key") as client:
        # httpx gives the path as it is, uvicorn behind the prefix.
        base = f"http://localhost/llava{prefix}"
        assert '<base href="/llava/">' in (await client.get(base)).text
        assert "'/llava/openapi.json'" in (await client.get(f"{base}/docs")).text
        description = (await client.get(f"{base}/openapi.json")).json()
        assert description["servers"] == [{"url": "/llava"}]
        assert (await client.get(f"{base}x/health")).status_code == 404
        response = await client.post(f"{base}/v1/chat/completions/", content=b"{}")
        assert response.status_code == 401


async def test_protect_all_leaves_only_probes_open(checkpoint: Checkpoint) -> None:
    keys = {"authorization": "Bearer key"}, {"x-api-key": "key"}
    closed = [path for path in GET_PATHS if path != "/health"]
    async with connect(checkpoint, api_keys="key", protect_all=True) as client:
        for path in ("/health", "/ready", "//health/"):
            assert (await client.get(f"http://localhost{path}")).status_code in (200, 503)
        for path in (*closed, "/nothing", "/health/x"):
            assert (await client.get(path)).status_code == 401
        assert (await client.options("/v1/models")).status_code == 401
        for path, key in product(GET_PATHS, keys):
            assert (await client.get(path, headers=key)).status_code == 200


async def test_models_say_what_they_can_do(client: httpx.AsyncClient) -> None:
    [model] = (await client.get("/v1/models")).json()["data"]
    assert (await client.get("/v1/models/llava-tiny")).json() == model
    assert (model["root"], model["parent"], model["owned_by"]) == (
        *("llava-tiny", None),
        "llava-server",
    )
    assert model["permission"][0]["object"] == "model_permission"
    assert model["max_model_len"] == model["max_context_length"] == model["context_length"]
    assert (model["type"], model["state"]) == ("vlm", "not-loaded")
    assert "vision" in model["capabilities"]
    assert "video" not in model["capabilities"]
    assert model["modalities"] == {"vision": True, "video": False, "audio": False}
    assert model["architecture"]["input_modalities"] == ["text", "image"]
    assert model["architecture"]["modality"] == "text+image->text"
    assert model["meta"]["n_ctx_train"] == model["max_model_len"]


async def test_models_say_that_they_take_video(tmp_path: Path) -> None:
    async with connect(read_checkpoint(write_onevision(tmp_path / "m").path)) as client:
        [model] = (await client.get("/v1/models")).json()["data"]
    assert "video" in model["capabilities"]
    assert model["modalities"] == {"vision": True, "video": True, "audio": False}
    assert model["architecture"]["modality"] == "text+image+video->text"
