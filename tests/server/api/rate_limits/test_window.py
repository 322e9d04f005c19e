"""A limit per minute: a moving window, in which too much may be used."""

import math

import pytest

from server.api.rate_limits.storage import STEP_S, WindowStorage
from server.api.rate_limits.window import Window, WindowState


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return the clock."""
    return Clock()


@pytest.fixture
def storage(clock: Clock) -> WindowStorage:
    """Return the storage."""
    return WindowStorage(clock)


@pytest.fixture
def window(storage: WindowStorage) -> Window:
    """Return a limit of ten a minute."""
    return Window("requests", "alice", 10, storage)


def test_an_unused_window_is_full(window: Window) -> None:
    assert window.has_room()
    assert window.state() == WindowState("requests", 10, 10, 0.0)


def test_what_is_used_is_free_again_after_a_minute(window: Window, clock: Clock) -> None:
    window.add(4)
    clock.now += 20
    window.add(5)
    assert window.state() == WindowState("requests", 10, 1, 60.0)
    clock.now += 39.9
    assert window.state().remaining == 1
    clock.now += 0.1
    assert window.state() == WindowState("requests", 10, 5, 20.0)
    clock.now += 20
    assert window.state().remaining == 10


def test_a_used_window_tells_when_something_is_free(window: Window, clock: Clock) -> None:
    for _ in range(10):
        assert window.has_room()
        window.add(1)
        clock.now += 1
    assert not window.has_room()
    state = window.state()
    assert (state.remaining, window.wait_s(), state.reset_s) == (0, 50.0, 59.0)
    clock.now += window.wait_s()
    assert window.has_room()
    window.add(1)
    assert not window.has_room()


def test_an_excess_is_paid_off_at_the_rate_of_the_limit(window: Window, clock: Clock) -> None:
    window.add(9)
    clock.now += 10
    window.add(20)
    clock.now += 10
    window.add(20)
    state = window.state()
    # 49 at ten a minute: nine of each minute are paid at its start, one ten seconds later.
    assert (state.remaining, window.wait_s(), state.reset_s) == (0, 230.0, 280.0)
    clock.now += 229.9
    assert not window.has_room()
    clock.now += 0.1
    assert window.state().remaining == 1
    clock.now += 50
    assert window.state() == WindowState("requests", 10, 10, 0.0)


def test_a_new_limit_holds_for_what_was_used(
    storage: WindowStorage, window: Window, clock: Clock
) -> None:
    window.add(25)
    larger, smaller = (Window("requests", "alice", limit, storage) for limit in (30, 5))
    assert larger.state() == WindowState("requests", 30, 5, 60.0)
    assert (smaller.wait_s(), smaller.state()) == (60.0, WindowState("requests", 5, 0, 60.0))
    smaller.add(5)
    assert (smaller.wait_s(), smaller.state()) == (120.0, WindowState("requests", 5, 0, 120.0))
    clock.now += 120
    assert smaller.state().remaining == 5


def test_reserved_amounts_take_room(window: Window) -> None:
    window.add(4)
    assert window.has_room(5)
    assert not window.has_room(6)
    assert [window.wait_s(reserved) for reserved in (5, 6, 9, 10)] == [0.0, 60.0, 60.0, math.inf]
    assert window.state(6) == WindowState("requests", 10, 0, 60.0)


def test_what_is_reserved_may_yet_be_used(window: Window, clock: Clock) -> None:
    window.add(4)
    clock.now += 50
    assert window.state(3) == WindowState("requests", 10, 3, 60.0)
    assert window.state() == WindowState("requests", 10, 6, 10.0)


def test_a_use_that_is_taken_back_leaves_others(window: Window, clock: Clock) -> None:
    window.add(4)
    first = clock.now
    clock.now += 30
    window.add(3)
    window.remove(first, 1)
    assert window.state().remaining == 4
    clock.now += 30
    assert window.state() == WindowState("requests", 10, 7, 30.0)
    window.remove(first, 1)  # it has left
    assert window.state().remaining == 7
    window.remove(first + 30, 3)
    assert window.state() == WindowState("requests", 10, 10, 0.0)


def test_an_excess_is_taken_back_first(window: Window, clock: Clock) -> None:
    for _ in range(3):
        window.add(5)
    window.remove(clock.now, 1)
    assert (window.state().remaining, window.state().reset_s) == (0, 120.0)
    window.remove(clock.now, 6)
    assert window.state() == WindowState("requests", 10, 2, 60.0)


def test_keys_and_resources_are_apart(storage: WindowStorage, window: Window) -> None:
    others = [Window("requests", "bob", 10, storage), Window("output-tokens", "alice", 10, storage)]
    window.add(10)
    assert not window.has_room()
    assert all(other.has_room() for other in others)
    window.clear()
    assert window.has_room()


def test_no_more_than_the_limit_passes_in_any_minute(window: Window, clock: Clock) -> None:
    passed = []
    for _ in range(3000):
        clock.now += 0.11
        if window.has_room():
            window.add(1)
            passed.append(clock.now)
    for first, later in zip(passed, passed[10:], strict=False):
        assert later - first >= 60 - STEP_S
    assert len(passed) == pytest.approx(10 * 330 / 60, abs=10)


def test_many_uses_take_little_memory(storage: WindowStorage, clock: Clock) -> None:
    window = Window("output-tokens", "alice", 1_000_000, storage)
    for _ in range(100_000):
        clock.now += 0.001
        window.add(3)
    (uses,) = storage._windows.values()
    assert uses.total == pytest.approx(3 * 60 / 0.001, abs=3 * STEP_S / 0.001)
    assert len(uses.uses) <= 60 / STEP_S + 1


def test_the_librarys_interface(storage: WindowStorage, clock: Clock) -> None:
    assert storage.acquire_entry("a", 2, 60, 2)
    assert not storage.acquire_entry("a", 2, 60)
    assert (storage.get("a"), storage.get_expiry("a")) == (2, clock.now + 60)
    assert (storage.get("b"), storage.get_expiry("b")) == (0, clock.now)
    assert storage.check()
    assert (storage.reset(), storage.get("a")) == (1, 0)
