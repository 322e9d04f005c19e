"""Computed tables: the capacity of a replica by model and GPU, and a plan for a fleet."""

from typing import Final

from benchmarks.fleet.arithmetic import compute_batch
from benchmarks.fleet.hardware import GPUS, LLAVA_15_7B, MODELS
from benchmarks.fleet.part import Part, Record, Table
from benchmarks.fleet.roofline import ANSWER_TOKENS, GIB, Replica
from benchmarks.fleet.simulation import Setup

GROUPS: Final = (1, 2, 4)  # GPUs of a replica
# The smallest KV cache for a useful server.
MIN_BATCH: Final = 4
H100: Final = next(gpu for gpu in GPUS if gpu.name == "H100")
FLEETS: Final = {"a GPU": 1, "a node": 8, "a cell": 64, "1,000 GPUs": 1000, "4,096 GPUs": 4096}
BODY_BYTES: Final = 500e3 * 4 / 3  # assumed: a photograph in base64
EVENT_BYTES: Final = 250  # of a streamed token, about
MB: Final = 1e6


def build_sizes(base: Setup) -> Part:
    """Compute all tables; nothing is simulated."""
    replicas = [Replica(model, gpu, gpus) for model in MODELS for gpu in GPUS for gpus in GROUPS]
    sized = [_describe(each) for each in replicas if _is_sensible(each)]
    plan = [_plan(base, name, gpus) for name, gpus in FLEETS.items()]
    tables = (
        Table("Computed: a replica by model and GPU", sized),
        Table("Computed: fleets of LLaVA-1.5-7B on H100s at the planned load", plan),
    )
    return Part("sizes", tables)


def _is_sensible(replica: Replica) -> bool:
    """Whether the model fits, and would not fit half as many GPUs with room to spare."""
    half = Replica(replica.model, replica.gpu, replica.gpus // 2)
    return replica.batch >= MIN_BATCH and (replica.gpus == 1 or half.batch < 4 * MIN_BATCH)


def _describe(replica: Replica) -> Record:
    return {
        "model": replica.model.name,
        "GPUs": f"{replica.gpus} x {replica.gpu.name}",
        "weights, GiB": replica.model.weights / GIB,
        "KV tokens": replica.kv_cache_tokens,
        "at once": replica.batch,
        "encode, ms": replica.encode_s * 1000,
        "prefill, ms": replica.prefill_s * 1000,
        "tokens/s, one stream": 1 / replica.compute_step_s(1),
        "tokens/s, full batch": 1 / replica.compute_step_s(replica.batch),
        "requests/s at most": replica.max_rate,
        "planned": replica.planned_rate,
    }


def _plan(base: Setup, name: str, gpus: int) -> Record:
    replica = Replica(LLAVA_15_7B, H100)
    rate = gpus * replica.planned_rate
    return {
        "fleet": name,
        "GPUs": gpus,
        "requests/s": rate,
        "bodies in, MB/s": rate * BODY_BYTES / MB,
        "events/s": rate * ANSWER_TOKENS,
        "events out, MB/s": rate * ANSWER_TOKENS * EVENT_BYTES / MB,
        "running at once": gpus * compute_batch(base.parameters, replica.planned_rate),
        "images cached": gpus * base.parameters.image_cache,
    }
