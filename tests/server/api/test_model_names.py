"""The names of models in `GET /v1/models`."""

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from server.api.error_handlers import add_error_handlers
from server.api.routes import models
from server.lifecycle import Lifecycle
from server.telemetry.metrics import Metrics
from tests.server.api.runtime import build_runtime


async def test_every_name_of_a_model_is_listed(metrics: Metrics) -> None:
    app = FastAPI()
    runtime = build_runtime(Lifecycle(1), metrics, [])
    runtime.aliases, runtime.adapters = ("org/n",), ("adapter",)
    app.state.runtime = runtime
    app.include_router(models.router)
    add_error_handlers(app)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        listed = (await client.get("/v1/models")).json()["data"]
        one = (await client.get("/v1/models/org/n")).json()
    assert {each["id"]: each.get("parent") for each in listed} == {
        "m": None,
        "org/n": None,
        "adapter": "m",
    }
    assert one["id"] == "org/n"
