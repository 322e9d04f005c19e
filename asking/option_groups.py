"""Options that several commands share, written once as a dataclass."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints


def expand_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command for Typer with an option for each field of its dataclass parameters.

    A field is annotated as an option is. Its default is that of the parameter's own default, so
    that a command may change it: `candidate: CandidateOptions = CandidateOptions(max_tokens=128)`.
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
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        command(**values)

    parameters = [
        option for parameter in signature.parameters.values() for option in _expand(parameter)
    ]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in parameters}
    return run


def _expand(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    kind = inspect.Parameter.KEYWORD_ONLY  # then a default may come before none
    if not is_dataclass(parameter.annotation):
        yield parameter.replace(kind=kind)
        return
    hints = get_type_hints(parameter.annotation, include_extras=True)
    for field in fields(parameter.annotation):
        default = getattr(parameter.default, field.name)
        yield inspect.Parameter(field.name, kind, default=default, annotation=hints[field.name])
