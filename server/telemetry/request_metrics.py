"""The metrics that each request writes, for one endpoint and model."""

from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter, Histogram

REQUEST_LABELS: Final = ("endpoint", "model")
# Stands for any path or model that clients make up, so that labels do not multiply.
OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class RequestMetrics:
    """The metrics of requests to one endpoint for one model, without the labels of both."""

    endpoint: str
    model: str
    requests: Counter
    prompt_tokens: Counter
    image_tokens: Counter
    video_tokens: Counter
    generation_tokens: Counter
    time_to_first_token: Histogram
    inter_token_latency: Histogram
    e2e_latency: Histogram

    def count(self, outcome: str) -> None:
        """Count a request by its outcome."""
        self.requests.labels(outcome, self.endpoint, self.model).inc()
