"""API keys: who may ask, and who shares images with whom."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI

from server.api.auth import Authenticator, Tenant
from server.api.error_handlers import add_error_handlers
from server.api.middleware import RequestId
from server.api.routes import chat, completions, health, models, tokenize
from server.api.routes import metrics as metrics_route
from server.errors import Unauthorized
from server.keys.key import ApiKey
from server.keys.key_ring import KeyRing
from server.lifecycle import Lifecycle
from server.telemetry.metrics import Metrics
from tests.server.api.runtime import PassedGate, build_runtime
from tests.server.keys.samples import build_key


@pytest.mark.parametrize("header", ["Bearer one", "bearer one", "Bearer  one", "BEARER two"])
def test_known_keys_pass(header: str) -> None:
    assert Authenticator(KeyRing(["one", "two"])).authenticate(header).id


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer three", "Bearer ONE", "Basic one", "one"]
)
def test_all_else_is_refused(header: str | None) -> None:
    with pytest.raises(Unauthorized) as caught:
        Authenticator(KeyRing(["one", "two"])).authenticate(header)
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")


@pytest.mark.parametrize("header", [None, "", "Basic three"])
def test_a_key_may_come_without_a_scheme(header: str | None) -> None:
    authenticator = Authenticator(KeyRing(["one"]))
    assert authenticator.authenticate(header, None, " one") == authenticator.authenticate(
        "Bearer one"
    )
    for key in (None, "", "two"):
        with pytest.raises(Unauthorized):
            authenticator.authenticate(header, None, key)


def test_a_bearer_token_goes_first() -> None:
    with pytest.raises(Unauthorized):
        Authenticator(KeyRing(["one"])).authenticate("Bearer two", None, "one")


def test_each_key_is_a_tenant() -> None:
    authenticator = Authenticator(KeyRing(["one", "two"]))
    assert authenticator.authenticate("Bearer one") == authenticator.authenticate("bearer one")
    assert authenticator.authenticate("Bearer one") != authenticator.authenticate("Bearer two")
    assert "one" not in authenticator.authenticate("Bearer one").id


def test_without_keys_everybody_passes_and_tokens_still_tell_tenants_apart() -> None:
    authenticator = Authenticator(KeyRing([]))
    for header in (None, "Basic x", "Bearer "):
        assert authenticator.authenticate(header) == Tenant("", "", None, "")
    assert authenticator.authenticate("Bearer one") != authenticator.authenticate("Bearer two")


@pytest.fixture
async def guarded() -> AsyncIterator[httpx.AsyncClient]:
    """Talk to the routes of a server that has a key and still loads."""
    metrics, lifecycle = Metrics(), Lifecycle(1)
    app = FastAPI()
    app.state.runtime = build_runtime(lifecycle, metrics, ["key"])
    for routes in (chat, completions, models, health, metrics_route, tokenize):
        app.include_router(routes.router)
    add_error_handlers(app)
    app.add_middleware(PassedGate)
    app.add_middleware(RequestId)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


async def test_the_api_asks_for_a_key_and_operations_do_not(guarded: httpx.AsyncClient) -> None:
    key = {"authorization": "Bearer key"}
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    refused = await guarded.post("/v1/chat/completions", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert (await guarded.get("/v1/models")).status_code == 401
    assert (await guarded.get("/v1/models", headers=key)).status_code == 200
    # With the key it gets as far as to a model that is not there yet.
    let_in = await guarded.post("/v1/chat/completions", json=body, headers=key)
    assert (let_in.status_code, let_in.json()["error"]["code"]) == (503, "not_ready")
    for path in ("/health", "/metrics"):
        assert (await guarded.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"model": "m", "prompt": "Hi"}),
        ("/tokenize", {"prompt": "Hi"}),
        ("/detokenize", {"tokens": [1]}),
    ],
)
async def test_texts_and_tokens_need_a_key_and_a_model(
    guarded: httpx.AsyncClient, path: str, body: dict[str, object]
) -> None:
    refused = await guarded.post(path, json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    let_in = await guarded.post(path, json=body, headers={"authorization": "Bearer key"})
    assert (let_in.status_code, let_in.json()["error"]["code"]) == (503, "not_ready")


async def test_a_model_by_its_name_needs_a_key_and_the_version_none(
    guarded: httpx.AsyncClient,
) -> None:
    key = {"authorization": "Bearer key"}
    assert (await guarded.get("/v1/models/m")).status_code == 401
    assert (await guarded.get("/v1/models/m", headers=key)).json()["id"] == "m"
    assert (await guarded.get("/version")).status_code == 200


def test_only_a_known_key_is_a_queue_of_its_own() -> None:
    known = Authenticator(KeyRing(["one"])).authenticate("Bearer one", ("10.0.0.1", 1))
    assert known.queue_key == "env-1"
    open_to_all = Authenticator(KeyRing([]))
    made_up = [
        open_to_all.authenticate(f"Bearer {key}", ("10.0.0.1", port)).queue_key
        for port, key in enumerate("abc")
    ]
    assert len(set(made_up)) == 1
    addresses = [
        open_to_all.authenticate(None, (address, 1)).queue_key
        for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
    ]
    assert len(set(addresses)) == 2


NOW = datetime(2026, 11, 27, tzinfo=UTC)


def refusal(secret: str, *keys: ApiKey) -> tuple[str, str]:
    """Return code and message of the refusal of a secret."""
    with pytest.raises(Unauthorized) as caught:
        Authenticator(KeyRing([], keys), now=lambda: NOW).authenticate(f"Bearer {secret}")
    return caught.value.code, caught.value.message


def test_a_term_ends() -> None:
    key = build_key(expires=NOW + timedelta(seconds=1))
    authenticator = Authenticator(KeyRing([], [key]), now=lambda: NOW)
    assert authenticator.authenticate("Bearer alice").key == key
    code, message = refusal("alice", build_key(expires=NOW))
    assert code == "api_key_expired"
    assert message == "The API key 'alice' expired at 2026-11-27 00:00 UTC: ask for another one."


def test_a_revoked_key_is_told_so_to_who_has_its_secret() -> None:
    assert "'alice' was revoked" in refusal("alice", build_key(disabled=True))[1]
    assert "alice" not in refusal("alicf", build_key(disabled=True))[1]


def test_a_file_without_keys_lets_nobody_in() -> None:
    assert refusal("any")[0] == "invalid_api_key"
    assert refusal("")[0] == "invalid_api_key"


def test_tenants_go_by_the_names_of_keys() -> None:
    old, new = build_key(secret="old"), build_key(secret="new")
    tenants = [
        Authenticator(KeyRing([], [key])).authenticate(f"Bearer {secret}")
        for key, secret in ((old, "old"), (new, "new"))
    ]
    assert tenants[0].id == tenants[1].id == tenants[0].cache_partition
    assert tenants[0].label == tenants[0].queue_key == "alice"
    other = Authenticator(KeyRing([], [build_key("bob", "old")])).authenticate("Bearer old")
    assert other.cache_partition != tenants[0].cache_partition


def test_caches_are_shared_if_that_is_wanted() -> None:
    authenticator = Authenticator(KeyRing(["one", "two"]), share_caches=True)
    tenants = [authenticator.authenticate(f"Bearer {secret}") for secret in ("one", "two")]
    assert [tenant.cache_partition for tenant in tenants] == ["", ""]
    assert tenants[0].id != tenants[1].id


def test_the_tenant_of_a_request_is_found_once() -> None:
    authenticator = Authenticator(KeyRing(["key"]))
    scope = {"headers": [(b"authorization", b"Bearer key")], "client": ("10.0.0.1", 1)}
    tenant = authenticator.authenticate_scope(scope)
    assert authenticator.authenticate_scope(scope) is tenant
    assert authenticator.authenticate_scope({**scope, "state": {}}) is not tenant
