"""The Ray Serve application: replicas of the server, and Ray's options for them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from ray import serve
from ray.serve import Application

from server.process.defaults import default_concurrent_requests
from server.scale.options import (
    SCALE_OPTIONS,
    SURGE_PERCENT,
    TARGET_SHARE,
    ScaleOptions,
    take_options,
)
from server.scale.ray_variables import DEREGISTRATION_S
from server.scale.refusals import find_gpu_problems, find_refused
from server.scale.replica import LlavaReplica
from server.scale.replica_start import ReplicaConfig
from server.settings import Settings
from server.start.mistakes import Mistake
from server.start.parsing import parse_command_line
from server.start.validation import read_settings

NAME: Final = "llava"
# HAProxy's address is set elsewhere in the file, so each replica accepts any `Host`.
ANYWHERE: Final = "0.0.0.0"  # noqa: S104 - no address to bind
HTTP_OPTIONS: Final = frozenset({"port", "root_path"})
HTTP_OPTIONS_REMEDY: Final = "has no effect here: http_options in the file set it"
# Requests that may wait in Ray while no replica is ready; more are refused at once.
MAX_WAITING: Final = 100
# Seconds that a replica needs to close, in addition to the drain.
CLOSE_S: Final = 15
# In a cluster, machines come and go while replicas start.
CLUSTER_ATTEMPTS: Final = 20
HEALTH_PERIOD_S: Final = 2
HEALTH_TIMEOUT_S: Final = 10
# Seconds that load must last before replicas are added and removed.
UPSCALE_DELAY_S: Final = 30
DOWNSCALE_DELAY_S: Final = 600


def build(args: Mapping[str, Any]) -> Application:
    """Build the application of a Serve configuration file, whose `args` are settings and options.

    Names are those of the command line with underscores, such as `max_images: 8`. Raises
    `ValueError`.
    """
    command_line = parse_command_line(_write_words({"host": ANYWHERE, **args}), more=SCALE_OPTIONS)
    for name in HTTP_OPTIONS & command_line.values.keys():
        command_line.mistakes.append(Mistake(f"--{name.replace('_', '-')}", HTTP_OPTIONS_REMEDY))
    options = take_options(command_line, {})
    settings, wrong = read_settings(command_line.values, {})
    mistakes = [*command_line.mistakes, *wrong.values(), *_find_problems(options, settings)]
    if mistakes:
        raise ValueError("; ".join(map(str, mistakes)))
    return build_application(options, command_line.values, settings)


def _write_words(args: Mapping[str, Any]) -> list[str]:
    """Return the values of a configuration file as a command line, without null values."""
    return [
        f"--{name.replace('_', '-')}={_write(value)}"
        for name, value in args.items()
        if value is not None
    ]


def _write(value: Any) -> str:
    match value:
        case dict():
            return json.dumps(value)
        case list():
            return ",".join(map(str, value))
        case bool():
            return str(value).lower()
    return str(value)


def _find_problems(options: ScaleOptions, settings: Settings) -> Iterator[Mistake]:
    """Yield settings that replicas may not have, or whose defaults this machine cannot know."""
    for name, problem in (*find_refused(settings), *find_gpu_problems(options, settings)):
        yield Mistake(f"--{name.replace('_', '-')}", problem)
    if options.gpus_per_replica is None and settings.accelerator == "auto":
        yield Mistake(
            "--gpus-per-replica",
            "this machine need not have the replicas' GPUs: set as many as --tensor-parallel-size,"
            " or 0 for replicas on CPUs",
        )


def build_application(
    options: ScaleOptions,
    values: Mapping[str, str],
    settings: Settings,
    config: ReplicaConfig = ReplicaConfig(),  # noqa: B008 - it is frozen
    attempts: int = CLUSTER_ATTEMPTS,
) -> Application:
    """Return replicas with the settings `values`; replicas with other settings are replaced.

    A deployment fails when its replicas failed to start `attempts` times and none has started.
    """
    # Ray's limit and the replicas' own use the same value, regardless of a machine's variables.
    values = {**values, "drain_timeout_s": str(settings.drain_timeout_s)}
    config = replace(
        config,
        cpus=options.cpus_per_replica,
        metrics_targets=options.metrics_targets or config.metrics_targets,
    )
    configure = serve.deployment(
        name="LlavaReplica",
        **_count_replicas(options, settings),
        **_reserve(options, settings),
        # The server itself limits its requests: its queue is fair and knows the cost of images.
        max_ongoing_requests=settings.max_connections,
        max_queued_requests=MAX_WAITING,
        graceful_shutdown_timeout_s=limit_shutdown_s(settings),
        graceful_shutdown_wait_loop_s=0.5,
        health_check_period_s=HEALTH_PERIOD_S,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        max_surge_percent=SURGE_PERCENT if options.surge_percent is None else options.surge_percent,
        max_constructor_retry_count=attempts,
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )
    application: Application = configure(serve.ingress()(LlavaReplica)).bind(dict(values), config)
    return application


def limit_shutdown_s(settings: Settings) -> float:
    """Return how long a replica may take to end, in seconds."""
    return settings.drain_timeout_s + DEREGISTRATION_S + CLOSE_S


def _count_replicas(options: ScaleOptions, settings: Settings) -> dict[str, Any]:
    if options.max_replicas is None:
        return {"num_replicas": options.replicas}
    requests = settings.max_concurrent_requests or default_concurrent_requests(
        on_cpu=options.count_gpus(settings) == 0
    )
    return {
        "autoscaling_config": {
            "min_replicas": options.replicas,
            "max_replicas": options.max_replicas,
            "target_ongoing_requests": options.target_requests or TARGET_SHARE * requests,
            "upscale_delay_s": UPSCALE_DELAY_S,
            "downscale_delay_s": DOWNSCALE_DELAY_S,
        }
    }


def _reserve(options: ScaleOptions, settings: Settings) -> dict[str, Any]:
    """Return the resources for Ray to reserve; a replica's GPUs are all on one machine."""
    bundle = {"CPU": options.cpus_per_replica, "GPU": options.count_gpus(settings)}
    actor = {"num_cpus": bundle["CPU"], "num_gpus": bundle["GPU"]}
    if bundle["GPU"] <= 1:
        return {"ray_actor_options": actor}
    return {
        "ray_actor_options": actor,
        "placement_group_bundles": [bundle],
        "placement_group_strategy": "STRICT_PACK",
    }
