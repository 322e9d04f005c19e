"""Takes over the keys file whenever it changes, or on SIGHUP."""

import asyncio
import difflib
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from server.api.rate_limits.limiter import RateLimiter
from server.keys.key import ALL_MODELS, ApiKey
from server.keys.key_ring import KeyRing
from server.keys.watcher import KeysFileWatcher
from server.telemetry.key_metrics import KeyMetrics
from server.telemetry.logs import get_logger

log = get_logger(__name__)


class KeyReload:
    """Replaces the keys that are valid, and what is kept about them."""

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
        self._metrics.add_keys(keys.keys)

    def take_over(self, keys: Sequence[ApiKey]) -> None:
        """Replace the file's keys. Requests in flight go on, also those of keys that are gone."""
        self._keys.replace(keys)
        self._metrics.add_keys(self._keys.keys)
        self._limiter.forget_all_but(self._keys.keys)
        for key in keys:
            for name in self._find_unknown_models(key):
                nearest = difflib.get_close_matches(name, self._model_names, 1)
                log.warning(
                    "a key names a model that is not served",
                    key=key.name,
                    model=name,
                    did_you_mean=nearest[0] if nearest else None,
                )

    @asynccontextmanager
    async def watch(self, path: Path) -> AsyncIterator[None]:
        """Watch the file during a block."""
        watcher = KeysFileWatcher(path, self.take_over, self._metrics.is_file_ok.set)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, watcher.reload_soon)
        task = asyncio.create_task(watcher.watch())
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _find_unknown_models(self, key: ApiKey) -> Iterator[str]:
        return (name for name in key.models if name not in (ALL_MODELS, *self._model_names))
