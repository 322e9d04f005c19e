"""Applies the keys file whenever it changes, or on SIGHUP."""

import asyncio
import difflib
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from server.api.rate_limits.limiter import RateLimiter
from server.keys.key import ALL_MODELS, ApiKey
from server.keys.key_ring import KeyRing
from server.keys.watcher import KeysFileWatcher
from server.telemetry.key_metrics import KeyMetrics
from server.telemetry.logs import get_logger

log = get_logger(__name__)

# Models to warn about, those named by most keys; a file may name any number.
MAX_WARNINGS: Final = 20
# Names of added, changed or removed keys in a log line.
MAX_REPORTED_NAMES: Final = 20


class KeyReload:
    """Replaces the valid keys and the state kept about them."""

    def __init__(
        self,
        keys: KeyRing,
        limiter: RateLimiter,
        metrics: KeyMetrics,
        model_names: Sequence[str],
    ) -> None:
        self._keys = keys
        self._limiter = limiter
        self._metrics = metrics
        self._model_names = model_names
        self._metrics.set_keys(keys.keys)

    def apply(self, keys: Sequence[ApiKey]) -> None:
        """Replace the file's keys. Requests in flight go on, even those of removed keys."""
        old = self._keys.keys
        self._keys.replace(keys)
        running = self._limiter.forget_all_but(self._keys.keys)
        self._metrics.set_keys(self._keys.keys.keys() | running)
        _tell_changes(old, self._keys.keys)
        self._warn_of_models(keys)

    @asynccontextmanager
    async def watch(self, path: Path) -> AsyncIterator[None]:
        """Watch the file during a block."""
        watcher = KeysFileWatcher(path, self.apply, self._metrics.is_file_ok.set)
        with _reload_on_hangup(watcher):
            task = asyncio.create_task(watcher.watch())
            try:
                yield
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def _warn_of_models(self, keys: Sequence[ApiKey]) -> None:
        """Warn of models that keys name and that are not served."""
        known = {ALL_MODELS, *self._model_names}
        users = Counter(name for key in keys for name in set(key.models) - known)
        for name, num_keys in users.most_common(MAX_WARNINGS):
            nearest = difflib.get_close_matches(name, self._model_names, 1)
            log.warning(
                "keys name a model that is not served",
                model=name,
                keys=num_keys,
                did_you_mean=nearest[0] if nearest else None,
            )


def _tell_changes(old: Mapping[str, ApiKey], new: Mapping[str, ApiKey]) -> None:
    """Log the names of new, changed and removed keys, since a change may be a mistake."""
    both = old.keys() & new.keys()
    changed = [name for name in both if old[name] != new[name]]
    for event, names in (
        ("keys are added", new.keys() - old.keys()),
        ("keys are changed", changed),
    ):
        if names:
            log.info(event, **_list_names(names))
    if gone := old.keys() - new.keys():
        log.warning("keys were removed from the keys file: they are refused", **_list_names(gone))


def _list_names(names: Collection[str]) -> dict[str, Any]:
    reported = sorted(names)[:MAX_REPORTED_NAMES]
    return {"names": reported, "more": len(names) - len(reported)}


@contextmanager
def _reload_on_hangup(watcher: KeysFileWatcher) -> Iterator[None]:
    """Make SIGHUP read the file at once, for a block; only the main thread gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    former = signal.getsignal(signal.SIGHUP)
    loop.add_signal_handler(signal.SIGHUP, watcher.reload_soon)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, former)
