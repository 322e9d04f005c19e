"""The commands of a chat, each a function of the chat and of what follows its name."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from server.terminal.chat import Chat
from server.terminal.errors import UsageFault
from server.terminal.image import open_image
from server.terminal.input_line import find_named_file, find_named_images
from server.terminal.text import replace_surrogates, to_one_line


class Quit(Exception):
    """The chat is over."""


@dataclass(frozen=True, slots=True)
class ChatCommand:
    """A command as /help shows it, and what it does."""

    usage: str
    help: str
    run: Callable[[Chat, str], object]

    @property
    def name(self) -> str:
        """The word it is called by, with the slash."""
        return self.usage.partition(" ")[0]


def attach(chat: Chat, words: list[str]) -> None:
    """Let images wait for the next question: all of them or none. Raises `UsageFault`."""
    chat.conversation.waiting += [open_image(word) for word in words]


def waiting(chat: Chat) -> str:
    """List the images that wait, each with its number."""
    pictures = enumerate(chat.conversation.waiting, 1)
    return ", ".join(f"{number} {to_one_line(picture.name)}" for number, picture in pictures)


def _image(chat: Chat, argument: str) -> None:
    if not argument:
        raise UsageFault("/image needs a path or a URL")
    attach(chat, find_named_images(argument))


def _images(chat: Chat, _argument: str) -> None:
    sent = sum(len(turn.asked.pictures) for turn in chat.conversation.turns)
    chat.notes.say(
        f"for the next question: {waiting(chat) or 'none'}; earlier in the conversation: {sent}",
        dim=False,
    )


def _drop(chat: Chat, argument: str) -> None:
    pictures = chat.conversation.waiting
    if not argument.isdecimal() or not 1 <= int(argument) <= len(pictures):
        raise UsageFault(f"/drop needs the number of an image: {waiting(chat) or 'none waits'}")
    chat.notes.say(f"dropped {pictures.pop(int(argument) - 1).name}")


def _clear(chat: Chat, _argument: str) -> None:
    chat.clear()
    chat.notes.say("a new conversation")


def _retry(chat: Chat, _argument: str) -> None:
    chat.retry()


def _system(chat: Chat, argument: str) -> None:
    chat.conversation.system = replace_surrogates(argument)
    chat.notes.say("the system message is set" if argument else "no system message")


def _save(chat: Chat, argument: str) -> None:
    if not argument:
        raise UsageFault("/save needs a file's name")
    path = find_named_file(argument)
    messages = chat.conversation.messages(chat.conversation.turns)
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump({"model": chat.model, "messages": messages}, file, indent=2)
            file.write("\n")
    except OSError as error:
        raise UsageFault(f"cannot save to {path}: {error.strerror}") from None
    chat.notes.say(f"saved to {path}")


def _help(chat: Chat, _argument: str) -> None:
    width = max(len(command.usage) for command in COMMANDS.values())
    lines = [f"{command.usage:{width}}  {command.help}" for command in COMMANDS.values()]
    chat.notes.say("\n".join([*lines, "", *KEYS]), dim=False)


def _quit(_chat: Chat, _argument: str) -> None:
    raise Quit


_ALL: Final = (
    ChatCommand("/image PATH|URL …", "attach images to the next question", _image),
    ChatCommand("/images", "show what is attached", _images),
    ChatCommand("/drop N", "detach image number N", _drop),
    ChatCommand("/clear", "begin a new conversation; the system message stays", _clear),
    ChatCommand("/retry", "ask the last question again", _retry),
    ChatCommand("/system TEXT", "set the system message; without TEXT there is none", _system),
    ChatCommand("/save FILE", "write the conversation to a new file, as JSON", _save),
    ChatCommand("/help", "show this", _help),
    ChatCommand("/quit", "leave, as Ctrl-D does", _quit),
)
COMMANDS: Final = {command.name: command for command in _ALL}

KEYS: Final = (
    "A path or URL at the beginning of a line is attached, too: drag a file into the terminal.",
    "Tab completes, Alt-Enter begins a new line, Ctrl-C stops the answer or clears the line.",
)
