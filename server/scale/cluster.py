"""A Ray cluster on this machine, with the application on it, for the length of a block."""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import ray
from ray import serve
from ray.serve.config import HTTPOptions, ProxyLocation

from server.scale.application import NAME, build_application
from server.scale.options import ScaleOptions
from server.scale.replica_start import Place, ReplicaError
from server.settings import Settings
from server.start.serving import StartFailed
from server.telemetry.logs import get_logger

log = get_logger(__name__)

# Objects in shared memory: none of ours.
OBJECT_STORE_BYTES: Final = 80 * 1024 * 1024
REASON: Final = re.compile(rf"{ReplicaError.__name__}: (.+)")


@dataclass(frozen=True, slots=True)
class Launch:
    """What is to run: `values` are the settings as texts."""

    options: ScaleOptions
    values: Mapping[str, str]
    settings: Settings
    place: Place
    port: int


@contextmanager
def run_cluster(launch: Launch, folder: Path) -> Iterator[None]:
    """Start Ray and Serve's HAProxy for a block; its files are in `folder`."""
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=OBJECT_STORE_BYTES,
        num_cpus=_count_cpus(launch.options),
        _temp_dir=str(folder / "ray"),
    )
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
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
        yield
        if NAME in serve.status().applications:
            serve.delete(NAME)  # requests in flight go on
        serve.shutdown()  # type: ignore[no-untyped-call]
    finally:
        ray.shutdown()


def deploy(launch: Launch, generation: int) -> None:
    """Start the replicas, or replace them one after another. Blocks. Raises `StartFailed`."""
    place = replace(launch.place, generation=generation)
    application = build_application(launch.options, launch.values, launch.settings, place)
    try:
        serve.run(application, name=NAME, route_prefix="/")
    except RuntimeError:
        raise StartFailed(_find_reason()) from None


def _find_reason() -> str:
    """Return why no replica started, from what Ray tells of the application."""
    application = serve.status().applications[NAME]
    text = "\n".join(
        [application.message, *(each.message for each in application.deployments.values())]
    )
    reasons = REASON.findall(text)
    return reasons[-1] if reasons else text.strip() or "no replica started"


def _count_cpus(options: ScaleOptions) -> int:
    """Return the cores that Ray is told of: also where there are fewer, all replicas start."""
    replicas = (options.max_replicas or options.replicas) * 2  # the old and the new of an update
    return max(os.cpu_count() or 1, int(replicas * options.cpus_per_replica) + 2)
