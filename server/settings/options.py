"""The settings as options: group, flag, variable and placeholder of each, from the fields alone."""

import json
import ssl
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from server.settings.settings import Settings

ENV_PREFIX: Final = "LLAVA_"
# Placeholders by the end of a name; the first that fits counts.
PLACEHOLDERS: Final = (
    ("_kib_s", "KIB/S"),
    ("_kib", "KIB"),
    ("_mib", "MIB"),
    ("_gib", "GIB"),
    ("_megapixels", "MEGAPIXELS"),
    ("_s", "SECONDS"),
    ("port", "PORT"),
    ("file", "FILE"),
    ("certs", "FILE"),
    ("utilization", "SHARE"),
    ("uds", "PATH"),
    ("cert_reqs", "{none,optional,required}"),
    ("_config", "JSON"),
    ("_args", "JSON"),
)
# More of them are listed below the option.
MAX_SHOWN_CHOICES: Final = 6


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as operators see it. `group` is the title of its group."""

    name: str
    group: str
    field: FieldInfo

    @property
    def flag(self) -> str:
        """The option on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"{ENV_PREFIX}{self.name.upper()}"

    @property
    def is_switch(self) -> bool:
        """Whether the option is a yes or no, which needs no value."""
        return bool in _list_types(self.field.annotation)

    @property
    def is_secret(self) -> bool:
        """Whether the value must not be shown."""
        return "Secret" in str(self.field.annotation)

    @property
    def is_list(self) -> bool:
        """Whether the value may be empty: a list, or text that is empty by default."""
        return self.field.default in ((), "", {}) or self.name.endswith("ports")

    @property
    def choices(self) -> Sequence[str]:
        """The values of which the setting takes one, if there are such."""
        literals = [
            each for each in _list_types(self.field.annotation) if get_origin(each) is Literal
        ]
        return get_args(literals[0]) if len(literals) == 1 else ()

    @property
    def placeholder(self) -> str:
        """What stands for the value in the help, such as `PORT` or `{auto,cpu,cuda}`."""
        if self.choices and len(self.choices) <= MAX_SHOWN_CHOICES:
            return f"{{{','.join(self.choices)}}}"
        named = next((text for end, text in PLACEHOLDERS if self.name.endswith(end)), None)
        if named is not None:
            return named
        types = _list_types(self.field.annotation)
        if types & {int, float}:
            return "N"
        return "PATH" if Path in types else self.name.rpartition("_")[2].upper()

    @property
    def default_text(self) -> str | None:
        """The default in the words of the command line, or None where there is none."""
        default = self.field.default
        if default is None or default is PydanticUndefined or default in ((), "", {}):
            return None
        return format_value(default)


def list_options() -> Sequence[Option]:
    """Return the settings in the order of the help, each in its group."""
    groups = [base for base in reversed(Settings.__bases__) if hasattr(base, "model_fields")]
    return [
        Option(name, (group.__doc__ or "").splitlines()[0].rstrip("."), field)
        for group in groups
        for name, field in group.model_fields.items()
    ]


def format_value(value: Any) -> str:
    """Write a value as the command line takes it."""
    match value:
        case ssl.VerifyMode():
            return value.name.removeprefix("CERT_").lower()
        case bool():
            return "on" if value else "off"
        case int() | float():
            return f"{int(value) if value == int(value) else value}"
        case dict() if all(isinstance(item, Path) for item in value.values()):
            return ",".join(f"{name}={item}" for name, item in value.items())
        case dict():
            return json.dumps(value)
        case frozenset():
            return ",".join(map(str, sorted(value)))
        case tuple():
            return ",".join(map(str, value))
    return str(value)


def _list_types(annotation: Any) -> set[Any]:
    """Return a type, or the members of a union, without what `Annotated` adds."""
    if get_origin(annotation) is typing.Annotated:
        return _list_types(get_args(annotation)[0])
    members = get_args(annotation) if _is_union(annotation) else ()
    return {each for member in members for each in _list_types(member)} or {annotation}


def _is_union(annotation: Any) -> bool:
    return bool(get_args(annotation)) and type(None) in get_args(annotation)
