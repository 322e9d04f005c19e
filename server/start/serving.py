"""Pulls the model where the store lacks it, then loads and serves it."""

from contextlib import nullcontext

from model_store.errors import StoreError
from model_store.resolve import resolve_model
from server.checkpoint.config import Checkpoint, CheckpointError
from server.listening import begin_to_listen
from server.process.allocator import configure_allocator
from server.process.early_signals import Stopped
from server.process.standard_streams import forgive_full_outputs
from server.settings import Settings
from server.start.model_checks import find_model_problems, read_readable_checkpoint
from server.start.preparation import Preparation
from server.telemetry.child_logs import export_log_settings
from server.telemetry.logs import configure_logs, get_logger
from server.telemetry.raw_output import wrap_raw_output

log = get_logger(__name__)


class StartFailed(Exception):
    """The server cannot start although the settings are right; the message says why."""


def pull_and_serve(prepared: Preparation) -> int:
    """Serve until stopped. Returns the exit code. Raises `StartFailed`."""
    configure_allocator()
    forgive_full_outputs()
    settings = prepared.settings
    is_json = settings.log_format == "json"
    with wrap_raw_output() if is_json else nullcontext():
        start_logs(settings)
        return _serve(prepared, prepared.checkpoint or pull_checkpoint(settings))


def start_logs(settings: Settings) -> None:
    """Log as the settings ask, here and in child processes."""
    level, log_format, replica = settings.log_level, settings.log_format, settings.replica_name
    export_log_settings(level, log_format, replica)
    configure_logs(level, log_format, replica=replica)


def _serve(prepared: Preparation, checkpoint: Checkpoint) -> int:
    # Imported here, so that all mistakes are reported before PyTorch, which takes seconds.
    from server.serve import serve

    startup = prepared.build_startup(checkpoint)
    try:
        for listener in filter(None, (startup.listener, startup.admin_listener)):
            begin_to_listen(listener)
    except OSError as error:
        raise StartFailed(str(error)) from None
    return serve(startup)


def pull_checkpoint(settings: Settings) -> Checkpoint:
    """Pull the model and check its configuration."""

    def on_pull(reference: str) -> None:
        log.info("pulling the model", model=reference)

    try:
        checkpoint = read_readable_checkpoint(resolve_model(settings.model, on_pull))
    except Stopped:
        log.info("stopped while the model was pulled; the next start goes on from there")
        raise
    except (StoreError, CheckpointError, OSError) as error:
        raise StartFailed(str(error)) from None
    for _, problem in find_model_problems(settings, checkpoint):
        raise StartFailed(problem)
    return checkpoint
