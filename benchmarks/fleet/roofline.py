"""An upper bound of a replica's capacity, from memory, bandwidth and arithmetic.

Not measured: a real engine reaches less, and `make bench` on your own GPU shows how much.
"""

from dataclasses import dataclass
from typing import Final

from benchmarks.fleet.hardware import Gpu, Model

GIB: Final = 2**30
# Shares of the peak that large matrices and the tower's small ones reach; assumed.
PREFILL_EFFICIENCY: Final = 0.415
ENCODE_EFFICIENCY: Final = 0.26
ENCODE_FLOPS: Final = 0.382e12  # CLIP ViT-L/14 with 336 px, one view
WORK_SPACE_GIB: Final = 1.5  # docs/sizing.md
STEP_OVERHEAD_S: Final = 1.5e-3  # scheduling, sampling, kernel launches; assumed
ALL_REDUCES_PER_LAYER: Final = 2
ALL_REDUCE_LATENCY_S: Final = 2e-5  # assumed
ACTIVATION_BYTES: Final = 2
MAX_SEQUENCES: Final = 256  # --max-num-seqs
TEXT_TOKENS: Final = 64  # system prompt and question
ANSWER_TOKENS: Final = 150
# Room that a plan leaves: engines at three quarters, and 15 % more replicas than that needs.
PLANNED_SHARE: Final = 0.75 * 0.85


@dataclass(frozen=True, slots=True)
class Replica:
    """One engine on `gpus` GPUs with tensor parallelism."""

    model: Model
    gpu: Gpu
    gpus: int = 1

    @property
    def kv_cache_tokens(self) -> int:
        """Tokens that the KV cache holds; 0 or less if the weights do not fit."""
        share_gib = self.gpu.memory_gib * self.gpu.utilization - WORK_SPACE_GIB
        return int(
            (share_gib * self.gpus * GIB - self.model.weights) / self.model.kv_bytes_per_token
        )

    @property
    def prompt_tokens(self) -> int:
        """Tokens of a question about an image."""
        return self.model.image_tokens + TEXT_TOKENS

    @property
    def batch(self) -> int:
        """Concurrent requests, each with its whole answer."""
        return max(
            0, min(self.kv_cache_tokens // (self.prompt_tokens + ANSWER_TOKENS), MAX_SEQUENCES)
        )

    @property
    def encode_s(self) -> float:
        """Seconds of the tower for one image, on the first GPU."""
        return self.model.views * ENCODE_FLOPS / (self.gpu.flops * ENCODE_EFFICIENCY)

    @property
    def prefill_s(self) -> float:
        """Seconds for one prompt: two operations for each parameter and token."""
        operations = 2 * self.model.parameters * self.prompt_tokens
        computing_s = operations / (self.gpus * self.gpu.flops * PREFILL_EFFICIENCY)
        return computing_s + self._compute_exchange_s(self.prompt_tokens)

    def compute_step_s(self, batch: int) -> float:
        """Return the seconds for one token of each of `batch` sequences in mid-answer."""
        context = self.prompt_tokens + ANSWER_TOKENS / 2
        read = self.model.weights + batch * context * self.model.kv_bytes_per_token
        reading_s = read / (self.gpus * self.gpu.memory_bytes_per_s)
        return reading_s + STEP_OVERHEAD_S + self._compute_exchange_s(batch)

    @property
    def decode_s(self) -> float:
        """A request's share of decoding, in seconds, at the largest batch."""
        return ANSWER_TOKENS * self.compute_step_s(self.batch) / self.batch

    @property
    def max_rate(self) -> float:
        """Requests per second at most."""
        return 1 / (self.encode_s + self.prefill_s + self.decode_s) if self.batch else 0.0

    @property
    def planned_rate(self) -> float:
        """Requests per second to plan for."""
        return self.max_rate * PLANNED_SHARE

    def _compute_exchange_s(self, tokens: int) -> float:
        """Return the seconds for the layers' all-reduces in a ring."""
        if self.gpus == 1:
            return 0.0
        message = tokens * self.model.hidden * ACTIVATION_BYTES
        sent = 2 * (self.gpus - 1) / self.gpus * message
        number = ALL_REDUCES_PER_LAYER * self.model.layers
        return number * (sent / self.gpu.link_bytes_per_s + ALL_REDUCE_LATENCY_S)
