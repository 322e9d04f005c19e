"""The options of replicas, and what Ray is told of them."""

import os
import subprocess
import sys
from typing import Any

import pytest

from server.scale.options import ScaleOptions, take_options
from server.scale.refusals import find_refused
from server.settings import Settings
from server.start.parsing import CommandLine

pytest.importorskip("ray", reason="Ray is not installed")


def describe(**args: Any) -> dict[str, Any]:
    """Return the deployment of an application as Ray has it."""
    from server.scale.application import build

    deployment = build(args)._bound_deployment
    config = deployment._deployment_config
    return {
        "replicas": deployment.num_replicas,
        "autoscaling": config.autoscaling_config,
        "surge": config.max_surge_percent,
        "actor": deployment.ray_actor_options,
        "bundles": deployment._replica_config.placement_group_bundles,
        "drain": config.graceful_shutdown_timeout_s,
        "values": deployment.init_args[0],
    }


def test_replicas_are_a_fixed_number_by_default() -> None:
    told = describe(replicas=3, max_images=4, accelerator="cpu")
    assert (told["replicas"], told["autoscaling"], told["surge"]) == (3, None, 25)
    assert told["values"] == {
        "host": "0.0.0.0",  # noqa: S104
        "max_images": "4",
        "accelerator": "cpu",
        "drain_timeout_s": "30.0",
    }
    assert told["actor"]["num_gpus"] == 0


def test_the_most_replicas_turn_autoscaling_on() -> None:
    told = describe(replicas=2, max_replicas=8, max_concurrent_requests=100, accelerator="cpu")[
        "autoscaling"
    ]
    assert (told.min_replicas, told.max_replicas) == (2, 8)
    assert told.get_target_ongoing_requests() == pytest.approx(70)


def test_a_group_of_gpus_is_on_one_machine() -> None:
    told = describe(accelerator="cuda", tensor_parallel_size=2, gpus_per_replica=2)
    assert told["bundles"] == [{"CPU": 1.0, "GPU": 2.0}]
    assert told["actor"]["num_gpus"] == 2


def test_what_a_file_says_nothing_of_is_left_out() -> None:
    told = describe(accelerator="cpu", max_images=None, enforce_eager=True)
    assert "max_images" not in told["values"]
    assert told["values"]["enforce_eager"] == "true"


def test_ray_waits_longer_than_the_drain() -> None:
    assert describe(drain_timeout_s=100, accelerator="cpu")["drain"] == 100 + 5 + 15


def test_values_of_a_file_are_written_as_on_the_command_line() -> None:
    told = describe(
        accelerator="cpu",
        engine_args={"scheduling_policy": "fcfs"},
        cors_allow_origins=["https://a.example", "*"],
    )
    assert told["values"]["engine_args"] == '{"scheduling_policy": "fcfs"}'
    assert told["values"]["cors_allow_origins"] == "https://a.example,*"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"max_images": "many"}, "--max-images"),
        ({"max_imges": 3}, "did you mean --max-images"),
        ({"uds": "socket"}, "leave it out"),
        ({"host": "10.0.0.7"}, "use one of them"),
        ({"port": 8001}, "http_options in the file set it"),
        ({"gpus_per_replica": 1}, "replicas on CPUs take none"),
        ({"accelerator": "cuda", "gpus_per_replica": 0}, "all would meet on the first GPU"),
        (
            {"accelerator": "cuda", "gpus_per_replica": 1, "tensor_parallel_size": 2},
            "as many as --tensor-parallel-size and --vision-device say, 2:",
        ),
        ({"accelerator": "cuda", "gpus_per_replica": 1.5}, "--vision-device say, 1: leave it out"),
        (
            {"accelerator": "cuda", "gpus_per_replica": 1, "vision_device": "cuda:1"},
            "--vision-device say, 2: leave it out",
        ),
        ({"accelerator": "cuda", "gpus_per_replica": 0.5}, "--gpu-memory-utilization 0.5 or less"),
        ({"replicas": 0}, "--replicas 0: must be above 0"),
        ({"replicas": 3, "max_replicas": 2}, "below --replicas 3"),
        ({"accelerator": "auto"}, "--gpus-per-replica: this machine need not have"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_wrong_in_a_file_fails_the_deployment(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        describe(**{"accelerator": "cpu", **args})


def plan(gpus: float, monkeypatch: pytest.MonkeyPatch, **args: Any) -> int | None:
    """Return the surge of replicas of one GPU each on a machine with `gpus`."""
    from server.scale import cluster
    from server.scale.replica_start import ReplicaConfig

    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 8.0, "GPU": gpus})
    options = ScaleOptions(gpus_per_replica=1, **args)
    launched = cluster.Launch(options, {}, Settings(), ReplicaConfig(), 0)
    return cluster.plan_gpus(launched).options.surge_percent


def test_without_a_gpu_to_spare_old_replicas_end_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from server.start.serving import StartFailed

    assert plan(4, monkeypatch, replicas=3) is None
    assert plan(4, monkeypatch, replicas=4) == 0
    assert plan(4, monkeypatch, replicas=4, surge_percent=0) == 0
    with pytest.raises(StartFailed, match="--surge-percent 25 needs GPUs to spare"):
        plan(4, monkeypatch, replicas=4, surge_percent=25)
    with pytest.raises(StartFailed, match="5 replicas take 5 GPUs, 1 each, and this machine has 4"):
        plan(4, monkeypatch, max_replicas=5)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"replicas": 3, "max_replicas": 2}, "below --replicas 3"),
        ({"target_requests": 5}, "needs --max-replicas"),
        ({"replicas": 0}, "greater than 0"),
    ],
)
def test_options_that_contradict_each_other(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ScaleOptions(**given)


def test_options_and_settings_are_told_apart() -> None:
    command_line = CommandLine({"replicas": "2", "model": "llava-tiny"})
    assert take_options(command_line, {}).replicas == 2
    assert command_line.values == {"model": "llava-tiny"}


def test_what_replicas_cannot_have_is_refused() -> None:
    settings = Settings.model_validate(
        {"uds": "socket", "distributed_executor_backend": "ray", "replica_name": "mine"}
    )
    assert {name for name, _ in find_refused(Settings(host="::1"))} == {"host"}
    assert {name for name, _ in find_refused(settings)} == {
        "uds",
        "distributed_executor_backend",
        "replica_name",
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--replicas", "none"], "--replicas none: must be a whole number"),
        (["--surge-percent", "101"], "--surge-percent 101: must be at most 100"),
        (["--replicas", "2", "--max-replicas", "1"], "--max-replicas is below"),
        (["--replicsa", "2"], "did you mean --replicas"),
        (["--uds", "socket"], "leave it out"),
        (["--max-images", "-1"], "--max-images"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_mistakes_are_told_before_ray_starts(options: list[str], said: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "server", "scale", "--port", "0", *options],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 2
    assert said in run.stderr
    assert "Traceback" not in run.stderr


def test_a_check_shows_the_options_of_replicas_too() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "server", "scale", "--check", "--replicas", "2"],
        capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, "LLAVA_CPUS_PER_REPLICA": "3"},
    )  # fmt: skip
    lines = [line.split() for line in run.stdout.splitlines()]
    assert ["replicas", "2", "(--replicas)"] in lines
    assert ["cpus_per_replica", "3", "(LLAVA_CPUS_PER_REPLICA)"] in lines
    assert ["port", "8000", "(default)"] in lines


def test_help_has_the_options_of_replicas_and_of_servers() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "server", "scale", "--help"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "--surge-percent" in run.stdout
    assert "--max-images" in run.stdout
