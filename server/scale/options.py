"""How many replicas there are, and what each of them gets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from server.process.defaults import count_gpus, expects_cpu
from server.settings import Settings
from server.settings.options import ENV_PREFIX, Option
from server.start.parsing import CommandLine
from server.start.validation import explain_errors

# How busy autoscaling keeps replicas, as a share of the requests that each runs at once.
TARGET_SHARE: Final = 0.7
SURGE_PERCENT: Final = 25


class ScaleOptions(BaseSettings):
    """How many replicas there are, and what each of them gets."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    replicas: PositiveInt = Field(1, description="replicas; with --max-replicas the least number")
    max_replicas: PositiveInt | None = Field(
        None, description="the most replicas: autoscaling adds and removes them by load"
    )
    target_requests: PositiveFloat | None = Field(
        None,
        description="requests in flight that autoscaling aims at for each replica;"
        f" default: {TARGET_SHARE:g} of --max-concurrent-requests",
    )
    gpus_per_replica: NonNegativeFloat | None = Field(
        None, description="GPUs of a replica; default: --tensor-parallel-size, 0 without a GPU"
    )
    cpus_per_replica: NonNegativeFloat = Field(
        1.0, description="CPU cores that Ray reserves for a replica; it may use more"
    )
    surge_percent: int | None = Field(
        None,
        ge=0,
        le=100,
        description="replicas that a rolling update starts beside the old ones, in percent, rounded"
        f" up; 0 ends old ones first; default: {SURGE_PERCENT}, and 0 where no GPU is to spare",
    )
    metrics_targets: Path | None = Field(
        None,
        description="folder where each replica on a machine writes a file for Prometheus'"
        " file_sd_configs; default: a new one, whose path is logged",
    )

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise ValueError(f"--max-replicas is below --replicas {self.replicas}: raise it")
        if self.target_requests is not None and self.max_replicas is None:
            raise ValueError("--target-requests needs --max-replicas")
        return self

    @property
    def most_replicas(self) -> int:
        """The most replicas that run outside a rolling update."""
        return self.max_replicas or self.replicas

    def count_gpus(self, settings: Settings) -> float:
        """Return the GPUs of one replica."""
        if self.gpus_per_replica is not None:
            return self.gpus_per_replica
        return 0.0 if expects_cpu(settings) else float(count_gpus(settings))


GROUP: Final = "Replicas: how many, and what each of them gets"
SCALE_OPTIONS: Final = tuple(
    Option(name, GROUP, field) for name, field in ScaleOptions.model_fields.items()
)


def take_options(command_line: CommandLine, environ: Mapping[str, str]) -> ScaleOptions:
    """Take the options of replicas out of the values of a command line.

    Their mistakes are added to the command line's; the options are then the defaults.
    """
    names = ScaleOptions.model_fields.keys() & command_line.values.keys()
    given: dict[str, Any] = {name: command_line.values.pop(name) for name in names}
    try:
        return ScaleOptions(**given)
    except ValidationError as error:
        mistakes = explain_errors(error, SCALE_OPTIONS, given, environ)
        command_line.mistakes.extend(mistakes.values())
        return ScaleOptions.model_construct()
