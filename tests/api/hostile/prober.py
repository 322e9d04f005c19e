"""A polite client beside an attack, as a process: how long `/health` and a short answer take.

Prints one JSON line per request: which one, its begin on the monotonic clock, seconds, and status.
A process of its own, so that the interpreter of the attacker delays no measurement.

Beside the seconds stands how long the machine itself kept the threads from running that a request
needs: the prober's, the server's event loop and the engine's. On two busy cores that is most of it.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

HEALTH_INTERVAL_S = 0.05
ANSWER_INTERVAL_S = 0.25
TIMEOUT_S = 60
ANSWER = json.dumps(
    {"model": "llava-tiny", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
)
HEADERS = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One request of the prober; `status` is 0 where the connection failed."""

    kind: str
    begin: float
    seconds: float
    starved_s: float
    status: int

    @property
    def end(self) -> float:
        """When the response was complete."""
        return self.begin + self.seconds

    @property
    def served_s(self) -> float:
        """How long it took, without the time that the machine gave to others."""
        return self.seconds - min(self.starved_s, self.seconds)


class Prober:
    """Runs the prober and collects its samples."""

    def __init__(self, address: tuple[str, int], server_pid: int, engine_pid: int) -> None:
        host, port = address
        self._process = subprocess.Popen(
            [sys.executable, __file__, host, str(port), str(server_pid), str(engine_pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._samples: list[Sample] = []
        self._arrived = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        """Probe for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process, which reads its input for that."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(TIMEOUT_S)
        self._reader.join()
        self._process.stdout.close()

    def wait_for_samples(self, begin: float, end: float) -> list[Sample]:
        """Return the samples that overlap a time, once each kind has begun one after it."""
        with self._arrived:
            complete = self._arrived.wait_for(lambda: self._has_passed(end), TIMEOUT_S)
            assert complete, "the server does not answer any more"
            return [each for each in self._samples if each.end >= begin and each.begin <= end]

    def _has_passed(self, end: float) -> bool:
        return {each.kind for each in self._samples[-200:] if each.end >= end} >= {
            "health",
            "answer",
        }

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            sample = Sample(**json.loads(line))
            with self._arrived:
                self._samples.append(sample)
                self._arrived.notify_all()


def probe(
    kind: str, interval_s: float, address: tuple[str, int], send: "Send", pids: Sequence[int]
) -> None:
    """Send requests one after the other on one connection for ever; print how long each takes."""
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_S)
    threads = [*pids, threading.get_native_id()]
    while True:
        starved_s = read_run_delay(threads)
        begin = time.monotonic()
        try:
            send(connection)
            response = connection.getresponse()
            response.read()
            status = response.status
        except (OSError, http.client.HTTPException):
            connection.close()
            status = 0
        seconds = time.monotonic() - begin
        starved_s = read_run_delay(threads) - starved_s
        line = Sample(kind, begin, seconds, starved_s, status)
        sys.stdout.write(json.dumps(asdict(line)) + "\n")
        sys.stdout.flush()
        time.sleep(max(interval_s - seconds, 0.01))


def read_run_delay(threads: Sequence[int]) -> float:
    """Return for how long (seconds) threads have waited for a core since they began.

    A thread that waits for a lock, such as the interpreter's, is not counted.
    """
    return sum(_read_thread_delay(thread) for thread in threads)


def _read_thread_delay(thread: int) -> float:
    try:
        return int(Path(f"/proc/{thread}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


Send = Callable[[http.client.HTTPConnection], None]


def _ask_health(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/health")


def _ask_answer(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/v1/chat/completions", ANSWER, HEADERS)


def main() -> None:
    """Probe until the input ends."""
    address = (sys.argv[1], int(sys.argv[2]))
    pids = [int(each) for each in sys.argv[3:]]
    for kind, interval_s, send in (
        ("health", HEALTH_INTERVAL_S, _ask_health),
        ("answer", ANSWER_INTERVAL_S, _ask_answer),
    ):
        args = (kind, interval_s, address, send, pids)
        threading.Thread(target=probe, args=args, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
