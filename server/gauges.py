"""Gauges that read their values from the server's parts."""

from server import __version__
from server.api.routes import health
from server.api.runtime import Runtime
from server.checkpoint.config import Checkpoint
from server.devices import choose_accelerator
from server.lifecycle import State
from server.settings import Settings


def connect_gauges(settings: Settings, checkpoint: Checkpoint, runtime: Runtime) -> None:
    """Have the gauges read their values from the server's parts."""
    metrics, lifecycle = runtime.metrics, runtime.lifecycle
    metrics.build_info.labels(
        __version__, health.name_engine(), checkpoint.path.name, choose_accelerator(settings)
    ).set(1)
    metrics.ready.set_function(lambda: lifecycle.is_ready)
    metrics.draining.set_function(lambda: lifecycle.state is State.DRAINING)
    metrics.connections.set_function(lambda: runtime.connections.open_connections)
    metrics.buffered_body_bytes.set_function(lambda: runtime.body_budget.used)
