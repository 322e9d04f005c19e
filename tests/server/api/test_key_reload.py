"""A change of the keys file is taken over, and what it names wrongly is told."""

from structlog.testing import capture_logs

from server.api.key_reload import KeyReload
from server.api.rate_limits.limiter import RateLimiter
from server.keys.key_ring import KeyRing
from server.telemetry.metrics import Metrics
from tests.server.keys.samples import build_key
from tests.server.samples import sample


def test_new_keys_are_valid_and_old_ones_are_not(metrics: Metrics) -> None:
    ring, limiter = KeyRing(["env"], [build_key("alice")]), RateLimiter(metrics.keys.add_refusal)
    reload = KeyReload(ring, limiter, metrics.keys, ["m"])
    limiter.start(build_key("alice", requests_per_minute=1), generates=True)
    reload.take_over([build_key("bob")])
    assert list(ring.keys) == ["env-1", "bob"]
    for name in ("env-1", "alice", "bob"):
        assert sample(metrics, "key_requests_total", key=name) == 0
    limiter.check(build_key("alice", requests_per_minute=1), generates=True)  # begins anew


def test_a_model_that_is_not_served_is_told(metrics: Metrics) -> None:
    reload = KeyReload(
        KeyRing(), RateLimiter(metrics.keys.add_refusal), metrics.keys, ["llava-tiny"]
    )
    with capture_logs() as lines:
        reload.take_over([build_key("alice", models=["lava-tiny", "llava-tiny"]), build_key("bob")])
    assert [(line["key"], line["model"], line["did_you_mean"]) for line in lines] == [
        ("alice", "lava-tiny", "llava-tiny")
    ]
