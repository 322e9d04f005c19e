"""Prepares the process of a replica: settings, logs, checks."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any, Final

from server.checkpoint.config import Checkpoint
from server.keys.key_ring import KeyRing
from server.process.allocator import configure_allocator
from server.process.file_limit import limit_connections, raise_file_limit
from server.process.standard_streams import forgive_full_outputs
from server.scale.admin_ports import listen_for_admin
from server.scale.log_pipe import log_through
from server.scale.options import SCALE_OPTIONS
from server.scale.refusals import find_refused
from server.scale.targets import create_folder
from server.settings import Settings
from server.start.mistakes import Mistake
from server.start.preparation import Preparation
from server.start.serving import start_logs
from server.start.validation import read_settings
from server.start.variables import find_variable_mistakes
from server.telemetry.raw_output import wrap_raw_output
from server.telemetry.usage_file import UsageFile

# All connections come from HAProxy, which opens fewer than it has clients.
UNLIMITED: Final = 1_000_000
OMP_THREADS: Final = "OMP_NUM_THREADS"


class ReplicaError(RuntimeError):
    """The replica cannot start; the message has cause and remedy."""


@dataclass(frozen=True, slots=True)
class ReplicaConfig:
    """Where a replica's logs and its target for Prometheus go on its machine.

    `log_pipe` belongs to the launcher; without it, Ray keeps the logs. `cpus` is the number
    that Ray reserves. Ray replaces replicas of another `generation`.
    """

    log_pipe: Path | None = None
    metrics_targets: Path | None = None
    cpus: float = 1.0
    generation: int = 0


@dataclass(frozen=True, slots=True)
class PreparedReplica:
    """The parts to build a replica from; without a checkpoint, the model is to be pulled."""

    settings: Settings
    checkpoint: Checkpoint | None
    keys: KeyRing
    usage_file: UsageFile | None
    admin_listener: socket


def prepare_replica(
    values: Mapping[str, Any], name: str, config: ReplicaConfig, stack: ExitStack
) -> PreparedReplica:
    """Read the settings, start logs and check. Raises `ReplicaError`, `StartFailed`."""
    if config.log_pipe is not None:
        log_through(config.log_pipe)
    configure_allocator()
    forgive_full_outputs()
    _forget_ray_threads(config.cpus)
    settings = _read_settings(values).model_copy(update={"replica_name": name})
    if settings.log_format == "json":
        stack.enter_context(wrap_raw_output())
    start_logs(settings)
    settings = _adapt(settings)
    try:
        admin_listener = listen_for_admin(settings.admin_host, settings.admin_port or 0, stack)
    except OSError as error:
        raise ReplicaError(f"--admin-port: {error}") from None
    if config.metrics_targets is not None:
        create_folder(config.metrics_targets)
    prepared = Preparation(settings, (), stack, listens=False)
    if prepared.problems:
        raise ReplicaError("; ".join(f"--{name}: {text}" for name, text in prepared.problems))
    assert prepared.keys is not None  # noqa: S101 - without them there is a problem
    return PreparedReplica(
        settings, prepared.checkpoint, prepared.keys, prepared.usage_file, admin_listener
    )


def _read_settings(values: Mapping[str, Any]) -> Settings:
    """Read the settings, some of which may be variables of this machine."""
    settings, wrong = read_settings(values, os.environ)
    refused = (
        Mistake(f"--{name.replace('_', '-')}", text) for name, text in find_refused(settings)
    )
    variables = find_variable_mistakes(os.environ, SCALE_OPTIONS)
    mistakes = [*wrong.values(), *variables, *refused]
    if mistakes:
        raise ReplicaError("; ".join(map(str, mistakes)))
    return settings


def _adapt(settings: Settings) -> Settings:
    """Return the settings adapted to a replica behind HAProxy, in a Ray actor."""
    return limit_connections(settings, raise_file_limit()).model_copy(
        update={
            "max_connections_per_address": UNLIMITED,
            # In a placement group, vLLM would choose Ray, which here places whole replicas.
            "distributed_executor_backend": "mp" if settings.tensor_parallel_size > 1 else None,
            "admin_port": settings.admin_port or 0,
        }
    )


def _forget_ray_threads(cpus: float) -> None:
    """Remove Ray's number of threads: the settings determine the tower's threads."""
    if os.environ.get(OMP_THREADS) == str(max(int(cpus), 1)):
        del os.environ[OMP_THREADS]
