"""The resolved settings of `--check`: each value, where it came from, and defaults that follow."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

from pydantic import BaseModel

from server.checkpoint.config import Checkpoint
from server.process.defaults import (
    default_concurrent_requests,
    default_cpu_kv_cache_gib,
    default_pending_image_mib,
    expects_cpu,
)
from server.process.machine import count_decode_workers, count_spare_cores
from server.settings import Settings
from server.settings.options import Option, format_value, list_options
from server.settings.secrets import MASK, mask_secrets


@dataclass(frozen=True, slots=True)
class ResolvedSetting:
    """A setting's value, None if nothing is set, and its source.

    The source is an option, a variable or the default.
    """

    option: Option
    value: str | None
    source: str

    @property
    def words(self) -> str:
        """The value, or the description's text about no value."""
        return _describe_default(self.option) if self.value is None else self.value


def resolve_all(
    settings: Settings,
    checkpoint: Checkpoint | None,
    given: Mapping[str, str],
    environ: Mapping[str, str],
) -> Sequence[ResolvedSetting]:
    """Return all settings in the order of the help; `given` are those of the command line."""
    derived = derive_defaults(settings, checkpoint)
    return resolve_options(list_options(), settings, given, environ, derived)


def resolve_options(
    options: Sequence[Option],
    values: BaseModel,
    given: Mapping[str, str],
    environ: Mapping[str, str],
    derived: Mapping[str, str] = MappingProxyType({}),
) -> Sequence[ResolvedSetting]:
    """Return the options in `values`; `derived` holds defaults for None."""
    variables = {name.upper(): name for name in environ}
    return [
        ResolvedSetting(
            option, _show(option, values, derived), _name_source(option, given, variables)
        )
        for option in options
    ]


def format_text(resolved: Sequence[ResolvedSetting]) -> str:
    """Return the settings as aligned lines below the titles of their groups."""
    return "\n".join(_format_lines(resolved))


def format_json(resolved: Sequence[ResolvedSetting], verdict: str | None) -> str:
    """Return settings and verdict as one JSON object in a line of ASCII; null where none is set."""
    settings = {each.option.name: {"value": each.value, "from": each.source} for each in resolved}
    return json.dumps({"settings": settings, "verdict": verdict})


def derive_defaults(settings: Settings, checkpoint: Checkpoint | None) -> dict[str, str]:
    """Return defaults that depend on the machine, the model or other settings."""
    derived = {
        "cpu_kv_cache_gib": str(default_cpu_kv_cache_gib()),
        "decode_workers": str(count_decode_workers()),
        "vision_threads": str(count_spare_cores()),
        "max_pending_image_mib": str(default_pending_image_mib(settings)),
        "max_concurrent_requests": str(default_concurrent_requests(on_cpu=expects_cpu(settings))),
    }
    if checkpoint is not None:
        derived["max_model_len"] = str(checkpoint.text.max_position_embeddings)
        derived["served_model_name"] = checkpoint.path.name
        if checkpoint.text.conv_mode:
            derived["conv_mode"] = checkpoint.text.conv_mode
    return derived


def _show(option: Option, values: BaseModel, derived: Mapping[str, str]) -> str | None:
    value = getattr(values, option.name)
    if value is None:
        return "any" if option.name.endswith("ports") else derived.get(option.name)
    if option.is_secret:
        return MASK if value else None
    return mask_secrets(format_value(value)) or None


def _describe_default(option: Option) -> str:
    """Return the description's text about the default, or that nothing is set."""
    return (option.field.description or "").partition("default: ")[2] or "none"


def _name_source(option: Option, given: Mapping[str, str], variables: Mapping[str, str]) -> str:
    if option.name in given:
        return option.flag
    return variables.get(option.variable, "default")


def _format_lines(resolved: Sequence[ResolvedSetting]) -> Iterator[str]:
    width = max(len(each.option.name) for each in resolved)
    for group, members in groupby(resolved, key=lambda each: each.option.group):
        yield f"{group}:"
        for each in members:
            yield f"  {each.option.name:<{width}}  {each.words}  ({each.source})"
