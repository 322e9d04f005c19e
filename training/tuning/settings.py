"""What one training run is, as its options say."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from llava_spec.image_settings import ASPECT_RATIOS, AspectRatio
from training.tuning.checks import check_options
from training.tuning.destinations import choose_work
from training.tuning.errors import OptionError
from training.tuning.options import Stage
from training.tuning.quantization import QuantizationSettings
from training.tuning.sources import Sources, find_model_folder, is_aligned, read_sources
from training.tuning.split import split_checkpoint

DEFAULT_RATIOS: dict[Stage, AspectRatio] = {"align": "square", "instruct": "pad"}
# What decides a run's weights.
RECIPE = (
    *("stage", "sources", "data", "images", "conv_mode", "learning_rate", "projector_lr"),
    *("batch_size", "epochs", "max_steps", "warmup_ratio", "weight_decay", "max_length", "lora"),
    *(
        "quantization",
        "trains_tower",
        "trains_language_model",
        "groups_by_modality",
        "bf16",
        "seed",
    ),
    *("as_released", "skips_bad_records"),
)
LORA_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """The rank, scale and dropout of adapters in every linear layer of the language model."""

    rank: int
    alpha: int
    dropout: float


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """One run. Rates and sizes are those of the paper's section 4.2 and the released scripts."""

    stage: Stage
    sources: Sources
    data: Sequence[Path]
    images: Path
    out: Path
    work: Path
    eval_data: Sequence[Path]
    conv_mode: str | None
    learning_rate: float
    projector_lr: float | None
    batch_size: int
    device_batch_size: int
    epochs: float
    max_steps: int
    warmup_ratio: float
    weight_decay: float
    max_length: int
    lora: LoraSettings | None
    quantization: QuantizationSettings | None
    merges_lora: bool
    trains_tower: bool
    trains_language_model: bool
    groups_by_modality: bool
    gradient_checkpointing: bool
    bf16: bool
    dtype: str
    seed: int
    save_steps: int
    log_steps: int
    eval_steps: int
    workers: int
    report_to: str
    deepspeed: Path | None
    resumes: bool
    as_released: bool
    skips_bad_records: bool
    checks_only: bool

    def describe(self) -> dict[str, str]:
        """Return what decides a run's weights: a resumed one must have the same."""
        return {name: str(value) for name, value in asdict(self).items() if name in RECIPE}


def build_settings(arguments: argparse.Namespace, stage: Stage) -> TrainSettings:
    """Return the run that the command line asks for. Raises `OptionError` or `SourceError`."""
    get = vars(arguments).get
    check_options(arguments)
    lora = None
    if get("lora"):
        lora = _build_lora(arguments)
    rate, projector_rate = arguments.learning_rate, get("mm_projector_lr")
    if rate is None:
        rate = 2e-4 if lora else 2e-5
    if projector_rate is None and lora:
        projector_rate = 2e-5  # that of a full stage 2, as in the released LoRA scripts
    work = choose_work(arguments)
    return TrainSettings(
        stage=stage,
        sources=_build_sources(arguments, stage, work),
        data=arguments.data,
        images=arguments.images,
        out=arguments.out,
        work=work,
        eval_data=arguments.eval_data,
        conv_mode=arguments.conv_mode or ("plain" if stage == "align" else None),
        learning_rate=rate,
        projector_lr=projector_rate,
        batch_size=arguments.batch_size,
        device_batch_size=arguments.per_device_batch_size,
        epochs=1.0 if arguments.epochs is None else arguments.epochs,
        max_steps=arguments.max_steps,
        warmup_ratio=arguments.warmup_ratio,
        weight_decay=arguments.weight_decay,
        max_length=arguments.model_max_length,
        lora=lora,
        quantization=_build_quantization(arguments),
        merges_lora=bool(get("merge_lora")),
        trains_tower=bool(get("unfreeze_vision_tower")),
        trains_language_model=stage == "instruct" and not get("freeze_language_model"),
        groups_by_modality=arguments.group_by_modality_length,
        gradient_checkpointing=arguments.gradient_checkpointing,
        bf16=arguments.bf16,
        dtype=arguments.dtype,
        seed=arguments.seed,
        save_steps=arguments.save_steps,
        log_steps=arguments.log_steps,
        eval_steps=arguments.eval_steps or 500,
        workers=arguments.workers,
        report_to=arguments.report_to,
        deepspeed=arguments.deepspeed,
        resumes=arguments.resume,
        as_released=arguments.as_released,
        skips_bad_records=arguments.skip_bad_records,
        checks_only=arguments.check_only,
    )


def _build_lora(arguments: argparse.Namespace) -> LoraSettings:
    dropout = arguments.lora_dropout
    return LoraSettings(
        rank=arguments.lora_r or 128,
        alpha=arguments.lora_alpha or 256,
        dropout=0.05 if dropout is None else dropout,
    )


def _build_quantization(arguments: argparse.Namespace) -> QuantizationSettings | None:
    get = vars(arguments).get
    if get("bits", 16) == 16:
        return None
    return QuantizationSettings(
        bits=arguments.bits,
        quant_type=arguments.quant_type or "nf4",
        double_quant=arguments.double_quant is not False,
    )


def _build_sources(arguments: argparse.Namespace, stage: Stage, work: Path) -> Sources:
    model: str | None = vars(arguments).get("model")
    if model is not None:
        folder = find_model_folder(model)
        if is_aligned(folder):
            sources = replace(read_sources(folder), image_aspect_ratio=DEFAULT_RATIOS[stage])
        else:
            sources = split_checkpoint(folder, work / "model")
    elif arguments.vision_tower is None or arguments.language_model is None:
        or_model = "" if stage == "align" else ", or --model"
        raise OptionError(f"--vision-tower and --language-model are needed{or_model}")
    else:
        sources = Sources(
            find_model_folder(arguments.vision_tower),
            find_model_folder(arguments.language_model),
            arguments.mm_projector_type or "mlp2x_gelu",
            arguments.mm_projector,
            -2 if arguments.mm_vision_select_layer is None else arguments.mm_vision_select_layer,
            DEFAULT_RATIOS[stage],
        )
    return _choose_preprocessing(sources, arguments)


def _choose_preprocessing(sources: Sources, arguments: argparse.Namespace) -> Sources:
    """Return the sources with the preprocessing that is asked for, else their own."""
    ratio: AspectRatio = arguments.image_aspect_ratio or sources.image_aspect_ratio
    if ratio not in ASPECT_RATIOS:
        raise OptionError(
            f"the images of --model are preprocessed as {ratio!r}, which cannot be trained: choose"
            f" --image-aspect-ratio {' or '.join(ASPECT_RATIOS)}"
        )
    pinpoints, merge = arguments.image_grid_pinpoints, arguments.mm_patch_merge_type
    is_anyres = ratio == "anyres"
    for option, value in (("--image-grid-pinpoints", pinpoints), ("--mm-patch-merge-type", merge)):
        if value is not None and not is_anyres:
            raise OptionError(f"{option} needs --image-aspect-ratio anyres")
    return replace(
        sources,
        image_aspect_ratio=ratio,
        grid_pinpoints=(pinpoints or sources.grid_pinpoints) if is_anyres else None,
        patch_merge=(merge or sources.patch_merge) if is_anyres else None,
    )
