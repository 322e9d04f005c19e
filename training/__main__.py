"""`python -m training align|instruct|tiny`: train a LLaVA of one's own, or the embedded one."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

NAME: Final = "python -m training"


USAGE: Final = """\
usage: {name} STAGE …

  align     stage 1: train a projector on images and captions
  instruct  stage 2: train projector and language model on conversations
  tiny      train the embedded model, from a tower of random weights on

{name} STAGE --help shows the options.
"""


def main(words: Sequence[str] | None = None, name: str = NAME) -> int:
    """Train as the command line says; return the exit code."""
    stage, *options = (sys.argv[1:] if words is None else words) or ["--help"]
    match stage:
        case "align" | "instruct":
            return _tune(stage, options, name)
        case "tiny":
            _train(_build_parser(f"{name} tiny").parse_args(options))
            return 0
        case _:
            is_asked = stage in ("-h", "--help")
            print(USAGE.format(name=name), end="", file=sys.stdout if is_asked else sys.stderr)
            return 0 if is_asked else 2


def _tune(stage: Literal["align", "instruct"], options: Sequence[str], name: str) -> int:
    try:
        from training.tuning.command import main as tune
    except KeyboardInterrupt:  # PyTorch takes seconds
        print("interrupted: nothing was begun", file=sys.stderr)
        return 130
    return tune(stage, options, name)


def _train(arguments: argparse.Namespace) -> None:
    # Imported here, so that --help and mistakes need no PyTorch.
    from training.tuning.library_logs import hide_missing_kernel

    hide_missing_kernel()
    import torch
    from accelerate import PartialState

    from training.loop.compute import select_device
    from training.loop.plan import FULL, QUICK
    from training.loop.train import train, train_single_stage

    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    device = select_device(arguments.device)
    processes = PartialState(cpu=device.type == "cpu")
    if not arguments.resume and not arguments.only and processes.is_main_process:
        shutil.rmtree(arguments.work, ignore_errors=True)
    plan = (QUICK if arguments.quick else FULL).scale(arguments.scale)
    if arguments.only:
        train_single_stage(arguments.only, plan, arguments.work, device)
    else:
        train(plan, arguments.work, arguments.out, device)


def _build_parser(name: str = NAME) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name, description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the trained model")
    parser.add_argument(
        "--work", type=Path, default=Path("build/recipe"), help="rendered scenes and checkpoints"
    )
    parser.add_argument(
        "--resume", action="store_true", help="resume from --work instead of starting afresh"
    )
    parser.add_argument(
        "--only",
        choices=("tower", "language"),
        help="run this stage alone, resuming from --work; the two may run in parallel",
    )
    parser.add_argument(
        "--quick", action="store_true", help="run a few steps of each stage, as a smoke test"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the scenes and of every stage's steps"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, help="CPU threads; default: PyTorch's own choice")
    return parser


if __name__ == "__main__":
    sys.exit(main())
