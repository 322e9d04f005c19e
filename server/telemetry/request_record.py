"""The record of one request: its figures and outcome, for metrics and one log line."""

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from types import TracebackType
from typing import Final, Self

from server.errors import ApiError, TooManyRequests
from server.telemetry.caller import Caller
from server.telemetry.logs import get_logger
from server.telemetry.metrics import Metrics
from server.telemetry.outcomes import (
    CANCELLED,
    CLIENT_CLOSED_REQUEST,
    OK,
    OK_STATUS,
    name_outcome,
)
from server.telemetry.refusal_log import RefusalLog
from server.telemetry.request_metrics import RequestMetrics
from server.telemetry.timeline import annotate, get_trace_id
from server.telemetry.usage import Usage

log = get_logger(__name__)

# OpenTelemetry's names of operations. Endpoints that generate nothing have none.
OPERATIONS: Final[dict[str | None, str]] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "text_completion",
    "/v1/messages": "chat",
    "/v1/responses": "chat",
}
PROVIDER: Final = "llava-server"
# Characters of strings that clients made up.
MAX_LOGGED_CHARS: Final = 128


class RequestRecord:
    """Collects a request's figures while it runs; leaving the context reports them.

    The outcome is `cancelled` until `mark_complete` or `mark_failed` sets it.
    """

    def __init__(
        self,
        request_id: str,
        metrics: Metrics,
        caller: Caller,
        *,
        http_request_id: str | None = None,
        endpoint: str | None = None,
        trace_id: str | None = None,
        refusals: RefusalLog | None = None,
        on_end: Callable[[Usage], None] | None = None,
    ) -> None:
        """`refusals` replaces the log line if the server or the key had no capacity left.

        `on_end` is called with the request's usage. `trace_id` is the client's, for requests that
        are not traced here.
        """
        self.request_id = request_id
        self.caller = caller
        self.trace_id = get_trace_id() or trace_id
        self.model: str | None = None
        self.stream = False
        self.images = self.videos = 0
        self.notes: list[str] = []  # about images and videos, for the client
        self.first_image_key: str | None = None  # the content key of its first image or video
        self.ignored_parameters: Sequence[str] = ()
        self.prompt_tokens = 0
        self.image_tokens = self.video_tokens = 0
        self.cached_tokens = 0
        self.completion_tokens = 0
        self._metrics = metrics
        self.http_request_id = http_request_id
        self._endpoint = endpoint
        self._refusals = refusals
        self._on_end = on_end
        self._started = self._submitted = time.perf_counter()
        self._first_token_s: float | None = None
        self._last_output: dict[int, float] = {}  # for each answer
        self._outcome = CANCELLED
        self._is_refused = False
        self._is_waiting = False
        self._status: int | None = None

    def record_request(
        self, model: str, num_images: int, num_videos: int = 0, *, stream: bool
    ) -> None:
        """Record what is requested; from now on the request waits for its first token."""
        self.model, self.stream = model, stream
        self.images, self.videos = num_images, num_videos
        self._is_waiting = True
        self._metrics.waiting.inc()

    def record_submission(
        self, prompt_tokens: int, image_tokens: int = 0, video_tokens: int = 0
    ) -> None:
        """Record the prompt on its submission to the engine."""
        self._submitted = time.perf_counter()
        self.prompt_tokens = prompt_tokens
        self.image_tokens, self.video_tokens = image_tokens, video_tokens
        self.caller.meter.mark_submitted()

    def record_first_token(self, engine_s: float) -> None:
        """Record a prompt's first token, `engine_s` seconds after its submission."""
        self._metrics.record_stage("first_token", self._submitted, self._submitted + engine_s)
        if self._first_token_s is not None:
            return
        self._first_token_s = self._submitted - self._started + engine_s
        self._end_waiting()

    def record_tokens(self, num_tokens: int, answer: int = 0) -> None:
        """Record the tokens of one output, and if the answer is streamed their latency."""
        now = time.perf_counter()
        last = self._last_output.get(answer)
        if self.stream and last is not None and num_tokens:
            per_token = (now - last) / num_tokens
            for _ in range(num_tokens):
                self._labelled.inter_token_latency.observe(per_token)
        self._last_output[answer] = now
        self.completion_tokens += num_tokens
        self.caller.meter.charge_output_tokens(num_tokens)

    def mark_streaming(self) -> None:
        """Mark that the response begins: its status is 200 whatever follows."""
        self._status = OK_STATUS

    def mark_complete(self) -> None:
        """Mark the request as completely answered."""
        self._outcome = OK

    def mark_failed(self, error: ApiError) -> None:
        """Mark the request as failed with an error that the client gets."""
        self._outcome = error.outcome
        self._is_refused = isinstance(error, TooManyRequests)
        self._status = self._status or error.status

    def __enter__(self) -> Self:
        """Start the record."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Report the figures."""
        if isinstance(error, ApiError):
            self.mark_failed(error)
        elif error is not None:
            self._outcome = name_outcome(error)
            if self._outcome != CANCELLED:
                self._status = self._status or ApiError.status
        self._end_waiting()
        # Before the response begins, since its headers state the remaining limits.
        self.caller.meter.end_generation()
        self._report(time.perf_counter() - self._started)

    @property
    def _final_status(self) -> int:
        return self._status or (OK_STATUS if self._outcome == OK else CLIENT_CLOSED_REQUEST)

    def _build_usage(self, elapsed_s: float) -> Usage:
        return Usage(
            id=self.request_id,
            key=self.caller.key_name,
            model=self.model and self.model[:MAX_LOGGED_CHARS],
            endpoint=self._endpoint,
            status=self._final_status,
            outcome=self._outcome,
            images=self.images,
            image_tokens=self.image_tokens,
            videos=self.videos,
            video_tokens=self.video_tokens,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            output_tokens=self.completion_tokens,
            seconds=round(elapsed_s, 4),
        )

    def _end_waiting(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            self._metrics.waiting.dec()

    def _report(self, elapsed_s: float) -> None:
        metrics = self._labelled
        metrics.count(self._outcome)
        metrics.prompt_tokens.inc(self.prompt_tokens)
        metrics.image_tokens.inc(self.image_tokens)
        metrics.video_tokens.inc(self.video_tokens)
        metrics.generation_tokens.inc(self.completion_tokens)
        if self._on_end is not None:
            self._on_end(self._build_usage(elapsed_s))
        if self._first_token_s is not None:
            if self._outcome == OK:
                metrics.e2e_latency.observe(elapsed_s)
            metrics.time_to_first_token.observe(self._first_token_s)
            self._metrics.record_stage(
                "generation", self._started + self._first_token_s, time.perf_counter()
            )
        self._annotate_trace()
        if self._outcome == TooManyRequests.code:
            self._metrics.keys.add_overload(self.caller.key_name)
        if self._is_refused and self._refusals is not None:
            self._refusals.add(self._outcome, self.caller.address, self.caller.key)
            return
        log.info(
            "request",
            id=self.request_id,
            request_id=self.http_request_id,
            endpoint=self._endpoint,
            client=self.caller.address,
            key=self.caller.key,
            trace_id=self.trace_id,
            model=self.model and self.model[:MAX_LOGGED_CHARS],
            outcome=self._outcome,
            status=self._final_status,
            stream=self.stream,
            images=self.images,
            videos=self.videos,
            notes=self.notes or None,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            first_token_s=self._first_token_s and round(self._first_token_s, 4),
            elapsed_s=round(elapsed_s, 4),
        )

    @cached_property
    def _labelled(self) -> RequestMetrics:
        """The metrics with this request's labels; first read once the request is parsed."""
        return self._metrics.of_request(self._endpoint, self.model)

    def _annotate_trace(self) -> None:
        """Describe the request in its trace, by OpenTelemetry's conventions."""
        if self.trace_id is None:
            return
        for name, value in (
            ("gen_ai.operation.name", OPERATIONS.get(self._endpoint)),
            ("gen_ai.provider.name", PROVIDER),
            ("gen_ai.request.model", self.model and self.model[:MAX_LOGGED_CHARS]),
            ("gen_ai.request.stream", self.stream),
            ("gen_ai.response.id", self.request_id),
            ("gen_ai.usage.input_tokens", self.prompt_tokens),
            ("gen_ai.usage.cache_read.input_tokens", self.cached_tokens),
            ("gen_ai.usage.output_tokens", self.completion_tokens),
            ("llava.images", self.images),
            ("llava.image_tokens", self.image_tokens),
            ("llava.videos", self.videos),
            ("llava.video_tokens", self.video_tokens),
            ("llava.key", self.caller.key),
            ("llava.outcome", self._outcome),
            ("error.type", None if self._outcome == OK else self._outcome),
        ):
            if value is not None:
                annotate(name, value)
