"""Stalls of the engine, on a clock of the test's own."""

from server.engine.vllm.watchdog import MAX_INTERVAL_S, StallDetector, StepCounter


def look(
    detector: StallDetector, seconds: int, *, start: float, num_steps: int, has_sequences: bool
) -> list[bool]:
    """Look at the engine once a second; returns whether it was stalled."""
    return [
        detector.is_stalled(num_steps, start + second, has_sequences=has_sequences)
        for second in range(seconds)
    ]


def test_sequences_without_a_step_are_a_stall() -> None:
    looks = look(StallDetector(3), 5, start=10, num_steps=0, has_sequences=True)
    assert looks == [False, False, False, True, True]


def test_steps_are_no_stall() -> None:
    detector = StallDetector(3)
    for second in range(100):
        assert not detector.is_stalled(second // 2, second, has_sequences=True)


def test_an_idle_engine_is_not_stalled() -> None:
    detector = StallDetector(3)
    assert not any(look(detector, 100, start=0, num_steps=5, has_sequences=False))
    assert not any(look(detector, 2, start=100, num_steps=5, has_sequences=True))


def test_clients_that_give_up_do_not_hide_a_stall() -> None:
    detector = StallDetector(3)
    assert not any(look(detector, 3, start=0, num_steps=0, has_sequences=True))
    assert not any(look(detector, 10, start=3, num_steps=0, has_sequences=False))
    assert detector.is_stalled(0, 13, has_sequences=True)


def test_a_suspended_machine_is_no_stall() -> None:
    detector = StallDetector(3)
    assert not detector.is_stalled(0, 0, has_sequences=True)
    assert not detector.is_stalled(0, 10_000, has_sequences=True)
    assert MAX_INTERVAL_S < 3


def test_steps_are_counted() -> None:
    counter = StepCounter()
    counter.log_engine_initialized()
    counter.record(None, None, mm_cache_stats=None, engine_idx=0)
    assert counter.num_steps == 1
