"""A Ray cluster on this machine, with the application on it, for the length of a block."""

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psutil
import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.config import HTTPOptions, ProxyLocation

from server.process.early_signals import stop_on_signals
from server.scale.application import NAME, build_application, limit_shutdown_s
from server.scale.options import ScaleOptions
from server.scale.orphans import end_orphans
from server.scale.replica_start import ReplicaConfig, ReplicaError
from server.settings import Settings
from server.start.serving import StartFailed
from server.telemetry.logs import get_logger

log = get_logger(__name__)

# Bytes for objects in shared memory, which the server does not use.
OBJECT_STORE_BYTES: Final = 80 * 1024 * 1024
# Ray's process that starts all others on this machine.
RAYLET: Final = "raylet"
# Seconds between two checks of ending replicas.
POLL_S: Final = 0.2
REASON: Final = re.compile(rf"{ReplicaError.__name__}: (.+)")


@dataclass(frozen=True, slots=True)
class Launch:
    """The deployment to run; `values` are the settings as texts."""

    options: ScaleOptions
    values: Mapping[str, str]
    settings: Settings
    config: ReplicaConfig
    port: int


@contextmanager
def run_cluster(launch: Launch, folder: Path) -> Iterator[None]:
    """Start Ray and Serve's HAProxy for a block; its files are in `folder`.

    Raises `StartFailed`.
    """
    with end_orphans():
        try:
            _start(launch, folder)
            yield
        finally:
            if _is_ray_running():  # otherwise it would wait for a minute
                ray.shutdown()


def _start(launch: Launch, folder: Path) -> None:
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=OBJECT_STORE_BYTES,
            num_cpus=_count_cpus(launch.options),
            _temp_dir=str(folder / "ray"),
        )
        stop_on_signals()  # Ray has set handlers of its own
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        serve.start(
            proxy_location=ProxyLocation.HeadOnly,
            http_options=HTTPOptions(
                host=launch.settings.host,
                port=launch.port,
                root_path=launch.settings.root_path,
                keep_alive_timeout_s=launch.settings.keep_alive_timeout_s,
            ),
            logging_config={"log_level": "WARNING"},
        )
    except Exception as error:
        log.debug("starting Ray failed", exc_info=True)
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise StartFailed(f"Ray does not start: {reason}") from None


def plan_gpus(launch: Launch) -> Launch:
    """Return the deployment, with a surge that fits the GPUs. Raises `StartFailed`."""
    options = launch.options
    each, most = options.count_gpus(launch.settings), options.most_replicas
    there: float = ray.cluster_resources().get("GPU", 0.0)  # type: ignore[no-untyped-call]
    if there < most * each:
        raise StartFailed(
            f"{most} replicas take {most * each:g} GPUs, {each:g} each, and this machine has"
            f" {there:g}: ask for fewer replicas, or for CPUs by --accelerator cpu"
        )
    if there >= (most + 1) * each:
        return launch
    if options.surge_percent:
        raise StartFailed(
            f"--surge-percent {options.surge_percent} needs GPUs to spare, and {most} replicas"
            " take all: leave it out, or ask for fewer replicas"
        )
    return replace(launch, options=options.model_copy(update={"surge_percent": 0}))


def end_replicas(settings: Settings, is_hurried: Callable[[], bool]) -> None:
    """Drain and end all replicas; return when they have ended or `is_hurried` is true.

    It also returns when Ray itself has ended: a signal to the whole process group ends Ray at once.
    """
    draining = threading.Thread(target=_drain, args=(limit_shutdown_s(settings),), daemon=True)
    draining.start()
    while draining.is_alive() and not is_hurried() and _is_ray_running():
        draining.join(POLL_S)


def _drain(limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    with suppress(RayError):  # the controller is dead: nothing is left to drain
        if NAME in serve.status().applications:
            serve.delete(NAME, _blocking=False)  # requests in flight go on
        while NAME in serve.status().applications and time.monotonic() < deadline:
            time.sleep(POLL_S)


def _is_ray_running() -> bool:
    with suppress(psutil.NoSuchProcess):
        return any(
            each.name() == RAYLET and each.status() != psutil.STATUS_ZOMBIE
            for each in psutil.Process().children()
        )
    return False


def deploy(launch: Launch, generation: int) -> None:
    """Start the replicas, or replace them one after another. Blocks. Raises `StartFailed`."""
    config = replace(launch.config, generation=generation)
    application = build_application(
        launch.options, launch.values, launch.settings, config, attempts=1
    )
    try:
        serve.run(application, name=NAME, route_prefix="/")
    except RuntimeError:
        raise StartFailed(_find_reason()) from None


def _find_reason() -> str:
    """Return why no replica started, from Ray's status of the application."""
    if not ray.is_initialized():
        return "Ray has ended"
    application = serve.status().applications[NAME]
    text = "\n".join(
        [application.message, *(each.message for each in application.deployments.values())]
    )
    reasons = REASON.findall(text)
    return reasons[-1] if reasons else text.strip() or "no replica started"


def _count_cpus(options: ScaleOptions) -> int:
    """Return the cores to report to Ray: enough for all replicas, even if there are fewer."""
    replicas = options.most_replicas * 2  # the old and the new of an update
    return max(os.cpu_count() or 1, int(replicas * options.cpus_per_replica) + 2)
