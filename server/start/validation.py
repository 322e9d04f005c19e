"""The settings from command line and environment, and pydantic's errors in plain words."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from server.settings import Settings
from server.settings.options import Option, list_options
from server.settings.secrets import mask_secrets
from server.start.mistakes import Mistake, suggest

QUANTITY: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")
# The units' values in bytes, seconds or pixels.
UNITS: Final = {
    **dict.fromkeys(("k", "kb", "kib"), 1024),
    **dict.fromkeys(("m", "mb", "mib"), 1024**2),
    **dict.fromkeys(("g", "gb", "gib"), 1024**3),
    "b": 1,
}
TIMES: Final = {
    **{"ms": 0.001, "s": 1, "sec": 1, "second": 1, "seconds": 1},
    **{"m": 60, "min": 60, "minutes": 60, "h": 3600},
}
PIXELS: Final = {"mp": 1e6, "megapixels": 1e6, "m": 1e6, "k": 1e3}
# The units of settings, by name suffix.
SETTING_UNITS: Final[tuple[tuple[str, str, float, Mapping[str, float]], ...]] = (
    ("_kib_s", "KiB per second", 1024, UNITS),
    ("_kib", "KiB", 1024, UNITS),
    ("_mib", "MiB", 1024**2, UNITS),
    ("_gib", "GiB", 1024**3, UNITS),
    ("_megapixels", "millions of pixels", 1e6, PIXELS),
    ("_s", "seconds", 1, TIMES),
)

# pydantic's error types; {} stands for a value of its context.
PROBLEMS: Final = {
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "bool_parsing": "must be true or false",
    "path_not_file": "there is no such file",
    "path_not_directory": "there is no such folder",
    "too_short": "must name at least one",
    "value_error": "{error}",
    "ip_v4_network": "must be networks such as 10.0.0.0/8,fd00::/8",
}


def read_settings(
    values: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[Settings, dict[str, Mistake]]:
    """Return the settings, and the mistakes by setting; a wrong setting has its default.

    Everything that does not depend on wrong settings can thus be checked, too.
    """
    given: dict[str, Any] = dict(values)
    try:
        return Settings(**given), {}
    except ValidationError as error:
        mistakes = explain_errors(error, list_options(), values, environ)
    defaults = {name: Settings.model_fields[name].default for name in mistakes}
    return Settings(**(given | defaults)), mistakes


def write_setting(option: Option, values: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Return a setting as the user wrote it, as an option or a variable, without secrets."""
    if option.name in values:
        return _write_option(option, values[option.name])
    for name, text in environ.items():
        if name.upper() == option.variable:
            return f"{name}={_show(option, text)}"
    return option.flag


def _write_option(option: Option, text: str) -> str:
    if option.is_switch and text in ("true", "false"):
        return option.flag if text == "true" else f"--no-{option.flag[2:]}"
    return f"{option.flag} {_show(option, text)}"


def _show(option: Option, text: str) -> str:
    return "…" if option.is_secret else mask_secrets(text) or "''"


def explain_errors(
    error: ValidationError,
    options: Sequence[Option],
    values: Mapping[str, str],
    environ: Mapping[str, str],
) -> dict[str, Mistake]:
    """Return pydantic's errors as mistakes by option, and under "" those between options."""
    by_name = {option.name: option for option in options}
    mistakes: dict[str, Mistake] = {}
    for details in error.errors():
        if not details["loc"]:
            mistakes[""] = Mistake("", str(details["ctx"]["error"]))
            continue
        option = by_name[str(details["loc"][0])]
        written = write_setting(option, values, environ)
        mistakes.setdefault(option.name, Mistake(written, _explain(option, details)))
    return mistakes


def _explain(option: Option, details: ErrorDetails) -> str:
    text = str(details["input"])
    if option.choices:
        return _explain_choice(text, option.choices)
    if details["type"] == "literal_error":  # of one item in a list
        choices = re.findall("'([^']+)'", details["ctx"]["expected"])
        return f"{text!r} {_explain_choice(text, choices)}"
    template = PROBLEMS.get(details["type"])
    if template is None:
        return details["msg"][:1].lower() + details["msg"][1:]
    problem = template.format(**details.get("ctx", {}))
    return problem + _suggest_unit(option.name, text, details["type"])


def _explain_choice(text: str, choices: Any) -> str:
    return f"must be one of {', '.join(choices)}{suggest(text, choices)}"


def _suggest_unit(name: str, text: str, kind: str) -> str:
    """Return the number to write in place of one with a unit."""
    quantity = QUANTITY.fullmatch(text)
    unit = next((each for each in SETTING_UNITS if name.endswith(each[0])), None)
    if unit is None or not kind.endswith("_parsing"):
        return ""
    _, words, size, units = unit
    if quantity is None or quantity[2].lower() not in units:
        return f", in {words}"
    number = float(quantity[1]) * units[quantity[2].lower()] / size
    return f", in {words} without a unit: write {number:g}"
