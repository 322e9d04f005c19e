"""A polite client beside an attack, as a process: how long `/health` and a short answer take.

Prints one JSON line per request: which one, its begin on the monotonic clock, seconds, and status.
A process of its own, so that the interpreter of the attacker delays no measurement.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

HEALTH_INTERVAL_S = 0.05
ANSWER_INTERVAL_S = 1.0
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
    status: int

    @property
    def end(self) -> float:
        """When the response was complete."""
        return self.begin + self.seconds


class Prober:
    """Runs the prober and collects its samples."""

    def __init__(self, address: tuple[str, int]) -> None:
        host, port = address
        self._process = subprocess.Popen(
            [sys.executable, __file__, host, str(port)],
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


def probe(kind: str, interval_s: float, address: tuple[str, int], send: "Send") -> None:
    """Send requests one after the other on one connection for ever; print how long each takes."""
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_S)
    while True:
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
        line = {"kind": kind, "begin": begin, "seconds": seconds, "status": status}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        time.sleep(max(interval_s - seconds, 0.01))


Send = Callable[[http.client.HTTPConnection], None]


def _ask_health(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/health")


def _ask_answer(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/v1/chat/completions", ANSWER, HEADERS)


def main() -> None:
    """Probe until the input ends."""
    address = (sys.argv[1], int(sys.argv[2]))
    for kind, interval_s, send in (
        ("health", HEALTH_INTERVAL_S, _ask_health),
        ("answer", ANSWER_INTERVAL_S, _ask_answer),
    ):
        threading.Thread(target=probe, args=(kind, interval_s, address, send), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
