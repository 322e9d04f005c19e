"""The command line as texts by setting, and every mistake in it at once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from server.settings.options import Option, list_options
from server.start.mistakes import Mistake, find_nearest

SWITCH_WORDS: Final = frozenset({"true", "false", "on", "off", "yes", "no", "1", "0"})
# Options that ask for something other than to serve. They take no value.
HELP: Final = ("-h", "--help")
VERSION: Final = "--version"
CHECK: Final = "--check"
ACTIONS: Final = (*HELP, VERSION, CHECK)


@dataclass(slots=True)
class CommandLine:
    """A parsed command line. `values` holds the texts of its settings."""

    values: dict[str, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    wants_help: bool = False
    wants_version: bool = False
    wants_check: bool = False


def parse_command_line(
    words: Sequence[str], commands: Collection[str] = (), more: Sequence[Option] = ()
) -> CommandLine:
    """Read `--name value`, `--name=value`, `--switch` and `--no-switch`; the last one counts.

    `commands` are the program's commands, which a user may have written after an option. `more` are
    options in addition to the server's.
    """
    parsed = CommandLine()
    flags = _index_flags([*more, *list_options()])
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.partition("=")[0] in ACTIONS:
            _parse_action(word, rest, parsed)
        elif word in commands:
            problem = f"a command must be the first word: {word} [options]"
            parsed.mistakes.append(Mistake(word, problem))
        else:
            _parse_option(word, rest, flags, parsed)
    return parsed


def _parse_action(word: str, rest: list[str], parsed: CommandLine) -> None:
    flag, sign, _ = word.partition("=")
    if not sign and rest and rest[0].lower() in SWITCH_WORDS:
        word = f"{word} {rest.pop(0)}"
    if word != flag:
        parsed.mistakes.append(Mistake(word, f"takes no value: write {flag}"))
    parsed.wants_help |= flag in HELP and word == flag
    parsed.wants_version |= flag == VERSION and word == flag
    parsed.wants_check |= flag == CHECK


def _index_flags(options: Sequence[Option]) -> Mapping[str, tuple[Option, str | None]]:
    """Return the options by flag, each with the value that the flag alone stands for."""
    flags: dict[str, tuple[Option, str | None]] = {}
    for option in options:
        flags[option.flag] = (option, "true" if option.is_switch else None)
        if option.is_switch:
            flags[f"--no-{option.flag[2:]}"] = (option, "false")
    return flags


def _parse_option(
    word: str,
    rest: list[str],
    flags: Mapping[str, tuple[Option, str | None]],
    parsed: CommandLine,
) -> None:
    flag, sign, value = word.partition("=")
    if flag not in flags:
        parsed.mistakes.append(_explain_unknown(word, flag, flags))
        if flag.startswith("--") and not sign and rest and not rest[0].startswith("--"):
            rest.pop(0)  # its value
        return
    option, implied = flags[flag]
    text = value if sign else _take_value(rest, implied)
    if text is None:
        problem = f"needs a value: {flag} {option.placeholder}"
        parsed.mistakes.append(Mistake(flag, problem, option.name))
    elif text == "" and not option.is_list:
        problem = "is empty; leave it out, or give it a value"
        parsed.mistakes.append(Mistake(flag, problem, option.name))
    elif sign and implied == "false":
        problem = f"takes no value: {flag}, or {option.flag}={value}"
        parsed.mistakes.append(Mistake(word, problem, option.name))
    else:
        parsed.values[option.name] = text


def _take_value(rest: list[str], implied: str | None) -> str | None:
    """Take the next word if it is the value; a switch's value must be a yes or no."""
    if implied is not None:
        is_value = implied == "true" and bool(rest) and rest[0].lower() in SWITCH_WORDS
        return rest.pop(0) if is_value else implied
    return rest.pop(0) if rest and not rest[0].startswith("--") else None


def _explain_unknown(
    word: str, flag: str, flags: Mapping[str, tuple[Option, str | None]]
) -> Mistake:
    if not word.startswith("-"):
        return Mistake(
            word, f"is neither a command nor an option; to serve a model, use --model {word}"
        )
    known = (*flags, *ACTIONS)
    nearest = find_nearest(flag, known)
    remedy = f"did you mean {nearest}?" if nearest else "--help lists them"
    problem = f"no such option; {remedy}"
    return Mistake(flag, problem, flags[nearest][0].name if nearest and nearest in flags else "")
