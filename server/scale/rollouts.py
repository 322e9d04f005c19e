"""Rolling updates of the replicas, one after the other."""

from collections.abc import Callable

from server.start.serving import StartFailed
from server.telemetry.logs import get_logger

log = get_logger(__name__)


class Rollouts:
    """Deploys a new generation of replicas for each request, after the previous deployment.

    If none of its replicas starts, the last generation that did is deployed again: otherwise Ray
    would no longer replace replicas that end.
    """

    def __init__(self, deploy: Callable[[int], None]) -> None:
        """`deploy` begins to deploy a generation; `finish` must be called at its end."""
        self._deploy = deploy
        self._running = 0  # the generation that has started
        self._latest = 0
        self._deploying: int | None = None
        self._is_requested = False

    def request(self) -> None:
        """Replace the replicas, now or after the current update."""
        self._is_requested = True
        self._begin_requested()

    def finish(self, error: StartFailed | None) -> None:
        """Record the outcome of the current deployment."""
        deployed, self._deploying = self._deploying, None
        if error is not None and deployed != self._running:
            log.error("no new replica started: the old ones stay", reason=str(error))
            self._begin(self._running)
            return
        if error is not None:
            log.error("the old replicas could not be deployed again", reason=str(error))
        elif deployed is not None and deployed != self._running:
            log.info("replicas replaced")
            self._running = deployed
        self._begin_requested()

    def _begin_requested(self) -> None:
        if self._is_requested and self._deploying is None:
            self._is_requested = False
            self._latest += 1
            log.info("replacing the replicas", generation=self._latest)
            self._begin(self._latest)

    def _begin(self, generation: int) -> None:
        self._deploying = generation
        self._deploy(generation)
