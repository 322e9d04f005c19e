"""Every transition of the server's life."""

from collections.abc import Callable

import pytest

from server.lifecycle import Lifecycle, State

LONG = 3600.0

MOVES: dict[str, Callable[[Lifecycle], None]] = {
    "ready": Lifecycle.mark_ready,
    "drain": Lifecycle.drain,
    "fail": lambda life: life.fail("the engine died"),
}

# How to come into each state.
PATHS: dict[State, list[str]] = {
    State.LOADING: [],
    State.READY: ["ready"],
    State.DRAINING: ["ready", "drain"],
    State.FAILED: ["ready", "fail"],
}

TRANSITIONS: dict[tuple[State, str], State] = {
    (State.LOADING, "ready"): State.READY,
    (State.LOADING, "drain"): State.DRAINING,
    (State.LOADING, "fail"): State.FAILED,
    (State.READY, "ready"): State.READY,
    (State.READY, "drain"): State.DRAINING,
    (State.READY, "fail"): State.FAILED,
    (State.DRAINING, "ready"): State.DRAINING,  # loaded too late
    (State.DRAINING, "drain"): State.DRAINING,
    (State.FAILED, "ready"): State.FAILED,
    (State.FAILED, "drain"): State.FAILED,
    (State.FAILED, "fail"): State.FAILED,
}


def life(state: State, drain_timeout_s: float = LONG) -> Lifecycle:
    """Return a life in some state."""
    lifecycle = Lifecycle(drain_timeout_s)
    for move in PATHS[state]:
        MOVES[move](lifecycle)
    assert lifecycle.state is state
    return lifecycle


@pytest.mark.parametrize(("start", "move"), TRANSITIONS)
def test_transitions(start: State, move: str) -> None:
    lifecycle = life(start)
    MOVES[move](lifecycle)
    assert lifecycle.state is TRANSITIONS[start, move]


@pytest.mark.parametrize(
    ("state", "code"),
    [(State.LOADING, 0), (State.READY, 0), (State.DRAINING, 0), (State.FAILED, 1)],
)
def test_exit_codes(state: State, code: int) -> None:
    assert life(state).exit_code == code


@pytest.mark.parametrize(
    ("state", "in_flight", "over"),
    [
        (State.LOADING, 0, False),
        (State.READY, 0, False),
        (State.READY, 3, False),
        (State.DRAINING, 3, False),
        (State.DRAINING, 0, True),
        (State.FAILED, 0, True),
        (State.FAILED, 3, True),
    ],
)
def test_when_it_is_over(state: State, in_flight: int, over: bool) -> None:
    assert life(state).should_exit(in_flight) is over


def test_draining_ends_at_its_limit() -> None:
    assert life(State.DRAINING, drain_timeout_s=0.0).should_exit(3)


def test_a_second_drain_ends_the_waiting() -> None:
    lifecycle = life(State.DRAINING)
    assert not lifecycle.should_exit(3)
    lifecycle.drain()
    assert lifecycle.should_exit(3)
    assert lifecycle.exit_code == 0


@pytest.mark.parametrize(
    ("state", "overdue"),
    [
        (State.LOADING, False),
        (State.READY, False),
        (State.DRAINING, False),
        (State.FAILED, True),
    ],
)
def test_requests_have_time_until_a_failure_or_the_drains_end(state: State, overdue: bool) -> None:
    lifecycle = life(state)
    assert lifecycle.is_overdue is overdue
    lifecycle.drain()
    lifecycle.drain()
    assert lifecycle.is_overdue


@pytest.mark.parametrize(
    ("state", "code"), [(State.DRAINING, "not_ready"), (State.FAILED, "engine_unavailable")]
)
def test_the_error_of_requests_in_flight_at_the_exit(state: State, code: str) -> None:
    error = life(state).build_exit_error()
    assert (error.status, error.code) == (503, code)


def test_a_drain_while_loading_is_over_at_once() -> None:
    lifecycle = life(State.LOADING)
    lifecycle.drain()
    assert lifecycle.should_exit(0)
    assert lifecycle.exit_code == 0


def test_a_failure_while_loading_exits_with_one() -> None:
    lifecycle = life(State.LOADING)
    lifecycle.fail("the model could not be loaded")
    assert lifecycle.should_exit(0)
    assert lifecycle.exit_code == 1


def test_states_are_words_for_clients() -> None:
    assert [f"{state}" for state in State] == ["loading", "ready", "draining", "failed"]


def test_the_engine_dying_while_draining_exits_with_one() -> None:
    lifecycle = Lifecycle(30)
    lifecycle.mark_ready()
    lifecycle.drain()
    lifecycle.fail("the engine died")
    assert lifecycle.exit_code == 1
