"""Refusals are counted in one line, with who is refused most."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from server.telemetry.metrics import Metrics
from server.telemetry.refusal_log import MAX_COUNTED, MAX_REPORTED, RefusalLog
from server.telemetry.refusals import Refusals, RequestRefusals
from tests.server.samples import sample


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    """Return the log lines written meanwhile."""
    with capture_logs() as lines:
        yield lines


async def test_a_line_names_clients_and_keys(metrics: Metrics, lines: list[EventDict]) -> None:
    log = RefusalLog()
    requests = RequestRefusals(metrics, log)
    for _ in range(2):
        requests.add("rate_limit_exceeded", "/", "10.0.0.1", "alice")
    requests.add("invalid_api_key", "/", "10.0.0.2")
    Refusals(metrics.connections_refused, log).add("header_timeout", "10.0.0.1")
    Refusals(metrics.connections_refused, log).add("bad_request", None)  # by a Unix socket
    log.flush()
    log.flush()
    assert lines == [
        {
            "event": "requests refused",
            "log_level": "info",
            "rate_limit_exceeded": 2,
            "invalid_api_key": 1,
            "header_timeout": 1,
            "bad_request": 1,
            "clients": {"10.0.0.1": 3, "10.0.0.2": 1},
            "keys": {"alice": 2},
        }
    ]


async def test_a_line_and_what_is_kept_for_it_are_bounded(lines: list[EventDict]) -> None:
    log = RefusalLog()
    for number in range(2 * MAX_COUNTED):
        log.add("code", f"10.0.0.{number}", f"key-{number}")
        log.add("code", "10.0.0.0", "key-0")
    assert len(log._clients) == len(log._keys) == MAX_COUNTED
    log.flush()
    (line,) = lines
    assert line["code"] == 4 * MAX_COUNTED
    assert line["clients"]["10.0.0.0"] == line["keys"]["key-0"] == 2 * MAX_COUNTED + 1
    assert len(line["clients"]) == len(line["keys"]) == MAX_REPORTED


async def test_overload_is_counted_for_known_keys_only(metrics: Metrics) -> None:
    log = RefusalLog()
    refusals = RequestRefusals(metrics, log)
    metrics.keys.set_keys(["alice", "bob"])
    refusals.add("rate_limit_exceeded", "/", "10.0.0.1", "alice")
    refusals.add("rate_limit_exceeded", "/", "10.0.0.1", "0a1b2c3d")
    refusals.add("rate_limit_exceeded", "/", "10.0.0.1")
    refusals.add("key_limit_exceeded", "/", "10.0.0.1", "bob")
    assert sample(metrics, "key_overload_refusals_total") == 1
    assert sample(metrics, "key_overload_refusals_total", key="alice") == 1
    metrics.keys.set_keys(["bob"])
    assert b'key="alice"' not in metrics.exposition()
    log.flush()
