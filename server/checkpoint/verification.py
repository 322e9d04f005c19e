"""Checks a model's files against its manifest before any of them is loaded."""

import time
from pathlib import Path

from model_store.errors import InvalidManifest, NoManifest
from model_store.verification import verify
from server.checkpoint.config import CheckpointError
from server.telemetry.logs import get_logger

log = get_logger(__name__)


def verify_files(folder: Path) -> None:
    """Hash all files of a model. Raises `CheckpointError`, which names each wrong one.

    A model without a manifest, such as a user's own folder, is accepted with a line in the log.
    """
    started = time.monotonic()
    try:
        faults = verify(folder)
    except NoManifest:
        log.info("model not verified: it has no manifest", model=str(folder))
        return
    except (InvalidManifest, OSError) as error:
        raise CheckpointError(f"cannot verify the model: {error}") from None
    if faults:
        raise CheckpointError(
            f"{folder} is not as its manifest says: {'; '.join(map(str, faults))}"
            " (--no-verify-model loads it all the same)"
        )
    log.info("model verified", model=str(folder), seconds=round(time.monotonic() - started, 3))
