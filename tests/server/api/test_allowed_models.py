"""Models that a key may not use are not there, nor told."""

import pytest
from structlog.testing import capture_logs

from server.api.allowed_models import build_policy, check_model_allowed
from server.api.auth import Tenant
from server.api.gated_paths import GATED_PATHS
from server.errors import ModelNotFound
from server.lifecycle import Lifecycle
from server.protocol.policy import RequestPolicy
from server.telemetry.metrics import Metrics
from tests.server.api.keyed_server import BODIES, SECRET, KeyedServer
from tests.server.api.runtime import build_runtime
from tests.server.keys.samples import build_key


@pytest.mark.parametrize(
    ("models", "name", "told"),
    [
        (["*"], "retired", "'m', 'adapter'"),
        (["m"], "adapter", "'m'"),
        (["adapter", "retired"], "retired", "'adapter'"),
        (["retired"], "retired", "none for this key"),
    ],
)
def test_only_models_that_the_key_may_use_are_told(
    metrics: Metrics, models: list[str], name: str, told: str
) -> None:
    runtime = build_runtime(Lifecycle(1), metrics, [])
    runtime.adapters = ("adapter",)
    tenant = Tenant("", "", build_key(models=models), "")
    with pytest.raises(ModelNotFound) as caught:
        check_model_allowed(runtime, tenant, name)
    assert caught.value.message.endswith(f"this server has {told}.")


def test_a_model_that_is_served_and_allowed_passes(metrics: Metrics) -> None:
    runtime = build_runtime(Lifecycle(1), metrics, [])
    check_model_allowed(runtime, Tenant("", "", None, ""), "m")
    check_model_allowed(runtime, Tenant("", "", build_key(models=["m"]), ""), "m")


@pytest.mark.parametrize(
    ("server_default", "models", "default"),
    [
        ("m", ["*"], "m"),
        ("m", ["alias", "m"], "m"),
        ("m", ["retired", "alias", "adapter"], "alias"),
        ("m", ["retired"], "m"),
        (None, ["*"], None),
        (None, ["*", "adapter"], None),
        (None, ["adapter", "m"], "adapter"),
    ],
)
def test_a_key_has_a_default_that_it_may_use(
    metrics: Metrics, server_default: str | None, models: list[str], default: str | None
) -> None:
    runtime = build_runtime(Lifecycle(1), metrics, [])
    runtime.aliases, runtime.adapters = ("alias",), ("adapter",)
    runtime.policy = RequestPolicy(default_model=server_default)
    policy = build_policy(runtime, Tenant("", "", build_key(models=models), ""))
    assert policy.default_model == default
    assert build_policy(runtime, Tenant("", "", None, "")) is runtime.policy


@pytest.mark.parametrize("path", GATED_PATHS)
@pytest.mark.parametrize("model", ["alias", "adapter"])
async def test_the_default_is_used_where_a_request_names_no_model(
    metrics: Metrics, path: str, model: str
) -> None:
    server = KeyedServer(metrics, build_key("alice", SECRET, models=[model]))
    server.runtime.aliases, server.runtime.adapters = ("alias",), ("adapter",)
    server.runtime.policy = RequestPolicy(default_model="m")
    with capture_logs() as lines:
        response = await server.send(path, json=BODIES[path])
    assert response.status_code == 503, response.text  # no model is loaded: it has come that far
    assert [line["model"] for line in lines if line["event"] == "request"] == [model]
