"""Refuses settings that have no meaning, or a different one, for replicas behind HAProxy."""

from collections.abc import Iterator
from typing import Final

from server.engine.problems import Problem
from server.process.defaults import count_gpus
from server.scale.options import ScaleOptions
from server.settings import Settings

# Ray has HAProxy and the replicas listen on the same address; HAProxy reaches them at these.
HOSTS: Final = ("127.0.0.1", "0.0.0.0")  # noqa: S104 - compared, not bound


def find_refused(settings: Settings) -> Iterator[Problem]:
    """Yield settings that a server may have and a replica may not."""
    if settings.uds is not None:
        yield "uds", "replicas are reached by host and port: leave it out"
    elif settings.host not in HOSTS:
        yield (
            "host",
            "HAProxy reaches replicas only at 127.0.0.1, or at 0.0.0.0: use one of them; a firewall"
            " then keeps other networks out",
        )
    for name in ("ssl_certfile", "ssl_keyfile", "ssl_ca_certs"):
        if getattr(settings, name) is not None:
            yield name, "replicas speak no TLS: end it at a proxy in front, such as deploy/haproxy"
    if settings.distributed_executor_backend == "ray":
        yield (
            "distributed_executor_backend",
            "Ray places whole replicas here: leave it out, each one's GPUs are on one machine",
        )
    if settings.replica_name is not None:
        yield "replica_name", "Ray names the replicas: leave it out"


def find_gpu_problems(options: ScaleOptions, settings: Settings) -> Iterator[Problem]:
    """Yield mismatches between the GPUs that Ray reserves and those that a replica uses."""
    gpus, size = options.gpus_per_replica, count_gpus(settings)
    if gpus is None:
        return
    if gpus and settings.accelerator == "cpu":
        yield "gpus_per_replica", "replicas on CPUs take none: leave it out, or set it to 0"
    elif not gpus and settings.accelerator == "cuda":
        yield "gpus_per_replica", f"a replica takes {size}: all would meet on the first GPU"
    elif 0 < gpus < 1 and (settings.gpu_memory_utilization or 1) > gpus:
        yield (
            "gpus_per_replica",
            f"replicas share a GPU: set --gpu-memory-utilization {gpus:g} or less, too",
        )
    elif (gpus > 1 and gpus != size) or (gpus and size > gpus >= 1):
        yield (
            "gpus_per_replica",
            f"a replica takes as many as --tensor-parallel-size and --vision-device say, {size}:"
            " leave it out",
        )
