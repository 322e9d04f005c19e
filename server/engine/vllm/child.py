"""Prepares each of the engine's processes before it loads anything."""

import multiprocessing

from server.engine.vllm.failure_report import report_start_failures
from server.process.standard_streams import forgive_full_outputs
from server.telemetry.child_logs import configure_child_logs, get_child_level
from server.workers.parent_death import end_with_parent


def prepare_child() -> None:
    """Tie this process to the server: its end, output, logs and start errors.

    vLLM calls this in each of its processes (entry point `vllm.general_plugins`). It does nothing
    in processes that multiprocessing did not start.
    """
    if multiprocessing.parent_process() is None:
        return
    end_with_parent()
    forgive_full_outputs()
    configure_child_logs()
    report_start_failures(is_silent=get_child_level() != "debug")
