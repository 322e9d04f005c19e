"""`llava-server train align` and `train instruct`: the paper's two stages for any LLaVA."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from training.tuning.settings import OptionError, Stage, add_options, build_settings

DESCRIPTIONS: Final[dict[Stage, str]] = {
    "align": "stage 1: train a projector on images and captions",
    "instruct": "stage 2: train projector and language model on conversations",
}


def main(stage: Stage, words: Sequence[str], name: str) -> int:
    """Train one stage as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(prog=f"{name} {stage}", description=DESCRIPTIONS[stage])
    add_options(parser, stage)
    arguments = parser.parse_args(words)
    # Imported here, so that --help and mistakes need no PyTorch.
    from model_store.errors import ConversionError
    from training.tuning.errors import DataError
    from training.tuning.run import train
    from training.tuning.sources import SourceError

    try:
        train(build_settings(arguments, stage))
    except (ConversionError, DataError, OptionError, SourceError) as error:
        # One that a process of its own met while it read images comes with that one's traceback.
        (reason,) = str(error).strip().splitlines()[-1:] or [""]
        print(f"error: {reason.rpartition('DataError: ')[2]}", file=sys.stderr)
        return 1
    return 0
