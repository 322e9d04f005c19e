"""Jinja for chat templates: transformers' filters, globals and extensions, in a sandbox."""

import json
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import Template, nodes
from jinja2.exceptions import TemplateRuntimeError
from jinja2.ext import Extension, loopcontrols
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment


class TemplateRefusal(TemplateRuntimeError):
    """The template called `raise_exception` with this message."""


class GenerationBlock(Extension):
    """`{% generation %} … {% endgeneration %}`: renders its content; the tag is for training."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return the nodes inside the block."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def compile_template(source: str) -> Template:
    """Compile a chat template. Raises `jinja2.TemplateError`."""
    environment = _build_environment()
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment.from_string(source)


def find_undeclared_names(source: str) -> set[str]:
    """Return the names of a template's variables. Raises `jinja2.TemplateError`."""
    return find_undeclared_variables(_build_environment().parse(source))


def _build_environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, loopcontrols]
    )


def _tojson(value: Any, **options: Any) -> str:
    """Return JSON without HTML escapes, which Jinja's own filter adds."""
    return json.dumps(value, **{"ensure_ascii": False, **options})


def _raise_exception(message: object) -> NoReturn:
    raise TemplateRefusal(str(message))


def _strftime_now(format_string: str) -> str:
    return datetime.now().strftime(format_string)
