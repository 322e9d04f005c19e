"""multiprocessing's resource tracker: it removes the semaphores and memory that processes leave."""

import os
from multiprocessing import resource_tracker
from typing import Final

WARNINGS: Final = "PYTHONWARNINGS"
# It warns of what it removes, on raw lines. That is what a killed engine leaves, and no leak.
SILENCE: Final = "ignore:resource_tracker:UserWarning"


def start_resource_tracker() -> None:
    """Start the process, if it does not run, without its warnings."""
    given = os.environ.get(WARNINGS)
    os.environ[WARNINGS] = f"{given},{SILENCE}" if given else SILENCE
    try:
        resource_tracker.ensure_running()
    finally:
        del os.environ[WARNINGS]
        if given is not None:
            os.environ[WARNINGS] = given
