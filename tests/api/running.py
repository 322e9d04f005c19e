"""A real server with the real engine, as a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

LABEL = re.compile(r'([^=,{]+)="([^"]*)"')
START_LIMIT_S = 240
STOP_LIMIT_S = 60


class RunningServer:
    """A server process, its address and what it prints."""

    def __init__(
        self, *options: str, env: Mapping[str, str] | None = None, command: str = "serve"
    ) -> None:
        """Start the process, with further variables in `env`, at the head of a group of its own."""
        words = [command, "--port", "0", "--log-format", "json", *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "VLLM_NO_USAGE_STATS": "1", **(env or {})},
            process_group=0,
        )
        self.reads_log = threading.Event()
        self.reads_log.set()
        self.log: list[str] = []
        self.output: list[str] = []  # on stdout
        self.example = ""
        self.url = ""
        self._ready = threading.Event()
        self._readers = [
            threading.Thread(target=self._read_log, daemon=True),
            threading.Thread(target=self._read_output, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def wait_until_ready(self) -> None:
        """Block until the server is ready. Fails with the log where the process ends before."""
        self._ready.wait(START_LIMIT_S)
        assert self.url, "the server did not start:\n" + "\n".join(self.log)

    def wait_for_exit(self) -> int:
        """Return the exit code once the process and its output have ended."""
        code = self.process.wait(STOP_LIMIT_S)
        for reader in self._readers:
            reader.join(STOP_LIMIT_S)
            assert not reader.is_alive(), "a process that was left behind holds the output"
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return code

    def stop(self) -> int:
        """End the process as an operator would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait_for_exit()

    def children(self) -> dict[int, str]:
        """Return the processes below the server, each with its command line."""
        parents: dict[int, int] = {}
        names: dict[int, str] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                pid, stat = int(folder.name), (folder / "stat").read_text()
                names[pid] = (folder / "cmdline").read_text().replace("\0", " ").strip()
            except OSError:
                continue
            parents[pid] = int(stat.rsplit(") ", 1)[1].split()[1])
        below = {self.process.pid}
        for _ in range(4):
            below |= {pid for pid, parent in parents.items() if parent in below}
        return {pid: names[pid] for pid in below - {self.process.pid}}

    def memory_mib(self) -> float:
        """Return the resident memory of the server's own process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found, status
        return int(found[1]) / 1024

    def engine_pid(self) -> int:
        """Return the process that runs vLLM's scheduler."""
        return next(pid for pid, name in self.children().items() if "EngineCore" in name)

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of an event."""
        return [line for line in map(_parse, self.log) if line.get("event") == event]

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            if (parsed := _parse(line)).get("event") == "ready":
                self.url, self.example = parsed["url"], parsed["example"]
                self._ready.set()
            self.reads_log.wait()
        self._ready.set()

    def _read_output(self) -> None:
        assert self.process.stdout is not None
        self.output.extend(self.process.stdout)


def _parse(line: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return parsed


@contextmanager
def running_server(*options: str, env: Mapping[str, str] | None = None) -> Iterator[RunningServer]:
    """Start a server and wait until it is ready; end it at the end of the block."""
    server = RunningServer(*options, env=env)
    try:
        server.wait_until_ready()
        yield server
    finally:
        try:
            server.stop()
        except subprocess.TimeoutExpired:
            server.process.kill()
            raise


@contextmanager
def starting_server(*options: str) -> Iterator[RunningServer]:
    """Start a server, and kill it at the end of the block if it is still there."""
    server = RunningServer(*options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.wait_for_exit()


@contextmanager
def slow_down(pid: int) -> Iterator[None]:
    """Let an engine run a quarter of the time, so that requests last while a test looks at them.

    The embedded model's engine may be done with a thousand tokens before a busy machine has come
    to the test's next line.
    """
    ended = threading.Event()

    def alternate() -> None:
        with suppress(ProcessLookupError):
            while not ended.wait(0.02):
                os.kill(pid, signal.SIGSTOP)
                ended.wait(0.06)
                os.kill(pid, signal.SIGCONT)

    thread = threading.Thread(target=alternate, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def metric(url: str, sample: str) -> float:
    """Return the sum of all samples of /metrics of a name, with at least these labels.

    `sample` is written as there: `name{label="value"}`. A metric that is there has no samples
    before it is first counted.
    """
    # Tests ask often, and a client that verifies loads all certificates each time.
    text = httpx.get(f"{url}/metrics", verify=False).raise_for_status().text  # noqa: S501 - no TLS
    return sum_samples(text, sample)


def sum_samples(text: str, sample: str) -> float:
    """Do what `metric` does, with a text of /metrics."""
    name, _, labels = sample.strip().partition("{")
    wanted = dict(LABEL.findall(labels))
    lines = [line for line in text.splitlines(keepends=True) if re.match(rf"{name}[ {{]", line)]
    families = list(text_string_to_metric_families("".join(lines) or text))
    assert any(name.startswith(family.name) for family in families), f"no metric {name}"
    return sum(
        each.value
        for family in families
        for each in family.samples
        if each.name == name and wanted.items() <= each.labels.items()
    )


def wait_for_metric(url: str, sample: str, value: float, limit_s: float) -> None:
    """Block until a metric has a value. Fails when that takes longer than `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while (current := metric(url, sample)) != value:
        assert time.monotonic() < deadline, f"{sample} is {current}, not {value}"
        time.sleep(0.02)
