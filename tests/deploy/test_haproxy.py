"""deploy/haproxy/haproxy.cfg: which server answers, and what clients see when none does."""

import http.client
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from server.api.affinity import ACCEPTED_VALUE, AFFINITY_HEADER
from server.errors import ClientTooSlow, DeadlineExceeded, EngineUnavailable, Unavailable
from server.settings import Settings
from tests.deploy.balancing import (
    CONFIGURATION,
    LIMIT_S,
    Balancer,
    StandIn,
    balance,
    find_haproxy,
)

CHAT = "/v1/chat/completions"
SET_STATE = CONFIGURATION.with_name("set_state.py")
TEXT = CONFIGURATION.read_text()


@pytest.fixture
def balancer() -> Iterator[Balancer]:
    servers = [StandIn("a"), StandIn("b")]
    for server in servers:
        server.start()
    with balance(servers) as running:
        wait(lambda: running.control.exists() and running.count_up() == 2)
        yield running
        for server in servers:
            server.release.set()
    for server in servers:
        server.stop()


def wait(is_done: Callable[[], bool]) -> None:
    """Wait for something that happens soon."""
    deadline = time.monotonic() + LIMIT_S
    while not is_done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask(
    balancer: Balancer, affinity: str | None = None, body: str | bytes = "", path: str = CHAT
) -> httpx.Response:
    """Send a request."""
    headers = {} if affinity is None else {AFFINITY_HEADER: affinity}
    return balancer.http.post(path, content=body, headers=headers)


def name(balancer: Balancer, affinity: str | None = None) -> str:
    """Return the server that answers where no other request runs."""
    wait(balancer.is_idle)
    answer = ask(balancer, affinity)
    assert answer.status_code == 200, answer.text
    return answer.text


def hold(
    balancer: Balancer, pool: ThreadPoolExecutor, affinity: str | None, count: int
) -> list[Future[httpx.Response]]:
    """Send requests one after the other, each while those before it run."""
    futures = []
    for _ in range(count):
        before = count_requests(balancer)
        futures.append(pool.submit(ask, balancer, affinity, "hold"))
        wait(partial(has_more_requests, balancer, before))
    return futures


def count_requests(balancer: Balancer) -> int:
    """Return how many requests have arrived."""
    return sum(len(server.requests) for server in balancer.servers)


def has_more_requests(balancer: Balancer, before: int) -> bool:
    """Whether another request has arrived."""
    return count_requests(balancer) > before


def test_it_is_valid() -> None:
    command = [find_haproxy(), "-c", "-f", str(CONFIGURATION)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, "warning" in (run.stdout + run.stderr).lower()) == (0, False)


def test_it_knows_the_header_and_the_servers_limits() -> None:
    assert f"{AFFINITY_HEADER}) -m reg ^{ACCEPTED_VALUE.pattern}$" in TEXT
    assert Settings.model_fields["request_timeout_s"].default < 620
    assert Settings.model_fields["max_connections_per_address"].default > 1000
    for error in (ClientTooSlow, DeadlineExceeded, EngineUnavailable, Unavailable):
        assert f'"code":"{error.code}"' in TEXT


def test_a_value_leads_to_one_server(balancer: Balancer) -> None:
    counts = Counter(name(balancer, f"conversation-{number}") for number in range(40))
    assert min(counts["a"], counts["b"]) >= 8
    for number in range(40):
        value = f"conversation-{number}"
        assert len({name(balancer, value) for _ in range(3)}) == 1


@pytest.mark.parametrize("affinity", [None, "ill formed", "", "x" * 65])
def test_requests_without_a_value_go_where_there_is_least(
    balancer: Balancer, affinity: str | None
) -> None:
    with ThreadPoolExecutor() as pool:
        futures = hold(balancer, pool, affinity, 6)
        assert max(len(server.requests) for server in balancer.servers) <= 4
        for server in balancer.servers:
            server.release.set()
        assert all(future.result().status_code == 200 for future in futures)


def test_a_request_without_a_value_gets_one_that_leads_back(balancer: Balancer) -> None:
    for _ in range(10):
        first = name(balancer)
        (server,) = [server for server in balancer.servers if server.name == first]
        value = server.requests[-1][AFFINITY_HEADER]
        assert ACCEPTED_VALUE.fullmatch(value)
        assert name(balancer, value) == first
        assert server.requests[-1][AFFINITY_HEADER] == value


def test_a_hot_value_is_spread_beyond_its_share(balancer: Balancer) -> None:
    first = name(balancer, "hot")
    (own,) = [server for server in balancer.servers if server.name == first]
    with ThreadPoolExecutor(8) as pool:
        futures = hold(balancer, pool, "hot", 8)
        assert 4 <= len(own.requests) - 1 <= 5
        for server in balancer.servers:
            server.release.set()
        assert all(future.result().status_code == 200 for future in futures)


def test_a_server_that_died_takes_no_request_with_it(balancer: Balancer) -> None:
    values = [f"conversation-{number}" for number in range(20)]
    before = {value: name(balancer, value) for value in values}
    balancer.servers[0].stop()
    assert {name(balancer, value) for value in values} == {"b"}
    balancer.servers[0].start(balancer.servers[0].port)
    wait(lambda: balancer.count_up() == 2)
    assert {value: name(balancer, value) for value in values} == before


def test_the_bound_sends_nothing_to_a_dead_server(balancer: Balancer) -> None:
    dead, busy = balancer.servers
    dead.stop()
    wait(lambda: balancer.count_up() == 1)
    with ThreadPoolExecutor(8) as pool:
        futures = hold(balancer, pool, None, 6)
        dead.start(dead.port)
        wait(lambda: balancer.count_up() == 2)
        dead.stop()
        for number in range(20):
            assert ask(balancer, f"conversation-{number}").text == busy.name
        busy.release.set()
        assert all(future.result().status_code == 200 for future in futures)


def test_a_server_that_drains_gets_nothing_new_and_finishes(balancer: Balancer) -> None:
    with ThreadPoolExecutor() as pool:
        hold(balancer, pool, "mine", 1)
        (busy,) = [server for server in balancer.servers if server.requests]
        busy.is_ready = False
        wait(lambda: balancer.count_up() == 1)
        assert busy.name not in {ask(balancer, "mine").text for _ in range(5)}
        assert len(busy.requests) == 1
        busy.release.set()


def test_failing_answers_alone_take_a_server_from_nobody(balancer: Balancer) -> None:
    """A client can cause a 504 by a short time limit of its own."""
    for _ in range(20):
        assert ask(balancer, "mine", "fail").status_code == 503
    assert balancer.count_up() == 2


def test_a_unit_can_drain_its_server_at_once(balancer: Balancer) -> None:
    values = [f"conversation-{number}" for number in range(20)]
    for state, expected in (("drain", {"b"}), ("ready", {"a", "b"})):
        run = set_state(balancer, "llava0", state)
        assert (run.returncode, run.stderr) == (0, "")
        assert {name(balancer, value) for value in values} == expected
    assert "No such server." in set_state(balancer, "llava9", "drain").stderr


def test_a_unit_waits_until_its_server_gets_requests(balancer: Balancer) -> None:
    (first, _) = balancer.servers
    first.is_ready = False
    assert set_state(balancer, "llava0", "drain").returncode == 0
    wait(lambda: "DOWN" in balancer.command("show stat"))
    with ThreadPoolExecutor() as pool:
        run = pool.submit(set_state, balancer, "llava0", "ready")
        wait(lambda: " 0 8 " not in balancer.command("show servers state llava"))
        assert not run.done()
        first.is_ready = True
        assert run.result().returncode == 0
    assert balancer.count_up() == 2


def set_state(balancer: Balancer, server: str, state: str) -> subprocess.CompletedProcess[str]:
    """Run the program of the units."""
    return subprocess.run(
        [sys.executable, str(SET_STATE), server, state, str(balancer.control)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_server_errors_have_the_apis_shapes(balancer: Balancer) -> None:
    for server in balancer.servers:
        server.is_ready = False
    wait(lambda: balancer.count_up() == 0)
    headers = {"x-request-id": "mine"}
    answer = balancer.http.post(CHAT, headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == "mine"
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("server_error", None)
    assert error["code"] == "service_unavailable"
    message = balancer.http.post("/v1/messages", headers=headers).json()
    assert (message["type"], message["request_id"]) == ("error", "mine")
    assert message["error"]["type"] == "overloaded_error"


def test_a_request_that_reached_a_server_is_not_sent_again(balancer: Balancer) -> None:
    answer = ask(balancer, "mine", "die")
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "engine_unavailable"
    assert count_requests(balancer) == 1


def test_events_and_large_bodies_pass_as_they_come(balancer: Balancer) -> None:
    large = ask(balancer, body=b"x" * 20_000_000)
    assert large.headers["x-received"] == "20000000"
    with balancer.http.stream("POST", CHAT, content="stream") as answer:
        events = answer.iter_raw()
        assert next(events) == b"data: 1\n\n"
        for server in balancer.servers:
            server.release.set()
        assert next(events) == b"data: 2\n\n"


def test_a_client_that_leaves_is_noticed_by_the_server(balancer: Balancer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=LIMIT_S)
    connection.request("POST", CHAT, "watch")
    wait(partial(has_more_requests, balancer, 0))
    connection.close()
    (server,) = [server for server in balancer.servers if server.requests]
    assert server.left.wait(1)


@pytest.mark.parametrize("path", ["/metrics", "//metrics/", "/m%65trics"])
def test_metrics_of_one_of_the_servers_are_none(balancer: Balancer, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=LIMIT_S)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 404
    assert json.loads(answer.read())["error"]["code"] == "not_found"
    connection.close()


def test_a_request_has_one_id(balancer: Balancer) -> None:
    for sent, is_kept in (("mine-1", True), ("not one", False)):
        balancer.http.post(CHAT, headers={"x-request-id": sent})
        (received,) = [request for server in balancer.servers for request in server.requests]
        assert (received["x-request-id"] == sent) is is_kept
        for server in balancer.servers:
            server.requests.clear()
