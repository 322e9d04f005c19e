"""The running server's objects for routes; the composition root sets them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from server.api.admission.admission import Admission
from server.api.auth import Authenticator
from server.api.body import BodyBudget
from server.api.body_parser import BodyParser
from server.api.early_returns import EarlyReturns
from server.api.edge.limits import ConnectionTable
from server.api.event_stream import OutputBudget
from server.api.limits import ApiLimits
from server.api.shared_render import SharedRender
from server.errors import NotReady
from server.lifecycle import Lifecycle
from server.pipeline import Pipeline
from server.protocol.policy import STRICT, RequestPolicy
from server.telemetry.metrics import Metrics
from server.telemetry.refusal_log import RefusalLog
from server.telemetry.refusals import RequestRefusals
from server.telemetry.tracing import Tracing
from server.telemetry.usage import Usage
from server.telemetry.usage_log import UsageLog


@dataclass(slots=True)
class Runtime:
    """The parts of one server.

    `pipeline` is set once the model is loaded. `examples` is the folder of the checkpoint's own
    pictures, which may not exist. `aliases` are other names of the model.
    """

    model_name: str
    adapters: Sequence[str]
    max_model_len: int
    created: int
    lifecycle: Lifecycle
    connections: ConnectionTable
    admission: Admission
    authenticator: Authenticator
    metrics: Metrics
    limits: ApiLimits
    body_budget: BodyBudget
    output_budget: OutputBudget
    parser: BodyParser
    metrics_text: SharedRender
    refusal_log: RefusalLog
    refusals: RequestRefusals
    tracing: Tracing | None = None
    pipeline: Pipeline | None = None
    examples: Path | None = None
    takes_video: bool = False
    aliases: Sequence[str] = ()
    policy: RequestPolicy = STRICT
    usage_log: UsageLog | None = None
    early_returns: EarlyReturns = field(default_factory=EarlyReturns)

    @property
    def model_names(self) -> Sequence[str]:
        """The names that requests may use: of the model and of its adapters."""
        return tuple(dict.fromkeys((self.model_name, *self.aliases, *self.adapters)))

    def report_usage(self, usage: Usage) -> None:
        """Count a request's usage, and write it to the usage log."""
        self.metrics.keys.add_usage(usage)
        if self.usage_log is not None:
            self.usage_log.add(usage)

    def require_pipeline(self) -> Pipeline:
        """Return the pipeline. Raises `NotReady` while the model loads."""
        if self.pipeline is None:
            raise NotReady("The model is loading.")
        return self.pipeline
