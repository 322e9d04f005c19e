"""A wall clock that jumps, by a library that is preloaded into the server's processes."""

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")
COMPILER = shutil.which("cc")
HOUR_S = 3600
OFFSET = struct.Struct("q")  # seconds


class FakeClock:
    """The clock of processes that run with `environment`; without a compiler it is the real one.

    The monotonic clock goes on as it is, as when an operator or NTP sets the time.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` takes the library and the offset."""
        self._library = folder / "clock.so"
        self._path = folder / "offset"
        self._path.write_bytes(bytes(OFFSET.size))
        if COMPILER:
            command = [COMPILER, "-O2", "-shared", "-fPIC", "-o", str(self._library), str(SOURCE)]
            subprocess.run(command, check=True)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process whose clock jumps, and of its children."""
        if not self._library.exists():
            return {}
        return {"LD_PRELOAD": str(self._library), "CLOCK_OFFSET_FILE": str(self._path)}

    def jump(self, offset_s: int) -> None:
        """Set the clock to so many seconds from the real time."""
        with self._path.open("r+b") as file, mmap.mmap(file.fileno(), OFFSET.size) as offset:
            offset[:] = OFFSET.pack(offset_s)
