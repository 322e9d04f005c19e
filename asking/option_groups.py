"""Options that several commands share, written once as a dataclass."""

import inspect
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_args, get_type_hints


@dataclass(frozen=True, slots=True)
class Role:
    """Whose options a dataclass has, as its class variable `role`.

    Their names begin with `prefix`, those of their environment variables with `variables`. `panel`
    is their heading in `--help`, and `helps` has the texts that are this role's own.
    """

    panel: str
    variables: str
    helps: dict[str, str]
    prefix: str = ""

    def adapt(self, name: str, annotation: Any) -> Any:
        """Return the annotation of an option, as it is for this role."""
        kind, option = get_args(annotation)
        option = copy(option)
        option.rich_help_panel = self.panel
        option.help = self.helps.get(name, option.help)
        if option.envvar:
            option.envvar = f"{self.variables}_{option.envvar}"
        return Annotated[kind, option]


def expand_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command for Typer with an option for each field of its dataclass parameters.

    A field is annotated as an option is. Its default is that of the parameter's own default, so
    that a command may change it: `candidate: CandidateOptions = CandidateOptions(max_tokens=128)`.
    A dataclass with a `role` is one of several of its kind.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        parameter.name: parameter.annotation
        for parameter in signature.parameters.values()
        if is_dataclass(parameter.annotation)
    }

    @wraps(command)
    def run(**values: Any) -> None:
        for name, group in groups.items():
            prefix = _get_prefix(group)
            values[name] = group(
                **{field.name: values.pop(prefix + field.name) for field in fields(group)}
            )
        command(**values)

    parameters = [
        option for parameter in signature.parameters.values() for option in _expand(parameter)
    ]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in parameters}
    return run


def _get_prefix(group: Any) -> str:
    """Return what the parameters of a dataclass' options begin with."""
    role: Role | None = getattr(group, "role", None)
    return role.prefix.replace("-", "_") if role else ""


def _expand(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    kind = inspect.Parameter.KEYWORD_ONLY  # then a default may come before none
    group = parameter.annotation
    if not is_dataclass(group):
        yield parameter.replace(kind=kind)
        return
    hints, role = get_type_hints(group, include_extras=True), getattr(group, "role", None)
    for field in fields(group):
        hint = hints[field.name]
        yield inspect.Parameter(
            _get_prefix(group) + field.name,
            kind,
            default=getattr(parameter.default, field.name),
            annotation=role.adapt(field.name, hint) if role else hint,
        )
