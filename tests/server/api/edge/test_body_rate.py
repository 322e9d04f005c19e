"""Only time in which the application waits counts."""

from server.api.edge.body_rate import BodyRate


def test_windows_of_waiting() -> None:
    rate = BodyRate()
    assert not rate.is_too_slow(100.0, 10, 5)  # nobody waits
    rate.start_wait(0.0)
    assert not rate.is_too_slow(4.9, 10, 5)
    assert rate.is_too_slow(5.0, 10, 5)
    rate.add(50)
    assert not rate.is_too_slow(5.0, 10, 5)  # which begins a window
    rate.add(20)
    rate.end_wait(7.0)
    assert not rate.is_too_slow(1000.0, 10, 5)
    rate.start_wait(1000.0)
    assert not rate.is_too_slow(1002.9, 10, 5)
    assert rate.is_too_slow(1003.0, 10, 5)


def test_the_end_of_no_wait() -> None:
    rate = BodyRate()
    rate.end_wait(5.0)
    rate.start_wait(5.0)
    assert not rate.is_too_slow(6.0, 10, 5)
