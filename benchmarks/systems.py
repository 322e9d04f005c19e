"""The servers under test, this one and vLLM's, with equal engine settings."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

import httpx

MODEL_NAME: Final = "llava-tiny"
MODEL: Final = Path(__file__).parent.parent / "model_store" / MODEL_NAME
MAX_MODEL_LEN: Final = 2048
CPU_KV_CACHE_GIB: Final = 2

GPU_MEMORY_UTILIZATION: Final = 0.92  # of the engine; this server's tower takes some of the rest

START_LIMIT_S: Final = 300.0
GPU_START_LIMIT_S: Final = 1200.0  # compilation, and the capture of graphs
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
    on_gpu: bool = False

    def to_json(self) -> str:
        """Return all fields, for the command line of another process."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` wrote."""
        fields = json.loads(text)
        return cls(**fields | {"path": Path(fields["path"])})

    @property
    def engine_options(self) -> tuple[str, ...]:
        """The options that both servers have."""
        options = (
            *("--max-model-len", str(self.max_model_len)),
            *("--max-num-seqs", str(self.max_num_seqs)),
            *("--max-num-batched-tokens", str(self.max_num_batched_tokens)),
        )
        on_gpu = ("--gpu-memory-utilization", str(GPU_MEMORY_UTILIZATION))
        return (*options, *on_gpu) if self.on_gpu else options


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
    """A server's command and the path of its health check.

    It is given `cpu_options` on a CPU only.
    """

    name: str
    module: str
    ready_path: str
    options: tuple[str, ...]
    eager: str
    compiled: str
    command: tuple[str, ...] = ()
    cpu_options: tuple[str, ...] = ()

    def build_command(
        self, port: int, *, eager: bool, model: ServedModel = LLAVA_TINY
    ) -> list[str]:
        """Build the command that starts the server."""
        common = ("--host", "127.0.0.1", "--port", str(port), "--served-model-name", model.name)
        mode = self.eager if eager else self.compiled
        program = [sys.executable, "-m", self.module, *self.command, "--model", str(model.path)]
        device = () if model.on_gpu else self.cpu_options
        return [*program, *common, *model.engine_options, *device, *self.options, mode]


OURS: Final = System(
    "ours",
    "server",
    "/ready",
    (),
    eager="--enforce-eager=true",
    compiled="--enforce-eager=false",
    cpu_options=("--cpu-kv-cache-gib", str(CPU_KV_CACHE_GIB)),
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
        limit_s = GPU_START_LIMIT_S if model.on_gpu else START_LIMIT_S
        _wait_until_ready(process, url + system.ready_path, log, limit_s)
        yield RunningServer(url, process.pid, time.perf_counter() - started, model.name)
    finally:
        _stop(process)


def _wait_until_ready(
    process: "subprocess.Popen[bytes]", url: str, log: Path, limit_s: float
) -> None:
    deadline = time.monotonic() + limit_s
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
    raise SystemExit(f"a server was not ready in {limit_s:g} s; see {log}")


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
