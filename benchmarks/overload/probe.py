"""Probes a server's health in a thread while a load runs."""

import http.client
import threading
import time
from typing import Final, Self
from urllib.parse import urlsplit

INTERVAL_S: Final = 0.05
TIMEOUT_S: Final = 30.0


class HealthProbe:
    """Times `GET /health` within its context; `seconds` has one entry for each response."""

    def __init__(self, url: str) -> None:
        self.seconds: list[float] = []
        self.failures = 0
        self._address = urlsplit(url).netloc
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        """Start probing."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop probing."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT_S)
        while not self._stopped.wait(INTERVAL_S):
            started = time.perf_counter()
            try:
                connection.request("GET", "/health")
                response = connection.getresponse()
                response.read()
                self.failures += response.status != 200
            except (OSError, http.client.HTTPException):
                connection.close()  # the next request connects anew
                self.failures += 1
            self.seconds.append(time.perf_counter() - started)
        connection.close()
