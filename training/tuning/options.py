"""The command line of a stage, with the released scripts' defaults."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from llava_spec.image_settings import ASPECT_RATIOS, PATCH_MERGES
from server.process.machine import count_cores

Stage = Literal["align", "instruct"]
STAGES: Final[tuple[Stage, ...]] = ("align", "instruct")
DESCRIPTIONS: Final[dict[Stage, str]] = {
    "align": "Stage 1: train a projector on images and captions.",
    "instruct": "Stage 2: train projector and language model on conversations.",
}
MAX_DEFAULT_WORKERS: Final = 4


class _HelpFormatter(argparse.HelpFormatter):
    """Ends the text of every option that takes a value with its default, unless it says it.

    What a run needs has none: its text says "needed".
    """

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        if action.nargs == 0 or "default:" in text or "needed" in text:
            return text
        return f"{text}; default: %(default)s"


class StageParser(argparse.ArgumentParser):
    """Takes options by their full names, and suggests one for a name that is wrong.

    A prefix is refused: `--mm-projector-t` would be `--mm-projector-type` today, and another option
    as soon as one with that beginning is added.
    """

    def __init__(self, stage: Stage, name: str) -> None:
        super().__init__(
            prog=f"{name} {stage}",
            description=DESCRIPTIONS[stage],
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )
        self._stage = stage
        add_options(self, stage)

    # argparse's own order of checks would complain about required options first.
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, after a look at the options' names."""
        words: Sequence[str] = sys.argv[1:] if args is None else list(args)
        for name in _list_names(words):
            if name not in self._option_string_actions:
                self._refuse(name)
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit with a line; the usage would fill the screen before it."""
        self.exit(2, f"{self.prog}: error: {message} (--help lists the options)\n")

    def _refuse(self, name: str) -> NoReturn:
        for stage in STAGES:
            if stage != self._stage and name in _list_options(stage):
                self.error(f"{name} is an option of {stage}, not of {self._stage}")
        # The released trainer writes underscores.
        near = get_close_matches(name.replace("_", "-"), self._option_string_actions, 1, 0.7)
        self.error(f"no such option: {name}" + (f"; did you mean {near[0]}?" if near else ""))


def _list_names(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word == "--":
            return
        if word.startswith("--"):
            yield word.partition("=")[0]


def _list_options(stage: Stage) -> set[str]:
    parser = argparse.ArgumentParser()
    add_options(parser, stage)
    return set(parser._option_string_actions)


def choose_workers() -> int:
    """Return how many processes read images by default: no more than this process has cores.

    Processes of one machine share its cores.
    """
    num_processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(MAX_DEFAULT_WORKERS, count_cores() // num_processes))


def add_options(parser: argparse.ArgumentParser, stage: Stage) -> None:
    """Add a stage's options."""
    is_align = stage == "align"
    _add_sources(parser, is_align=is_align)
    if not is_align:
        _add_trained(parser)
        _add_quantization(parser)
    _add_data(parser)
    _add_recipe(parser, is_align=is_align)
    _add_run(parser)


def _add_sources(parser: argparse.ArgumentParser, *, is_align: bool) -> None:
    group = parser.add_argument_group("what to train")
    needed = "; needed" if is_align else "; needed without --model"
    or_model = "" if is_align else ", or that of --model"
    if not is_align:
        group.add_argument(
            "--model",
            help="what `train align` wrote, or a LLaVA to go on from: folder or hub id; default:"
            " --vision-tower and --language-model with a new projector",
        )
    for option, text in (
        ("--vision-tower", "CLIP tower: folder or hub id"),
        ("--language-model", "Llama, Mistral or Qwen2, without a tower: folder or hub id"),
    ):
        group.add_argument(option, help=f"{text}{needed}")
    group.add_argument(
        "--mm-projector",
        type=Path,
        metavar="FILE",
        help=f"weights to start the projector from; default: random ones{or_model}",
    )
    group.add_argument(
        "--mm-projector-type", help=f"linear or mlpNx_gelu; default: mlp2x_gelu{or_model}"
    )
    group.add_argument(
        "--mm-vision-select-layer",
        type=int,
        metavar="LAYER",
        help=f"the tower's hidden state that the projector gets; default: -2{or_model}",
    )
    ratio = "square" if is_align else "that of --model if it is a LLaVA, else pad"
    group.add_argument(
        "--image-aspect-ratio",
        choices=ASPECT_RATIOS,
        help="how an image is made to fit the tower: cropped to a square, padded to one, or cut"
        f" into tiles; default: {ratio}",
    )
    group.add_argument(
        "--image-grid-pinpoints",
        help="grids of anyres, as '[(672, 336), (336, 672)]' or '(1x1),...,(3x3)'; default: those"
        f" of LLaVA-1.6{or_model}",
    )
    group.add_argument(
        "--mm-patch-merge-type",
        choices=PATCH_MERGES,
        help=f"how anyres merges views; default: spatial_unpad{or_model}",
    )
    conv_mode = (
        "plain"
        if is_align
        else "that of --model if it says one, else vicuna_v1, Mistral's mistral_instruct,"
        " Qwen2's qwen_1_5"
    )
    group.add_argument("--conv-mode", help=f"conversation template; default: {conv_mode}")


def _add_trained(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which parts to train")
    group.add_argument("--unfreeze-vision-tower", action="store_true", help="train the tower, too")
    group.add_argument(
        "--freeze-language-model",
        "--tune-projector-only",
        action="store_true",
        help="train the projector alone",
    )
    group.add_argument(
        "--lora",
        action="store_true",
        help="train adapters of the language model in place of its weights",
    )
    group.add_argument("--lora-r", type=int, help="the adapters' rank; default: 128")
    group.add_argument("--lora-alpha", type=int, help="their scale times the rank; default: 256")
    group.add_argument("--lora-dropout", type=float, help="their dropout; default: 0.05")
    group.add_argument(
        "--merge-lora", action="store_true", help="write the merged model in place of an adapter"
    )


def _add_quantization(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("QLoRA")
    group.add_argument(
        "--bits",
        type=int,
        choices=(4, 8, 16),
        default=16,
        help="bits of the language model's frozen weights under --lora; default: 16, not quantised",
    )
    group.add_argument(
        "--quant-type", choices=("nf4", "fp4"), help="number format of 4 bits; default: nf4"
    )
    group.add_argument(
        "--double-quant",
        action=argparse.BooleanOptionalAction,
        help="quantise the constants of 4 bits, too; default: yes",
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="files of records: .json, .jsonl, .parquet, .tar; needed",
    )
    group.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        default=Path(),
        help="folder that the records' image names are relative to; default: the current one",
    )
    group.add_argument(
        "--eval-data",
        type=Path,
        nargs="+",
        metavar="FILE",
        default=[],
        help="files of records to evaluate, which are not trained; default: none",
    )
    group.add_argument("--skip-bad-records", action="store_true", help="train without them")
    group.add_argument(
        "--check-only", action="store_true", help="check options and records, and stop"
    )


def _add_recipe(parser: argparse.ArgumentParser, *, is_align: bool) -> None:
    group = parser.add_argument_group("recipe")
    rate = "1e-3" if is_align else "2e-5; 2e-4 with --lora"
    group.add_argument(
        "--learning-rate",
        type=float,
        default=1e-3 if is_align else None,
        help=f"the highest learning rate, after the warm-up; default: {rate}",
    )
    if not is_align:
        group.add_argument(
            "--mm-projector-lr",
            type=float,
            help="the projector's own learning rate; default: --learning-rate; 2e-5 with --lora",
        )
    group.add_argument(
        "--batch-size",
        type=int,
        default=256 if is_align else 128,
        help="records of a step, over all processes",
    )
    group.add_argument(
        "--per-device-batch-size",
        type=int,
        default=32 if is_align else 16,
        help="records that a process has in memory at once",
    )
    group.add_argument("--epochs", type=float, help="passes over the data; default: 1")
    group.add_argument(
        "--max-steps", type=int, default=-1, help="steps, in place of --epochs; default: no limit"
    )
    group.add_argument(
        "--warmup-ratio",
        type=float,
        default=0.03,
        help="share of the steps in which the learning rate rises from 0",
    )
    group.add_argument("--weight-decay", type=float, default=0.0, help="AdamW's weight decay")
    group.add_argument(
        "--model-max-length",
        type=int,
        default=2048,
        help="tokens of a record, image tokens included; longer text is cut",
    )
    group.add_argument(
        "--group-by-modality-length",
        action="store_true",
        help="make batches of records with images or without, of like length",
    )
    group.add_argument(
        "--seed", type=int, default=42, help="decides new weights and the order of records"
    )
    group.add_argument(
        "--as-released",
        action="store_true",
        help="do as LLaVA's released trainer, where ours differs",
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("run")
    group.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        required=True,
        help="folder of the trained checkpoint, which must not exist yet; needed",
    )
    group.add_argument(
        "--work", type=Path, metavar="DIR", help="folder of the run's state; default: OUT.work"
    )
    group.add_argument(
        "--resume", action="store_true", help="go on from the last state that --work holds"
    )
    group.add_argument(
        "--bf16", action="store_true", help="compute in bfloat16; weights stay in float32"
    )
    group.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16"),
        default="bfloat16",
        help="of the weights in the trained checkpoint",
    )
    group.add_argument(
        "--gradient-checkpointing",
        action="store_true",
        help="compute activations twice: less memory, a third more time",
    )
    group.add_argument(
        "--deepspeed",
        type=Path,
        metavar="FILE",
        help="DeepSpeed's configuration; default: train without DeepSpeed",
    )
    group.add_argument("--save-steps", type=int, default=500, help="steps between two saved states")
    group.add_argument("--log-steps", type=int, default=1, help="steps between two logged losses")
    group.add_argument(
        "--eval-steps",
        type=int,
        help="steps between two evaluations of --eval-data; default: 500, and at the end",
    )
    group.add_argument(
        "--workers",
        type=int,
        default=choose_workers(),
        help=f"processes that read images; default: {MAX_DEFAULT_WORKERS}, or the number of CPU"
        " cores if that is lower (here: %(default)s)",
    )
    group.add_argument(
        "--report-to",
        default="none",
        help="where losses are logged besides the terminal: tensorboard, wandb, or another of"
        " transformers'",
    )
