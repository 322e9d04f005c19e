"""A change of the keys file is applied, and what it names wrongly is told."""

import os
import signal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.api.key_reload import MAX_REPORTED_NAMES, MAX_WARNINGS, KeyReload
from server.api.rate_limits.limiter import RateLimiter
from server.errors import KeyLimitExceeded
from server.keys.key_ring import KeyRing
from server.telemetry.metrics import Metrics
from tests.server.keys.samples import build_key
from tests.server.samples import sample

UNKNOWN_MODEL = "keys name a model that is not served"
ALICE = build_key("alice", requests_per_minute=1)


def count_requests(metrics: Metrics, name: str) -> float | None:
    """Return the requests of a key in metrics, None without a series."""
    return metrics.registry.get_sample_value("llava:key_requests_total", {"key": name})


def test_new_keys_are_valid_and_old_ones_are_not(metrics: Metrics) -> None:
    ring, limiter = KeyRing(["env"], [build_key("alice")]), RateLimiter(metrics.keys.add_refusal)
    reload = KeyReload(ring, limiter, metrics.keys, ["m"])
    meter = limiter.start(ALICE, generates=True)
    meter.release()
    with pytest.raises(KeyLimitExceeded):
        limiter.check(ALICE, generates=True)
    reload.apply([build_key("bob")])
    assert list(ring.keys) == ["env-1", "bob"]
    for name in ("env-1", "bob"):
        assert sample(metrics, "key_requests_total", key=name) == 0
    limiter.check(ALICE, generates=True)  # begins anew


def test_series_of_keys_that_are_gone_end_with_their_requests(metrics: Metrics) -> None:
    limiter = RateLimiter(metrics.keys.add_refusal)
    reload = KeyReload(KeyRing([], [ALICE]), limiter, metrics.keys, ["m"])
    meter = limiter.start(ALICE, generates=True)
    with pytest.raises(KeyLimitExceeded):
        limiter.check(ALICE, generates=True)
    reload.apply([])
    assert count_requests(metrics, "alice") == 0
    meter.release()
    reload.apply([])
    assert b'key="alice"' not in metrics.exposition()


def test_models_that_are_not_served_are_told_once_each(metrics: Metrics) -> None:
    reload = KeyReload(
        KeyRing(), RateLimiter(metrics.keys.add_refusal), metrics.keys, ["llava-tiny"]
    )
    with capture_logs() as lines:
        reload.apply(
            [
                build_key("alice", models=["lava-tiny", "llava-tiny"]),
                build_key("bob", models=["lava-tiny"]),
                build_key("carol"),
            ]
        )
    told = [line for line in lines if line["event"] == UNKNOWN_MODEL]
    assert [(line["keys"], line["model"], line["did_you_mean"]) for line in told] == [
        (2, "lava-tiny", "llava-tiny")
    ]
    with capture_logs() as lines:
        reload.apply([build_key(models=[str(number) for number in range(1000)])])
    assert sum(line["event"] == UNKNOWN_MODEL for line in lines) == MAX_WARNINGS


def test_keys_that_are_added_changed_or_gone_are_told(metrics: Metrics) -> None:
    before = [build_key(name) for name in ("alice", "bob", "carol")]
    reload = KeyReload(
        KeyRing(["env"], before), RateLimiter(metrics.keys.add_refusal), metrics.keys, []
    )
    after = [before[0], build_key("bob", requests_per_minute=1), build_key("dora")]
    with capture_logs() as lines:
        reload.apply(before)
        reload.apply(after)
        reload.apply(after)
    assert [(line["log_level"], line["names"]) for line in lines] == [
        ("info", ["dora"]),
        ("info", ["bob"]),
        ("warning", ["carol"]),
    ]
    with capture_logs() as lines:
        reload.apply([build_key(f"key-{number:04}") for number in range(2000)])
        reload.apply([])
    assert [(len(line["names"]), line["more"]) for line in lines] == [
        (MAX_REPORTED_NAMES, 2000 - MAX_REPORTED_NAMES),
        (3, 0),
        (MAX_REPORTED_NAMES, 2000 - MAX_REPORTED_NAMES),
    ]


async def test_a_signal_after_the_end_is_handled_as_before(
    tmp_path: Path, metrics: Metrics
) -> None:
    reload = KeyReload(KeyRing(), RateLimiter(metrics.keys.add_refusal), metrics.keys, ["m"])
    seen: list[int] = []
    former = signal.signal(signal.SIGHUP, lambda number, _: seen.append(number))
    try:
        async with reload.watch(tmp_path / "keys.toml"):
            os.kill(os.getpid(), signal.SIGHUP)
        assert seen == []
        os.kill(os.getpid(), signal.SIGHUP)
        assert seen == [signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, former)
