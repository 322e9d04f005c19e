"""The servers under test, this one and vLLM's, with equal engine settings."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

MODEL_NAME: Final = "llava-tiny"
MODEL: Final = Path(__file__).parent.parent / "model_store" / MODEL_NAME
MAX_MODEL_LEN: Final = 2048
CPU_KV_CACHE_GIB: Final = 2

START_LIMIT_S: Final = 300.0
STOP_LIMIT_S: Final = 30.0
POLL_S: Final = 0.05

ENVIRONMENT: Final = os.environ | {
    "VLLM_CPU_KVCACHE_SPACE": str(CPU_KV_CACHE_GIB),
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model that the servers serve, and the engine settings that fit it."""

    name: str
    path: Path
    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int


LLAVA_TINY: Final = ServedModel(
    MODEL_NAME, MODEL, MAX_MODEL_LEN, max_num_seqs=256, max_num_batched_tokens=8192
)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that is ready."""

    url: str
    pid: int
    ready_s: float  # from its start to the first successful health check
    model_name: str = MODEL_NAME

    @property
    def chat_url(self) -> str:
        """The URL of chat completions."""
        return f"{self.url}/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class System:
    """A server's command and the path of its health check."""

    name: str
    module: str
    ready_path: str
    options: tuple[str, ...]
    eager: str
    compiled: str
    command: tuple[str, ...] = ()

    def build_command(
        self, port: int, *, eager: bool, model: ServedModel = LLAVA_TINY
    ) -> list[str]:
        """Build the command that starts the server."""
        engine = (
            *("--max-model-len", str(model.max_model_len)),
            *("--max-num-seqs", str(model.max_num_seqs)),
            *("--max-num-batched-tokens", str(model.max_num_batched_tokens)),
        )
        common = ("--host", "127.0.0.1", "--port", str(port), "--served-model-name", model.name)
        mode = self.eager if eager else self.compiled
        program = [sys.executable, "-m", self.module, *self.command, "--model", str(model.path)]
        return [*program, *common, *engine, *self.options, mode]


OURS: Final = System(
    "ours",
    "server",
    "/ready",
    ("--cpu-kv-cache-gib", str(CPU_KV_CACHE_GIB)),
    eager="--enforce-eager=true",
    compiled="--enforce-eager=false",
)
PEER: Final = System(
    "peer",
    "vllm.entrypoints.openai.api_server",
    "/health",
    (),
    eager="--enforce-eager",
    compiled="--no-enforce-eager",
)
SYSTEMS: Final = (OURS, PEER)


@contextmanager
def run_system(
    system: System, log: Path, *, eager: bool, model: ServedModel = LLAVA_TINY
) -> Iterator[RunningServer]:
    """Start a server, wait until it is ready, and stop all its processes afterwards."""
    port = _find_free_port()
    started = time.perf_counter()
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            system.build_command(port, eager=eager, model=model),
            stdout=output,
            stderr=output,
            env=ENVIRONMENT,
            # A process group, so that all its processes can be killed, but in our session: Linux
            # may divide CPU time by session, and a server whose processes spin while they wait
            # would starve the load generator.
            process_group=0,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(process, url + system.ready_path, log)
        yield RunningServer(url, process.pid, time.perf_counter() - started, model.name)
    finally:
        _stop(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    with httpx.Client(timeout=5, trust_env=False) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise SystemExit(f"a server ended with {process.returncode}; see {log}")
            try:
                if client.get(url).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(POLL_S)
    raise SystemExit(f"a server was not ready in {START_LIMIT_S:g} s; see {log}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT_S)
    with suppress(ProcessLookupError):  # no process is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _find_free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
