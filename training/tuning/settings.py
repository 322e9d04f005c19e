"""What one training run is: the options of a stage, with the released scripts' defaults."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from llava_spec.image_settings import ASPECT_RATIOS, PATCH_MERGES, AspectRatio
from training.tuning.checks import check_options
from training.tuning.destinations import choose_work
from training.tuning.errors import OptionError
from training.tuning.quantization import QuantizationSettings
from training.tuning.sources import Sources, find_model_folder, is_aligned, read_sources
from training.tuning.split import split_checkpoint

Stage = Literal["align", "instruct"]


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


def add_options(parser: argparse.ArgumentParser, stage: Stage) -> None:
    """Add a stage's options."""
    is_align = stage == "align"
    _add_sources(parser, is_align=is_align)
    _add_data(parser)
    _add_recipe(parser, is_align=is_align)
    _add_run(parser)


def _add_sources(parser: argparse.ArgumentParser, *, is_align: bool) -> None:
    group = parser.add_argument_group("what to train")
    if not is_align:
        group.add_argument(
            "--model", help="what `train align` wrote, or a LLaVA to go on from: folder or hub id"
        )
    group.add_argument("--vision-tower", help="CLIP tower: folder or hub id")
    group.add_argument(
        "--language-model", help="Llama, Mistral or Qwen2, without a tower: folder or hub id"
    )
    group.add_argument("--mm-projector", type=Path, help="weights to start the projector from")
    group.add_argument(
        "--mm-projector-type", help="linear or mlpNx_gelu; default: mlp2x_gelu, or that of --model"
    )
    group.add_argument(
        "--mm-vision-select-layer",
        type=int,
        help="the tower's hidden state that is used; default: -2, or that of --model",
    )
    group.add_argument(
        "--image-aspect-ratio",
        choices=ASPECT_RATIOS,
        help="default: " + ("square" if is_align else "that of --model if it is a LLaVA, else pad"),
    )
    group.add_argument(
        "--image-grid-pinpoints",
        help="grids of anyres, as '[(672, 336), (336, 672)]' or '(1x1),...,(3x3)'; default: those"
        " of LLaVA-1.6",
    )
    group.add_argument(
        "--mm-patch-merge-type",
        choices=PATCH_MERGES,
        help="how anyres merges views; default: spatial_unpad",
    )
    group.add_argument(
        "--conv-mode",
        help="conversation template; default: "
        + (
            "plain"
            if is_align
            else "that of --model if it says one, else vicuna_v1, Mistral's mistral_instruct,"
            " Qwen2's qwen_1_5"
        ),
    )
    if is_align:
        return
    group.add_argument("--unfreeze-vision-tower", action="store_true", help="train the tower, too")
    group.add_argument(
        "--freeze-language-model",
        "--tune-projector-only",
        action="store_true",
        help="train the projector alone",
    )
    group.add_argument("--lora", action="store_true", help="train adapters in place of all weights")
    group.add_argument("--lora-r", type=int, help="their rank; default: 128")
    group.add_argument("--lora-alpha", type=int, help="their scale times the rank; default: 256")
    group.add_argument("--lora-dropout", type=float, help="default: 0.05")
    group.add_argument(
        "--merge-lora", action="store_true", help="write the merged model in place of an adapter"
    )
    _add_quantization(parser)


def _add_quantization(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("QLoRA")
    group.add_argument(
        "--bits",
        type=int,
        choices=(4, 8, 16),
        default=16,
        help="of the language model's frozen weights under --lora; default: 16, not quantised",
    )
    group.add_argument("--quant-type", choices=("nf4", "fp4"), help="of 4 bits; default: nf4")
    group.add_argument(
        "--double-quant",
        action=argparse.BooleanOptionalAction,
        help="quantise the constants of 4 bits, too; default: yes",
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data", type=Path, nargs="+", required=True, help="records: .json, .jsonl, .parquet, .tar"
    )
    group.add_argument(
        "--images", type=Path, default=Path(), help="folder of images; default: the current one"
    )
    group.add_argument("--eval-data", type=Path, nargs="+", default=[], help="records to evaluate")
    group.add_argument("--skip-bad-records", action="store_true", help="train without them")
    group.add_argument("--check-only", action="store_true", help="check the records and stop")


def _add_recipe(parser: argparse.ArgumentParser, *, is_align: bool) -> None:
    group = parser.add_argument_group("recipe")
    group.add_argument("--learning-rate", type=float, default=1e-3 if is_align else None)
    if not is_align:
        group.add_argument("--mm-projector-lr", type=float, help="the projector's own rate")
    group.add_argument("--batch-size", type=int, default=256 if is_align else 128)
    group.add_argument("--per-device-batch-size", type=int, default=32 if is_align else 16)
    group.add_argument("--epochs", type=float, help="default: 1")
    group.add_argument("--max-steps", type=int, default=-1, help="in place of --epochs")
    group.add_argument("--warmup-ratio", type=float, default=0.03)
    group.add_argument("--weight-decay", type=float, default=0.0)
    group.add_argument("--model-max-length", type=int, default=2048, help="image tokens included")
    group.add_argument("--group-by-modality-length", action="store_true")
    group.add_argument("--seed", type=int, default=42)
    group.add_argument(
        "--as-released", action="store_true", help="as the released trainer, where ours differs"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("run")
    group.add_argument("--out", type=Path, required=True, help="folder of the trained checkpoint")
    group.add_argument("--work", type=Path, help="folder of the run's state; default: OUT.work")
    group.add_argument("--resume", action="store_true", help="continue from --work")
    group.add_argument("--bf16", action="store_true", help="compute in bfloat16, keep float32")
    group.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="bfloat16")
    group.add_argument("--gradient-checkpointing", action="store_true")
    group.add_argument("--deepspeed", type=Path, help="DeepSpeed's configuration")
    group.add_argument("--save-steps", type=int, default=500)
    group.add_argument("--log-steps", type=int, default=1)
    group.add_argument("--eval-steps", type=int, help="of --eval-data; default: 500")
    group.add_argument("--workers", type=int, default=4, help="processes that read images")
    group.add_argument("--report-to", default="none", help="none, tensorboard, wandb, …")


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
        raise OptionError("--vision-tower and --language-model are needed")
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
