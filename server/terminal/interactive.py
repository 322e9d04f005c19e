"""The conversation at a terminal: prompt, commands, Ctrl-C and Ctrl-D."""

import sys
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import create_output
from prompt_toolkit.shortcuts import CompleteStyle

from server.terminal.chat import Chat
from server.terminal.commands import COMMANDS, Quit, attach, waiting
from server.terminal.completion import ChatCompleter
from server.terminal.errors import ChatError, UsageFault
from server.terminal.input_line import Command, UserQuestion, read_line
from server.terminal.text import replace_surrogates

PROMPT: Final = "> "


def converse(chat: Chat) -> None:
    """Ask what is typed until it is over; errors are shown, and the chat goes on."""
    session = _session()
    while True:
        try:
            line = session.prompt(_prompt(chat))
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        try:
            _follow(chat, line)
        except Quit:
            return
        except KeyboardInterrupt:  # between two questions
            continue
        except ChatError as error:
            _explain(chat, error)


def _explain(chat: Chat, error: ChatError) -> None:
    chat.notes.say(f"error: {error.shown}", dim=False)
    if chat.failed is not None and not isinstance(error, UsageFault):
        images = "; its images wait, /drop N detaches one" if chat.conversation.waiting else ""
        chat.notes.say(f"the question was taken back: /retry asks it again{images}")


def _follow(chat: Chat, line: str) -> None:
    match read_line(replace_surrogates(line), COMMANDS):
        case Command(name, argument) if name in COMMANDS:
            COMMANDS[name].run(chat, argument)
        case Command(name):
            raise UsageFault(f"there is no command or image {name}; /help lists the commands")
        case UserQuestion(images, text):
            attach(chat, list(images))
            if text:
                chat.ask(text)


def _session() -> PromptSession[str]:
    return PromptSession(
        # stdout is for answers.
        output=create_output(stdout=sys.stderr),
        completer=ChatCompleter(),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,
        key_bindings=_keys(),
        multiline=True,
        prompt_continuation=" " * len(PROMPT),
    )


def _keys() -> KeyBindings:
    """Enter sends, Alt-Enter begins a new line."""
    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _prompt(chat: Chat) -> StyleAndTextTuples:
    images = waiting(chat)
    above: StyleAndTextTuples = [("dim", f"[{images}]\n")] if images else []
    return [("", "\n"), *above, ("bold", PROMPT)]
