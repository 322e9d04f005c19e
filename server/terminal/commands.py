"""The slash commands; each is a function of the chat and the command's argument."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from server.terminal.attachment import Kind, open_attachment
from server.terminal.chat import Chat
from server.terminal.errors import UsageError
from server.terminal.input_line import parse_attachment_arguments, parse_file_argument
from server.terminal.text import replace_surrogates, to_one_line


class Quit(Exception):
    """Raised by /quit."""


@dataclass(frozen=True, slots=True)
class ChatCommand:
    """A command: its help and its function."""

    usage: str
    help: str
    run: Callable[[Chat, str], object]

    @property
    def name(self) -> str:
        """The command's name, with the slash."""
        return self.usage.partition(" ")[0]


def attach(chat: Chat, paths: Iterable[str], kind: Kind | None = None) -> None:
    """Attach all of them to the next question, or none. Raises `UsageError`."""
    chat.history.attachments += [open_attachment(path, kind) for path in paths]


def format_attachments(chat: Chat) -> str:
    """Format what is attached as a numbered list."""
    attachments = enumerate(chat.history.attachments, 1)
    return ", ".join(f"{number} {to_one_line(each.name)}" for number, each in attachments)


def _attach(kind: Kind, chat: Chat, argument: str) -> None:
    if not argument:
        raise UsageError(f"/{kind} needs a path or a URL")
    attach(chat, parse_attachment_arguments(argument), kind)


def _list(chat: Chat, _argument: str) -> None:
    sent = sum(len(turn.question.attachments) for turn in chat.history.turns)
    attached = format_attachments(chat) or "none"
    chat.console.print(
        f"for the next question: {attached}; earlier in the conversation: {sent}", dim=False
    )


def _detach(chat: Chat, argument: str) -> None:
    attachments = chat.history.attachments
    if not argument.isdecimal() or not 1 <= int(argument) <= len(attachments):
        listed = format_attachments(chat) or "none is attached"
        raise UsageError(f"/drop needs the number of an attachment: {listed}")
    chat.console.print(f"dropped {attachments.pop(int(argument) - 1).name}")


def _clear(chat: Chat, _argument: str) -> None:
    chat.clear()
    chat.console.print("a new conversation")


def _retry(chat: Chat, _argument: str) -> None:
    chat.retry()


def _set_system_message(chat: Chat, argument: str) -> None:
    chat.history.system = replace_surrogates(argument)
    chat.console.print("the system message is set" if argument else "no system message")


def _save(chat: Chat, argument: str) -> None:
    if not argument:
        raise UsageError("/save needs a file's name")
    path = parse_file_argument(argument)
    messages = chat.history.build_messages(chat.history.turns)
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump({"model": chat.model, "messages": messages}, file, indent=2)
            file.write("\n")
    except OSError as error:
        raise UsageError(f"cannot save to {path}: {error.strerror}") from None
    chat.console.print(f"saved to {path}")


def _print_help(chat: Chat, _argument: str) -> None:
    width = max(len(command.usage) for command in COMMANDS.values())
    lines = [f"{command.usage:{width}}  {command.help}" for command in COMMANDS.values()]
    chat.console.print("\n".join([*lines, "", *KEYS]), dim=False)


def _quit(_chat: Chat, _argument: str) -> None:
    raise Quit


_COMMANDS: Final = (
    ChatCommand(
        "/image PATH|URL …", "attach images to the next question", partial(_attach, "image")
    ),
    ChatCommand(
        "/video PATH|URL …", "attach videos to the next question", partial(_attach, "video")
    ),
    ChatCommand("/attached", "list what is attached", _list),
    ChatCommand("/drop N", "detach number N", _detach),
    ChatCommand("/clear", "begin a new conversation; the system message stays", _clear),
    ChatCommand("/retry", "ask the last question again", _retry),
    ChatCommand(
        "/system TEXT", "set the system message; without TEXT there is none", _set_system_message
    ),
    ChatCommand("/save FILE", "write the conversation to a new file, as JSON", _save),
    ChatCommand("/help", "show this", _print_help),
    ChatCommand("/quit", "leave, as Ctrl-D does", _quit),
)
COMMANDS: Final = {command.name: command for command in _COMMANDS}

KEYS: Final = (
    "A path or URL at the beginning of a line is attached, too: drag a file into the terminal.",
    "Tab completes, Alt-Enter begins a new line, Ctrl-C stops the answer or clears the line.",
)
