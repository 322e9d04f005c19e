"""Pulls the model if the store lacks it, then loads and serves it."""

from collections.abc import Callable
from contextlib import ExitStack, nullcontext

from model_store.errors import StoreError
from model_store.progress import PullProgress
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
        return _load_serve(prepared)()


def start_logs(settings: Settings) -> None:
    """Log as the settings ask, here and in child processes."""
    level, log_format, replica = settings.log_level, settings.log_format, settings.replica_name
    export_log_settings(level, log_format, replica)
    configure_logs(level, log_format, replica=replica)


def _load_serve(prepared: Preparation) -> Callable[[], int]:
    """Return the function that serves, once PyTorch is imported and the model is in the store."""
    with ExitStack() as stack:
        checkpoint = prepared.checkpoint
        if checkpoint is None:
            checkpoint = _pull(prepared, stack)
        # Imported here, so that all mistakes are reported before PyTorch, which takes seconds.
        from server.serve import serve

        startup = prepared.build_startup(checkpoint)
        _begin_to_listen(prepared)
        return lambda: serve(startup)


def _begin_to_listen(prepared: Preparation) -> None:
    try:
        for listener in filter(None, (prepared.listener, prepared.admin_listener)):
            begin_to_listen(listener)
    except OSError as error:
        raise StartFailed(str(error)) from None


def _pull(prepared: Preparation, stack: ExitStack) -> Checkpoint:
    """Pull the model; answer probes until `stack` closes."""
    from server.start.waiting import answer_while_pulling

    model, progress = prepared.settings.model, PullProgress()

    def describe() -> str:
        return f"pulling {model}: {progress}" if progress.total else f"pulling {model}"

    _begin_to_listen(prepared)
    stack.enter_context(answer_while_pulling(prepared, describe))
    return pull_checkpoint(prepared.settings, progress)


def pull_checkpoint(settings: Settings, progress: PullProgress | None = None) -> Checkpoint:
    """Pull the model and check its configuration. Raises `StartFailed`."""

    def on_pull(reference: str) -> None:
        log.info("pulling the model; /ready reports the progress", model=reference)

    try:
        checkpoint = read_readable_checkpoint(
            resolve_model(settings.model, on_pull, progress=progress)
        )
    except Stopped:
        log.info("stopped while pulling the model; the next start resumes it")
        raise
    except (StoreError, CheckpointError, OSError) as error:
        raise StartFailed(str(error)) from None
    for _, problem in find_model_problems(settings, checkpoint):
        raise StartFailed(problem)
    return checkpoint
