"""A wall clock that jumps, by libfaketime (Debian: `apt install libfaketime`)."""

from pathlib import Path

LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
HOUR_S = 3600
# How long (seconds) libfaketime may keep the last offset.
CACHE_S = 1


class FakeClock:
    """The clock of processes that run with `environment`; without the library it is the real one.

    The monotonic clock goes on as it is, as when an operator or NTP sets the time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.jump(0)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process whose clock jumps, and of its children."""
        if not LIBRARIES:
            return {}
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_CACHE_DURATION": str(CACHE_S),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, offset_s: int) -> None:
        """Set the clock to so many seconds from the real time."""
        self._path.write_text(f"{offset_s:+d}s\n")
