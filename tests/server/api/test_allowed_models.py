"""Models that a key may not use are not there, nor told."""

import pytest

from server.api.allowed_models import check_model_allowed
from server.api.auth import Tenant
from server.errors import ModelNotFound
from server.lifecycle import Lifecycle
from server.telemetry.metrics import Metrics
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
