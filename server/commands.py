"""The commands of `llava-server`; only the chosen one is imported."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Final

from server.process.early_signals import Stopped, stop_on_signals

USAGE: Final = 2


@dataclass(frozen=True, slots=True)
class Command:
    """A command's purpose, and its function `module:name`, which takes words and program name."""

    purpose: str
    function: str

    def load(self) -> Callable[[Sequence[str], str], int]:
        """Import the function."""
        module, _, name = self.function.partition(":")
        function: Callable[[Sequence[str], str], int] = getattr(import_module(module), name)
        return function


SERVE: Final = "serve"
COMMANDS: Final[Mapping[str, Command]] = {
    SERVE: Command("serve a model; this is the default", "server.commands:serve"),
    "scale": Command("serve with several replicas on this machine", "server.scale.command:main"),
    "chat": Command(
        "ask a model about images and videos, in the terminal", "server.terminal.program:main"
    ),
    "keys": Command("create, list and revoke API keys", "server.keys.command:main"),
    "models": Command("list, show, verify, pull models", "model_store.__main__:main"),
    "convert": Command("convert a release to a checkpoint", "model_store.__main__:convert_release"),
    "train": Command("train a LLaVA in the paper's two stages", "training.__main__:main"),
    "evaluate": Command("evaluate the model behind an endpoint", "evaluation.__main__:main"),
}


def run(words: Sequence[str], program: str) -> int:
    """Run the command named by the first word, or serve; return the exit code."""
    name = words[0] if words and not words[0].startswith("-") else None
    if name is None:
        return serve(words, program)
    if name not in COMMANDS:
        return _refuse(name, program)
    return COMMANDS[name].load()(words[1:], f"{program} {name}")


def serve(words: Sequence[str], program: str) -> int:
    """Serve a model; see `server.start.command`."""
    stop_on_signals()
    try:
        from server.start.command import main

        purposes = {name: command.purpose for name, command in COMMANDS.items()}
        return main(words, program.removesuffix(f" {SERVE}"), purposes)
    except Stopped:
        return 0


def _refuse(name: str, program: str) -> int:
    near = get_close_matches(name, COMMANDS, 1)
    remedy = f"did you mean {near[0]}?" if near else f"to serve a model, use --model {name}"
    print(f"{program}: no such command {name!r}; {remedy}", file=sys.stderr)
    return USAGE
