"""How many replicas there are, and what each of them gets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from server.process.defaults import expects_cpu
from server.settings import Settings
from server.settings.options import ENV_PREFIX, Option

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
        return 0.0 if expects_cpu(settings) else float(settings.tensor_parallel_size)


GROUP: Final = "How many replicas there are, and what each of them gets"
SCALE_OPTIONS: Final = tuple(
    Option(name, GROUP, field) for name, field in ScaleOptions.model_fields.items()
)


def split_options(values: Mapping[str, Any]) -> tuple[ScaleOptions, dict[str, Any]]:
    """Return the options among `values`, and the rest. Raises `pydantic.ValidationError`."""
    own = {name: value for name, value in values.items() if name in ScaleOptions.model_fields}
    return ScaleOptions(**own), {name: values[name] for name in values.keys() - own.keys()}
