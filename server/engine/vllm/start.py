"""The start of vLLM's engine process, and on a CPU its cores."""

import os
from collections.abc import Sequence
from typing import Final

from vllm.config import VllmConfig
from vllm.platforms import current_platform
from vllm.usage.usage_lib import UsageContext
from vllm.utils.cpu_resource_utils import get_visible_memory_node
from vllm.utils.ompmultiprocessing import OMPProcessManager
from vllm.v1.engine.async_llm import AsyncLLM

from server.engine.vllm.helper_threads import free_helper_threads, list_children
from server.engine.vllm.watchdog import StepCounter

# vLLM's variable for the cores of each of its processes: lists separated by bars.
CORES_VARIABLE: Final = "VLLM_CPU_OMP_THREADS_BIND"


def start_llm(config: VllmConfig, step_counter: StepCounter) -> AsyncLLM:
    """Start the engine process and load the weights. Blocks for many seconds.

    `step_counter` is an additional statistics logger of vLLM. On a CPU the engine's OpenMP threads
    are bound as vLLM's own worker binds them.
    """
    processes = config.parallel_config.world_size
    if processes > 1:
        if current_platform.is_cpu():
            bind_processes(processes)
        return _start(config, step_counter)
    with OMPProcessManager(config).configure_omp_envs(rank=0, local_rank=0):
        return _start(config, step_counter)


def _start(config: VllmConfig, step_counter: StepCounter) -> AsyncLLM:
    llm = AsyncLLM.from_vllm_config(
        config,
        usage_context=UsageContext.ENGINE_CONTEXT,
        stat_loggers=[lambda _config, _engine_index: step_counter],
    )
    if current_platform.is_cpu():
        for process in llm.engine_core.resources.engine_manager.processes:
            for pid in (process.pid, *list_children(process.pid)):
                free_helper_threads(pid)
    return llm


def bind_processes(processes: int) -> None:
    """Assign cores to each process unless the operator has: vLLM wants a NUMA node for each."""
    if CORES_VARIABLE in os.environ or len(get_visible_memory_node()) >= processes:
        return
    shares = share_cores(sorted(os.sched_getaffinity(0)), processes)
    os.environ[CORES_VARIABLE] = "|".join(",".join(map(str, share)) for share in shares)


def share_cores(cores: Sequence[int], processes: int) -> list[Sequence[int]]:
    """Return equal shares of the cores, in order, with one left to the server where possible."""
    size = max(1, (len(cores) - 1) // processes)
    return [cores[size * number : size * (number + 1)] for number in range(processes)]
