"""Fields of a body that its models do not have, at any depth: harmless, unknown or unsupported."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from server.errors import UnsupportedParameter
from server.protocol.ignored_values import ANY_VALUE, IGNORED_VALUES, NULL_ONLY, REMEDIES
from server.protocol.suggestions import find_near
from server.protocol.text import cut

INDEX: Final = re.compile(r"\[\d+\]")


def check_extra_fields(body: BaseModel, *, ignore_unknown: bool) -> tuple[str, ...]:
    """Take the extra fields out of a validated body; return the paths of unknown ones.

    One that is null is absent. Raises `UnsupportedParameter` for a value that `IGNORED_VALUES` does
    not accept, and for an unknown field unless `ignore_unknown`.
    """
    unknown = []
    for extra in list(take_extra_fields(body)):
        if extra.value is None:
            continue
        path = extra.path
        accepted = IGNORED_VALUES.get(INDEX.sub("[]", path))
        if accepted is not None:
            _check_value(path, extra.value, accepted)
        elif ignore_unknown:
            unknown.append(path)
        else:
            raise UnsupportedParameter(_explain_unknown(extra), path)
    return tuple(unknown)


@dataclass(frozen=True, slots=True)
class ExtraField:
    """A field that `kind` lacks, in the object at the path `parent`."""

    parent: str
    name: str
    value: Any
    kind: type[BaseModel]

    @property
    def path(self) -> str:
        """The field's path in the request."""
        return _join(self.parent, self.name)


def take_extra_fields(model: BaseModel, path: str = "") -> Iterator[ExtraField]:
    """Remove and yield the extra fields of a model and of those in it."""
    if model.model_extra:
        extras = list(model.model_extra.items())
        model.model_extra.clear()
        yield from (ExtraField(path, cut(name), value, type(model)) for name, value in extras)
    for name, value in model.__dict__.items():
        if isinstance(value, BaseModel):
            yield from take_extra_fields(value, _join(path, name))
        elif isinstance(value, list) and not (value and isinstance(value[0], int | str)):
            for index, item in enumerate(value):
                if isinstance(item, BaseModel):
                    yield from take_extra_fields(item, f"{_join(path, name)}[{index}]")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _explain_unknown(extra: ExtraField) -> str:
    """Name the field, and the nearest that its object has or that is accepted in its place."""
    fields = [field.alias or name for name, field in extra.kind.model_fields.items()]
    near = find_near(extra.name, [*fields, *_list_ignored(INDEX.sub("[]", extra.parent))])
    remedy = f" Did you mean '{_join(extra.parent, near)}'?" if near else ""
    return f"Unknown or unsupported parameter: '{extra.path}'.{remedy}"


def _list_ignored(parent: str) -> Iterator[str]:
    """Yield the fields below a path of which some value is accepted."""
    for path, accepted in IGNORED_VALUES.items():
        above, _, name = path.rpartition(".")
        if above == parent and accepted != NULL_ONLY:
            yield name


def _check_value(path: str, value: Any, accepted: tuple[Any, ...]) -> None:
    if accepted == ANY_VALUE:
        return
    if isinstance(value, dict):  # its nulls are absent, too
        value = {key: each for key, each in value.items() if each is not None}
    if not any(_is_same_json(value, each) for each in accepted):
        raise UnsupportedParameter(_explain_refusal(path, accepted), path)


def _explain_refusal(path: str, accepted: tuple[Any, ...]) -> str:
    """Say what to send instead: another field, an accepted value, or nothing."""
    remedy = REMEDIES.get(INDEX.sub("[]", path))
    if remedy is None and accepted:
        remedy = f"send {' or '.join(map(json.dumps, accepted))}, or leave it out"
    subject = f"This value of '{path}'" if accepted else f"'{path}'"
    return f"{subject} is not supported: {remedy or 'leave it out'}."


def _is_same_json(value: Any, other: Any) -> bool:
    """Whether two JSON values are equal; in JSON, true is not 1."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)
