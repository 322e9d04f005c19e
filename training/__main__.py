"""`python -m training --out DIR`: train the embedded model."""

import argparse
import shutil
from pathlib import Path

import torch

from training.loop.compute import pick_device
from training.loop.distributed import join_group, rank
from training.loop.plan import FULL, QUICK
from training.loop.train import train, train_alone


def main() -> None:
    arguments = _parser().parse_args()
    torch.set_num_threads(arguments.threads)
    join_group()
    if not arguments.resume and not arguments.only and rank() == 0:
        shutil.rmtree(arguments.work, ignore_errors=True)
    plan = (QUICK if arguments.quick else FULL).scaled(arguments.scale)
    device = pick_device(arguments.device)
    if arguments.only:
        train_alone(arguments.only, plan, arguments.work, device)
    else:
        train(plan, arguments.work, arguments.out, device)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where the model is written")
    parser.add_argument(
        "--work", type=Path, default=Path("build/recipe"), help="drawn scenes and checkpoints"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from --work instead of starting afresh"
    )
    parser.add_argument(
        "--only",
        choices=("tower", "language"),
        help="this stage alone, going on from --work: the two may run side by side",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few steps only: is it all wired up?"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the scenes and of every stage's steps"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser


if __name__ == "__main__":
    main()
