"""The Ray Serve application: replicas of the server, and how Ray is to treat them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from ray import serve
from ray.serve import Application

from server.process.defaults import default_concurrent_requests, expects_cpu
from server.scale.options import TARGET_SHARE, ScaleOptions, split_options
from server.scale.ray_variables import DEREGISTRATION_S
from server.scale.replica import LlavaReplica
from server.scale.replica_start import Place
from server.settings import Settings
from server.start.validation import read_settings

NAME: Final = "llava"
# Beside the drain, what a replica takes to close all that it holds, in seconds.
CLOSE_S: Final = 15
HEALTH_PERIOD_S: Final = 2
HEALTH_TIMEOUT_S: Final = 10
# How long load must last before replicas are added and removed, in seconds.
UPSCALE_DELAY_S: Final = 30
DOWNSCALE_DELAY_S: Final = 600


def build(args: Mapping[str, Any]) -> Application:
    """Build the application of a Serve configuration file, whose `args` are settings and options.

    Names are those of the command line with underscores, such as `max_images: 8`. Raises
    `ValueError`.
    """
    options, values = split_options(args)
    texts = {name: _write(value) for name, value in values.items()}
    settings, mistakes = read_settings(texts, {})
    if mistakes:
        raise ValueError("; ".join(map(str, mistakes.values())))
    return build_application(options, texts, settings)


def _write(value: Any) -> str:
    """Return a value of a configuration file as the command line takes it."""
    match value:
        case dict():
            return json.dumps(value)
        case list():
            return ",".join(map(str, value))
    return str(value)


def build_application(
    options: ScaleOptions,
    values: Mapping[str, str],
    settings: Settings,
    place: Place = Place(),  # noqa: B008 - it is frozen
) -> Application:
    """Return replicas with the settings `values`; those that run with others are replaced."""
    place = replace(
        place,
        cpus=options.cpus_per_replica,
        metrics_targets=options.metrics_targets or place.metrics_targets,
    )
    configure = serve.deployment(
        name="LlavaReplica",
        **_count_replicas(options, settings),
        **_reserve(options, settings),
        # The server itself decides how many it takes: its queue is fair and knows images' cost.
        max_ongoing_requests=settings.max_connections,
        max_queued_requests=-1,
        graceful_shutdown_timeout_s=settings.drain_timeout_s + DEREGISTRATION_S + CLOSE_S,
        graceful_shutdown_wait_loop_s=0.5,
        health_check_period_s=HEALTH_PERIOD_S,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        max_surge_percent=options.surge_percent,
        max_constructor_retry_count=1,
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )
    application: Application = configure(serve.ingress()(LlavaReplica)).bind(dict(values), place)
    return application


def _count_replicas(options: ScaleOptions, settings: Settings) -> dict[str, Any]:
    if options.max_replicas is None:
        return {"num_replicas": options.replicas}
    requests = settings.max_concurrent_requests or default_concurrent_requests(
        on_cpu=expects_cpu(settings)
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
    """Return what Ray is to reserve: of a group of GPUs all on one machine."""
    bundle = {"CPU": options.cpus_per_replica, "GPU": options.count_gpus(settings)}
    actor = {"num_cpus": bundle["CPU"], "num_gpus": bundle["GPU"]}
    if bundle["GPU"] <= 1:
        return {"ray_actor_options": actor}
    return {
        "ray_actor_options": actor,
        "placement_group_bundles": [bundle],
        "placement_group_strategy": "STRICT_PACK",
    }
