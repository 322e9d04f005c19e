"""Launches replicas on this machine, and replaces or ends them on signals."""

import queue
import signal
import threading
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

from server.checkpoint.config import Checkpoint
from server.process.early_signals import STOP_SIGNALS
from server.ready import print_ready
from server.scale.cluster import Launch, deploy, end_replicas, plan_gpus, run_cluster
from server.scale.free_ports import find_free_ports
from server.scale.log_pipe import relay_lines
from server.scale.options import ScaleOptions
from server.scale.replica_start import ReplicaConfig
from server.scale.rollouts import Rollouts
from server.scale.targets import create_folder
from server.settings import Settings
from server.start.preparation import Preparation
from server.start.serving import StartFailed, pull_checkpoint, start_logs
from server.telemetry.logs import get_logger
from server.telemetry.raw_output import wrap_raw_output

log = get_logger(__name__)

# The launcher's events: a signal, or the outcome of a deployment.
LauncherEvent = int | StartFailed | None
DEPLOYED: Final = None


def launch(
    options: ScaleOptions, values: Mapping[str, str], prepared: Preparation, folder: Path
) -> int:
    """Run replicas until stopped; return the exit code. Raises `StartFailed`.

    `values` are the settings on the command line; `folder` is for files of this run.
    """
    settings = prepared.settings
    with wrap_raw_output() if settings.log_format == "json" else nullcontext():
        start_logs(settings)
        pipe = folder / "logs"
        relay_lines(pipe)
        targets = options.metrics_targets or folder / "targets"
        create_folder(targets)
        checkpoint = prepared.checkpoint or pull_checkpoint(settings)
        port, url = _release_ports(prepared)
        config = ReplicaConfig(log_pipe=pipe, metrics_targets=targets)
        launched = Launch(options, values, settings, config, port)
        with run_cluster(launched, folder):
            launched = plan_gpus(launched)
            events = _collect_signals()
            if _deploy_first(launched, events):
                log.info("replicas ready", replicas=options.replicas, metrics_targets=str(targets))
                print_ready(settings, url, _name_model(settings, checkpoint))
                _replace_on_hangups(launched, events)
                log.info("draining", limit_s=settings.drain_timeout_s)
            end_replicas(settings, partial(_is_stop_there, events))
    return 0


def _release_ports(prepared: Preparation) -> tuple[int, str]:
    """Close the checked listeners; return the port for requests, and its URL, for HAProxy."""
    settings = prepared.settings
    for each in filter(None, (prepared.listener, prepared.admin_listener)):
        each.close()
    port = settings.port or find_free_ports(1)[0]
    return port, f"http://{settings.host}:{port}{settings.root_path}"


def _name_model(settings: Settings, checkpoint: Checkpoint) -> str:
    names = settings.served_model_names
    return names[0] if names else checkpoint.path.name


def _collect_signals() -> "queue.SimpleQueue[LauncherEvent]":
    """Return a queue that gets the signals from now on, in place of Ray's handlers."""
    events: queue.SimpleQueue[LauncherEvent] = queue.SimpleQueue()

    def put(number: int, _: FrameType | None) -> None:
        events.put(number)

    for each in (signal.SIGHUP, *STOP_SIGNALS):
        signal.signal(each, put)
    return events


def _deploy_first(launched: Launch, events: "queue.SimpleQueue[LauncherEvent]") -> bool:
    """Start the replicas; return whether they are ready. Raises `StartFailed`."""
    _deploy_in_thread(launched, 0, events)
    while (event := events.get()) is not DEPLOYED:
        if isinstance(event, StartFailed):
            raise event
        if event in STOP_SIGNALS:
            return False
    return True


def _replace_on_hangups(launched: Launch, events: "queue.SimpleQueue[LauncherEvent]") -> None:
    """Replace the replicas at each SIGHUP; return after SIGTERM or SIGINT."""
    rollouts = Rollouts(lambda generation: _deploy_in_thread(launched, generation, events))
    while (event := events.get()) not in STOP_SIGNALS:
        if event == signal.SIGHUP:
            rollouts.request()
        else:
            rollouts.finish(event if isinstance(event, StartFailed) else None)


def _is_stop_there(events: "queue.SimpleQueue[LauncherEvent]") -> bool:
    """Whether another signal asks to end at once."""
    with suppress(queue.Empty):
        while True:
            if events.get_nowait() in STOP_SIGNALS:
                return True
    return False


def _deploy_in_thread(
    launched: Launch, generation: int, events: "queue.SimpleQueue[LauncherEvent]"
) -> None:
    """Deploy while this thread takes signals; `events` gets the outcome."""

    def run() -> None:
        try:
            deploy(launched, generation)
        except StartFailed as error:
            events.put(error)
        except Exception as error:
            log.debug("deploying failed", exc_info=True)
            events.put(StartFailed(f"Ray cannot deploy the replicas: {error}"))
        else:
            events.put(DEPLOYED)

    threading.Thread(target=run, name=f"deployment {generation}", daemon=True).start()
