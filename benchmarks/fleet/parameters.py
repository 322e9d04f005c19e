"""The simulation's parameters, with the source of each figure; a TOML file may replace any."""

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Parameters(BaseModel):
    """One replica, its traffic and its fleet.

    The defaults are LLaVA-1.5-7B in bfloat16 on an H100 with 80 GiB. "Computed" figures come from
    `benchmarks/fleet/roofline.py` (a test compares); "assumed" ones are to be replaced by your own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The request.
    image_tokens: PositiveInt = 576  # the checkpoint's
    system_tokens: PositiveInt = 35  # the template's system prompt, about
    question_tokens: PositiveInt = 29  # assumed; 640 tokens of prompt together
    answer_min_tokens: PositiveInt = 50  # assumed; uniform up to the next, 150 on average
    answer_max_tokens: PositiveInt = 250

    # The traffic; all assumed.
    image_share: Share = 0.8  # of conversations; the others are text
    turns_mean: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 4.0  # geometric
    think_s: NotNegative = 15.0  # mean from an answer to the next question, exponential
    images: PositiveInt = 100_000  # that clients ask about
    zipf_exponent: NotNegative = 0.8  # of the images' popularity
    hot_share: Share = 0.0  # of the conversations with an image, about one and the same

    # The engine.
    kv_cache_tokens: PositiveInt = 126_870  # computed: 80 GiB x 0.95 - weights - 1.5 GiB
    prefill_s_per_token: PositiveFloat = 3.28e-5  # computed: 21 ms for 640 tokens, 41.5 % of peak
    encode_s: NotNegative = 0.0015  # computed: one view, 26 % of peak
    step_s: NotNegative = 0.0055  # computed: weights read once, and 1.5 ms that is assumed
    step_s_per_token: NotNegative = 1.565e-7  # computed: 512 KiB of KV cache read at 3.35 TB/s
    max_sequences: PositiveInt = 256  # --max-num-seqs
    max_batched_tokens: PositiveInt = 8192  # --max-num-batched-tokens

    # The server.
    permits: PositiveInt = 256  # --max-concurrent-requests on a GPU
    queue: int = Field(96, ge=0)  # 3 for 8 permits: server/api/admission
    max_queue_s: PositiveFloat = 5.0  # --max-queue-s
    image_cache: PositiveInt = 1000  # images: docs/sizing.md
    image_load_s: NotNegative = (
        0.03  # measured: 6 ms (336 px) to 94 ms (12 MP), docs/performance.md
    )

    # The fleet.
    max_load_factor: Annotated[float, Field(gt=1)] = 1.25  # HAProxy's hash-balance-factor 125
    virtual_nodes: PositiveInt = 100  # points of each replica on the ring
    detect_s: PositiveFloat = 6.0  # until a lost node is out of rotation: 3 checks of 2 s
    connect_timeout_s: PositiveFloat = 2.0  # of a router, to a node that is gone
    retry_s: PositiveFloat = 1.0  # time after which a client asks once more
    start_s: PositiveFloat = 120.0  # assumed: 60 s with image and weights on the node, 300 without
    kv_high: Share = 0.75  # vllm:kv_cache_usage_perc above it asks for replicas
    scale_window_s: PositiveFloat = 30.0  # time for which it must be above
    headroom: NotNegative = 0.15  # replicas more than the load needs
    surge: Annotated[float, Field(gt=0, le=1)] = 0.25  # replicas that an update replaces at a time

    @model_validator(mode="after")
    def _check_answers(self) -> Self:
        if self.answer_max_tokens < self.answer_min_tokens:
            raise ValueError("answer_max_tokens is below answer_min_tokens")
        if self.full_prompt_tokens + self.answer_max_tokens > self.kv_cache_tokens:
            raise ValueError("kv_cache_tokens does not hold one request")
        return self

    @property
    def full_prompt_tokens(self) -> int:
        """Tokens of a first question with an image."""
        return self.system_tokens + self.image_tokens + self.question_tokens

    @property
    def answer_mean_tokens(self) -> float:
        """Tokens of an answer on average."""
        return (self.answer_min_tokens + self.answer_max_tokens) / 2


def load_parameters(path: Path | None) -> Parameters:
    """Read a TOML file whose keys are fields of `Parameters`; None gives the defaults.

    Raises `ValueError` for invalid TOML, an unknown key or a value out of range, and `OSError`.
    """
    return Parameters() if path is None else Parameters(**tomllib.loads(path.read_text()))
