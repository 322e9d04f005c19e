"""Prints the engine's configuration on a machine whose GPUs are H100s, as far as NVML tells.

The CPU's build of vLLM lacks the kernels but none of what makes the configuration. NVML, the
kernels' library and PyTorch's view of the devices are stand-ins.
"""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import torch
import torch._inductor.utils  # looks at what PyTorch was built for, so before the stand-ins

MEMORY_BYTES: Final = int(79.2 * 1024**3)
CAPABILITY: Final = (9, 0)
KERNELS: Final = (
    "vllm._C_stable_libtorch",
    "vllm._moe_C_stable_libtorch",
    "vllm.vllm_flash_attn._vllm_fa2_C",
    "vllm.vllm_flash_attn._vllm_fa3_C",
)
NAME: Final = "NVIDIA H100 80GB HBM3"


def pretend(num_gpus: int) -> None:
    """Put the stand-ins in place, before vLLM is imported."""
    _pretend_to_pytorch(num_gpus)
    for name in KERNELS:
        sys.modules[name] = ModuleType(name)
    import vllm.third_party.pynvml as nvml

    answers: dict[str, Any] = {
        "nvmlInit": None,
        "nvmlShutdown": None,
        "nvmlDeviceGetCount": num_gpus,
        "nvmlDeviceGetHandleByIndex": 0,
        "nvmlDeviceGetHandleByUUID": 0,
        "nvmlDeviceGetCudaComputeCapability": CAPABILITY,
        "nvmlDeviceGetName": NAME,
        "nvmlDeviceGetUUID": "GPU-0",
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=MEMORY_BYTES),
    }
    for name, answer in answers.items():
        setattr(nvml, name, lambda *_, answer=answer: answer)
    for format_ in ("fp4", "fp8", "block_fp8"):
        setattr(torch.ops._C, f"cutlass_scaled_mm_supports_{format_}", lambda _: False)
    import vllm.platforms

    # The name of the CPU's build is the only mark of it.
    vllm.platforms.vllm_version_matches_substr = lambda _: False


def _pretend_to_pytorch(num_gpus: int) -> None:
    properties: Any = SimpleNamespace(
        total_memory=MEMORY_BYTES, major=9, minor=0, name=NAME, multi_processor_count=132
    )
    torch.cuda.is_available = lambda: True
    torch.cuda.device_count = lambda: num_gpus
    torch.cuda._is_compiled = lambda: True
    torch.cuda._device_count_nvml = lambda: num_gpus
    torch.cuda.get_device_properties = lambda *_: properties
    torch.cuda.get_device_capability = lambda *_: CAPABILITY
    torch.version.cuda = "13.0"


def describe(config: Any) -> dict[str, Any]:
    """Return what matters of vLLM's configuration."""
    return {
        "device": str(config.device_config.device_type),
        "gpu_memory_utilization": config.cache_config.gpu_memory_utilization,
        "block_size": config.cache_config.block_size,
        "executor": str(config.parallel_config.distributed_executor_backend),
        "tensor_parallel_size": config.parallel_config.tensor_parallel_size,
        "dtype": str(config.model_config.dtype),
        "graphs": config.compilation_config.cudagraph_mode.name,
        "max_model_len": config.model_config.max_model_len,
    }


def main(model: str, num_gpus: str) -> None:
    """Print the configuration for one GPU and for all, a line of JSON for each."""
    pretend(int(num_gpus))
    from server.checkpoint.config import read_checkpoint
    from server.engine_loading import configure_engine
    from server.settings import Settings

    checkpoint = read_checkpoint(Path(model))
    for size in (1, int(num_gpus)):
        settings = Settings(accelerator="cuda", tensor_parallel_size=size)
        start: Any = configure_engine(settings, checkpoint, "m", torch.device("cuda", 0))
        print(json.dumps(describe(start.args[1])), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
