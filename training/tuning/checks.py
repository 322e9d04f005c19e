"""What a run's options are checked for before any model is read or pulled."""

import argparse
import importlib.util
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from training.tuning.destinations import check_destinations
from training.tuning.errors import NO_JSON, OptionError
from training.tuning.model import read_projector_type
from training.tuning.record_files import SUFFIXES

# Which numbers an option takes, and how to say it. No comparison holds for NaN.
Limit = tuple[Callable[[float], bool], str]
_AT_LEAST_0: Final[Limit] = (lambda value: value >= 0, "at least 0")
_AT_LEAST_1: Final[Limit] = (lambda value: value >= 1, "at least 1")
_RATE: Final[Limit] = (lambda value: 0 <= value < math.inf, "a number, at least 0")
_SHARE: Final[Limit] = (lambda value: 0 <= value < 1, "at least 0 and below 1")
LIMITS: Final[Mapping[str, Limit]] = {
    "lora_r": _AT_LEAST_1,
    "lora_alpha": _AT_LEAST_1,
    "lora_dropout": _SHARE,
    "learning_rate": _RATE,
    "mm_projector_lr": _RATE,
    "batch_size": _AT_LEAST_1,
    "per_device_batch_size": _AT_LEAST_1,
    "epochs": (lambda value: 0 < value < math.inf, "a number above 0"),
    "max_steps": (lambda value: value == -1 or value >= 1, "at least 1"),
    "warmup_ratio": _SHARE,
    "weight_decay": _RATE,
    "model_max_length": _AT_LEAST_1,
    "seed": (lambda value: 0 <= value < 1 << 32, "at least 0 and below 2^32"),
    "save_steps": _AT_LEAST_1,
    "log_steps": _AT_LEAST_1,
    "eval_steps": _AT_LEAST_1,
    "workers": _AT_LEAST_0,
}
# What an option would do nothing without.
PARTNERS: Final[Mapping[str, str]] = {
    "lora_r": "lora",
    "lora_alpha": "lora",
    "lora_dropout": "lora",
    "merge_lora": "lora",
    "eval_steps": "eval_data",
}
# What `--model` says.
SAID_BY_MODEL: Final = (
    *("vision_tower", "language_model", "mm_projector", "mm_projector_type"),
    "mm_vision_select_layer",
)


def check_options(arguments: argparse.Namespace) -> None:
    """Raise `OptionError` for options that are wrong, contradictory, or would do nothing."""
    _check_numbers(arguments)
    _check_partners(arguments)
    _check_adapters(arguments)
    _check_files(arguments)
    _check_packages(arguments)
    _check_projector_type(arguments)
    check_destinations(arguments)


def name_option(name: str) -> str:
    """Return an option's name on the command line."""
    return "--" + name.replace("_", "-")


def _check_numbers(arguments: argparse.Namespace) -> None:
    for name, (is_allowed, text) in LIMITS.items():
        value = vars(arguments).get(name)
        if value is not None and not is_allowed(value):
            raise OptionError(f"{name_option(name)} {value} must be {text}")


def _check_partners(arguments: argparse.Namespace) -> None:
    get = vars(arguments).get
    for name, partner in PARTNERS.items():
        value = get(name)
        # A number of 0 equals False, but is given.
        if value is not None and value is not False and not get(partner):
            raise OptionError(f"{name_option(name)} needs {name_option(partner)}")
    for name in SAID_BY_MODEL:
        if get("model") is not None and get(name) is not None:
            raise OptionError(
                f"--model already says what is trained: leave out {name_option(name)}"
            )
    if arguments.epochs is not None and arguments.max_steps != -1:
        raise OptionError("--max-steps already says how long to train: leave out --epochs")


def _check_adapters(arguments: argparse.Namespace) -> None:
    get = vars(arguments).get
    bits = get("bits", 16)
    if get("lora") and get("freeze_language_model"):
        raise OptionError("--lora trains the language model, --freeze-language-model does not")
    if bits != 16 and not get("lora"):
        raise OptionError(f"--bits {bits} needs --lora: quantised weights cannot be trained")
    for name in ("quant_type", "double_quant"):
        if get(name) is not None and bits != 4:
            raise OptionError(f"{name_option(name)} needs --bits 4")


def _check_files(arguments: argparse.Namespace) -> None:
    for name in ("data", "eval_data"):
        for path in getattr(arguments, name):
            _check_file(name, path)
            if path.suffix.lower() not in SUFFIXES:
                raise OptionError(
                    f"{name_option(name)} {path} must end with one of {', '.join(SUFFIXES)}"
                )
    for name in ("mm_projector", "deepspeed"):
        path = vars(arguments).get(name)
        if path is not None:
            _check_file(name, path)
    if not os.path.isdir(arguments.images):
        raise OptionError(f"--images {arguments.images} is not a folder")
    if arguments.deepspeed is not None:
        _check_json(arguments.deepspeed)


def _check_file(name: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(f"{name_option(name)} {path} cannot be read: {reason}") from None


def _check_json(path: Path) -> None:
    try:
        is_object = isinstance(json.loads(path.read_bytes()), dict)
    except NO_JSON:
        is_object = False
    if not is_object:
        raise OptionError(f"--deepspeed {path} does not hold a JSON object")


def _check_packages(arguments: argparse.Namespace) -> None:
    _check_tracker(arguments.report_to)
    _check_bf16(arguments)
    if arguments.deepspeed is not None:
        _check_package("--deepspeed", "deepspeed")
    if vars(arguments).get("bits", 16) != 16:
        _check_package(f"--bits {arguments.bits}", "bitsandbytes")


def _check_bf16(arguments: argparse.Namespace) -> None:
    import torch

    if arguments.bf16 and torch.cuda.is_available() and not torch.cuda.is_bf16_supported():
        raise OptionError("--bf16 is not supported by this GPU")


def _check_package(option: str, name: str) -> None:
    if importlib.util.find_spec(name) is None:
        raise OptionError(f"{option} needs the package {name}: pip install {name}")


def _check_tracker(name: str) -> None:
    """Check `--report-to`: transformers must know it, and its package must be installed."""
    if name in ("none", "all"):
        return
    from transformers.integrations import integration_utils

    known = sorted(integration_utils.INTEGRATION_TO_CALLBACK)
    if name not in known:
        names = ", ".join(("none", "all", *known))
        raise OptionError(f"--report-to {name!r} is unknown; take one of {names}")
    if name not in integration_utils.get_available_reporting_integrations():
        raise OptionError(f"--report-to {name} needs a package that is not installed")


def _check_projector_type(arguments: argparse.Namespace) -> None:
    if arguments.mm_projector_type is None:
        return
    try:
        read_projector_type(arguments.mm_projector_type)
    except ValueError as error:
        raise OptionError(f"--mm-projector-type: {error}") from None
