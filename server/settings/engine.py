"""Engine: dtype, context, batches, memory, GPUs."""

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings

from server.settings.engine_args import CompilationConfig, EngineArgs, SpeculativeConfig
from server.settings.engine_choices import Dtype, ExecutorBackend, KvCacheDtype, Quantization


class EngineSettings(BaseSettings):
    """Engine: dtype, context, batches, memory, GPUs."""

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
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None,
        description="share of GPU memory for the engine; default: what the vision tower leaves, at"
        " most 0.92",
    )
    engine_stall_timeout_s: PositiveFloat = Field(
        120.0,
        description="time without an engine step, while sequences run, before the server fails,"
        " in seconds",
    )
    cpu_kv_cache_gib: PositiveInt | None = Field(
        None,
        description="KV cache of the engine on a CPU, in GiB; default: 2, with less than 12 GiB of"
        " memory 1",
    )
    dtype: Dtype = Field(
        "auto", description="dtype of weights and activations; auto: the checkpoint's"
    )
    quantization: Quantization | None = Field(
        None,
        description="how the language model's weights are quantised, or are to be while they load;"
        " default: what the checkpoint says",
    )
    kv_cache_dtype: KvCacheDtype = Field(
        "auto", description="dtype of the KV cache; auto: that of the activations"
    )
    enable_prefix_caching: bool = Field(
        True, description="keep the KV cache of prompts for others that begin in the same way"
    )
    kv_offloading_gib: PositiveFloat | None = Field(
        None,
        description="memory of the machine for KV cache that the GPU has no room for, in GiB, of"
        " all GPUs together; default: none",
    )
    tensor_parallel_size: PositiveInt = Field(
        1, description="GPUs that share the language model; on a CPU processes"
    )
    distributed_executor_backend: ExecutorBackend | None = Field(
        None,
        description="what starts the processes of several GPUs: mp on this machine, or ray;"
        " default: mp",
    )
    speculative_config: SpeculativeConfig = Field(
        None,
        description="vLLM's options of speculative decoding, as a JSON object; default: none",
    )
    compilation_config: CompilationConfig = Field(
        None, description="vLLM's options of compilation, as a JSON object; default: vLLM's own"
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        0, description="seed of the engine, for requests that have none"
    )
    engine_args: EngineArgs = Field(
        {},
        description="a last resort: more of vLLM's engine arguments, as a JSON object such as"
        ' {"async_scheduling": false}',
    )
