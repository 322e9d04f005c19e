"""The rate at which a body arrives while the application waits for it."""


class BodyRate:
    """Counts bytes of a body and the time that the application waits for more of it.

    Time in which the server does not read does not count.
    """

    __slots__ = ("_received", "_waited_s", "_waiting_since")

    def __init__(self) -> None:
        self._received = 0
        self._waited_s = 0.0
        self._waiting_since: float | None = None

    def add(self, num_bytes: int) -> None:
        """Count bytes that arrived."""
        self._received += num_bytes

    def start_wait(self, now: float) -> None:
        """The application begins to wait."""
        self._waiting_since = now

    def end_wait(self, now: float) -> None:
        """The application got something."""
        if self._waiting_since is not None:
            self._waited_s += now - self._waiting_since
            self._waiting_since = None

    def is_too_slow(self, now: float, min_bytes_per_s: float, window_s: float) -> bool:
        """Whether a window of `window_s` seconds of waiting stayed below the minimum rate.

        Each window counts by itself, so that a fast start does not allow a long stall.
        """
        if self._waiting_since is None:
            return False
        waited_s = self._waited_s + now - self._waiting_since
        if waited_s < window_s:
            return False
        if self._received < min_bytes_per_s * waited_s:
            return True
        self._received, self._waited_s, self._waiting_since = 0, 0.0, now
        return False
