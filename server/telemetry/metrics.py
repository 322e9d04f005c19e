"""The server's Prometheus metrics; names follow vLLM's under our prefix."""

from collections.abc import Collection
from typing import Final, get_args

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from server.telemetry.key_metrics import KeyMetrics
from server.telemetry.replica_label import LabelledRegistry
from server.telemetry.request_metrics import OTHER, REQUEST_LABELS, RequestMetrics
from server.telemetry.stages import Stage, TimedStage, record_stage
from server.telemetry.video_metrics import VideoMetrics

LATENCY_BUCKETS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0),
)
BYTES_BUCKETS: Final = tuple(4**power for power in range(5, 15))  # 1 KiB to 256 MiB
PIXELS_BUCKETS: Final = tuple(10**power for power in range(2, 9))
BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """All metrics of one server, in their own registry."""

    def __init__(
        self,
        endpoints: Collection[str] = (),
        models: Collection[str] = (),
        replica: str | None = None,
    ) -> None:
        """Only these paths and names are label values; any other becomes `other`.

        With `replica`, all samples are labelled with it.
        """
        self.registry = CollectorRegistry()
        self._replica = replica
        self._endpoints = frozenset(endpoints)
        self._models = frozenset(models)
        self._by_request: dict[tuple[str, str], RequestMetrics] = {}
        self.build_info = self._gauge(
            "llava:build_info", "Build and model; always 1.", "version", "engine", "model", "device"
        )
        self.ready = self._gauge("llava:ready", "Whether the server takes requests: 1 or 0.")
        self.draining = self._gauge(
            "llava:draining", "Whether the server is shutting down while requests finish: 1 or 0."
        )
        self.requests = self._counter(
            "llava:requests",
            "Requests that cost work, by outcome: ok, cancelled, or an error code.",
            "outcome",
            *REQUEST_LABELS,
        )
        self.running = self._gauge("llava:num_requests_running", "Requests that hold a permit.")
        self.queued = self._gauge("llava:num_requests_queued", "Requests that wait for a permit.")
        self.waiting = self._gauge(
            "llava:num_requests_waiting", "Generation requests without a first token yet."
        )
        self.connections = self._gauge("llava:connections", "Open connections.")
        self.connections_refused = self._counter(
            "llava:connections_refused",
            "Connections that were refused or cut off at the edge, by reason.",
            "reason",
        )
        self.buffered_body_bytes = self._gauge(
            "llava:buffered_body_bytes", "Memory held by request bodies, in bytes."
        )
        self.prompt_tokens = self._counter(
            "llava:prompt_tokens", "Prompt tokens, image and video ones included.", *REQUEST_LABELS
        )
        self.image_tokens = self._counter(
            "llava:image_tokens", "Prompt tokens that stand for images.", *REQUEST_LABELS
        )
        self.video_tokens = self._counter(
            "llava:video_tokens", "Prompt tokens that stand for videos.", *REQUEST_LABELS
        )
        self.generation_tokens = self._counter(
            "llava:generation_tokens", "Tokens generated.", *REQUEST_LABELS
        )
        self.time_to_first_token = self._request_histogram(
            "llava:time_to_first_token_seconds", "From the request's arrival to its first token."
        )
        self.inter_token_latency = self._request_histogram(
            "llava:inter_token_latency_seconds", "Between deltas of a stream, per token."
        )
        self.e2e_latency = self._request_histogram(
            "llava:e2e_request_latency_seconds", "From the request's arrival to its end."
        )
        self.stages = Histogram(
            "llava:stage_seconds",
            f"Time a request or image spends in a stage: {', '.join(get_args(Stage))}.",
            ("stage",),
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self._stages: dict[Stage, Histogram] = {
            stage: self.stages.labels(stage) for stage in get_args(Stage)
        }
        self.decodes_waiting = self._gauge(
            "llava:num_decodes_waiting", "Images waiting for a decode worker."
        )
        self.decodes_running = self._gauge(
            "llava:num_decodes_running", "Decode workers working on an image."
        )
        self.views_waiting = self._gauge(
            "llava:num_views_waiting", "Views waiting for the vision tower."
        )
        self.vision_batch_size = self._histogram(
            "llava:vision_batch_size", "Views per batch of the vision tower.", BATCH_BUCKETS
        )
        self.image_cache_queries = self._counter(
            "llava:image_cache_queries", "Images looked up in the embedding cache."
        )
        self.image_cache_hits = self._counter(
            "llava:image_cache_hits", "Images whose embedding was in the cache."
        )
        self.image_cache_misses = self._counter(
            "llava:image_cache_misses", "Images whose embedding had to be computed or awaited."
        )
        self.image_cache_evictions = self._counter(
            "llava:image_cache_evictions", "Embeddings dropped from the cache to make room."
        )
        self.image_cache_bytes = self._gauge(
            "llava:image_cache_bytes", "Bytes of cached image embeddings."
        )
        self.image_bytes = self._histogram(
            "llava:image_bytes", "Encoded size of each image, in bytes.", BYTES_BUCKETS
        )
        self.image_pixels = self._histogram(
            "llava:image_pixels", "Pixels of each decoded image.", PIXELS_BUCKETS
        )
        self.images_decoded = self._counter(
            "llava:images_decoded", "Images decoded, by format.", "format"
        )
        self.image_refusals = self._counter(
            "llava:image_refusals", "Images refused, by error code.", "code"
        )
        self.videos = VideoMetrics(self.registry)
        self.decode_workers = self._gauge("llava:decode_workers", "Live decode workers.")
        self.decode_workers_replaced = self._counter(
            "llava:decode_workers_replaced", "Decode workers that died or hung and were replaced."
        )
        self.keys = KeyMetrics(self.registry)
        self.usage_lines_dropped = self._counter(
            "llava:usage_lines_dropped", "Lines of the usage log that could not be written."
        )
        self.gpu_memory_used = self._gauge(
            "llava:gpu_memory_used_bytes",
            "GPU memory in use, by this server or others.",
            "device",
        )
        self.gpu_memory_total = self._gauge(
            "llava:gpu_memory_total_bytes", "Total GPU memory.", "device"
        )

    def stage(self, name: Stage) -> TimedStage:
        """Time a block as a stage of the current request."""
        return TimedStage(name, self._stages[name])

    def record_stage(self, name: Stage, start: float, end: float) -> None:
        """Record a stage that was measured elsewhere, from readings of `time.perf_counter`."""
        record_stage(name, self._stages[name], start, end)

    def of_request(self, endpoint: str | None, model: str | None) -> RequestMetrics:
        """Return the metrics of requests to an endpoint for a model."""
        labels = _bound(endpoint, self._endpoints), _bound(model, self._models)
        found = self._by_request.get(labels)
        if found is None:
            found = self._by_request[labels] = self._label(*labels)
        return found

    def exposition(self) -> bytes:
        """Return our metrics and, from the default registry, the engine's, as text."""
        return b"".join(map(self._write, (self.registry, REGISTRY)))

    def _write(self, registry: CollectorRegistry) -> bytes:
        if self._replica is None:
            return generate_latest(registry)
        return generate_latest(LabelledRegistry(registry, self._replica))

    def _label(self, endpoint: str, model: str) -> RequestMetrics:
        return RequestMetrics(
            endpoint,
            model,
            self.requests,
            self.prompt_tokens.labels(endpoint, model),
            self.image_tokens.labels(endpoint, model),
            self.video_tokens.labels(endpoint, model),
            self.generation_tokens.labels(endpoint, model),
            self.time_to_first_token.labels(endpoint, model),
            self.inter_token_latency.labels(endpoint, model),
            self.e2e_latency.labels(endpoint, model),
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...] = LATENCY_BUCKETS
    ) -> Histogram:
        return Histogram(name, text, buckets=buckets, registry=self.registry)

    def _request_histogram(self, name: str, text: str) -> Histogram:
        return Histogram(
            name, text, REQUEST_LABELS, buckets=LATENCY_BUCKETS, registry=self.registry
        )


def _bound(value: str | None, known: Collection[str]) -> str:
    return value if value is not None and value in known else OTHER
