"""The label `replica` on every metric, which names the server among several."""

from collections.abc import Iterable, Iterator
from copy import copy
from typing import Final, Protocol

from prometheus_client import Metric

LABEL: Final = "replica"


class Registry(Protocol):
    """What `generate_latest` reads."""

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""


class LabelledRegistry:
    """A registry that adds the replica's name to all samples."""

    def __init__(self, registry: Registry, name: str) -> None:
        self._registry = registry
        self._label = {LABEL: name}

    def collect(self) -> Iterator[Metric]:
        """Yield labelled copies of the metrics; the registry's own stay unchanged."""
        for metric in self._registry.collect():
            labelled = copy(metric)
            labelled.samples = [
                sample._replace(labels=sample.labels | self._label) for sample in metric.samples
            ]
            yield labelled
