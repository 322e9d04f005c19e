"""The engine: context, batches, memory."""

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings


class EngineSettings(BaseSettings):
    """The engine: context, batches, memory."""

    max_model_len: PositiveInt | None = Field(
        None, description="context length in tokens; default: the checkpoint's"
    )
    max_num_seqs: PositiveInt = Field(256, description="sequences the engine decodes at once")
    max_num_batched_tokens: PositiveInt = Field(
        8192, description="tokens the engine computes in one step, image tokens included"
    )
    enforce_eager: bool | None = Field(
        None,
        description="do not compile the language model; default: compile it, on a CPU only if"
        " there are a C++ compiler and Python's headers",
    )
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = Field(
        0.85, description="share of GPU memory for the engine; the tower needs some of the rest"
    )
    engine_stall_timeout_s: PositiveFloat = Field(
        120.0,
        description="time without an engine step, while sequences run, before the server fails,"
        " in seconds",
    )
    cpu_kv_cache_gib: PositiveInt = Field(2, description="KV cache of the engine on a CPU, in GiB")
