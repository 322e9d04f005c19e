"""The interactive chat: prompt, commands, Ctrl-C and Ctrl-D."""

import sys
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import create_output
from prompt_toolkit.shortcuts import CompleteStyle

from server.terminal.chat import Chat
from server.terminal.commands import COMMANDS, Quit, attach, format_attachments
from server.terminal.completion import ChatCompleter
from server.terminal.errors import ChatError, UsageError
from server.terminal.input_line import CommandInput, QuestionInput, parse_line
from server.terminal.text import replace_surrogates

PROMPT: Final = "> "


def run_interactive(chat: Chat) -> None:
    """Run the prompt until /quit or Ctrl-D; errors are printed and the chat goes on."""
    session = _build_session()
    while True:
        try:
            line = session.prompt(_build_prompt(chat))
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        try:
            _execute(chat, line)
        except Quit:
            return
        except KeyboardInterrupt:  # between two questions
            continue
        except ChatError as error:
            _report_error(chat, error)


def _report_error(chat: Chat, error: ChatError) -> None:
    chat.console.print(f"error: {error.display_text}", dim=False)
    if chat.failed_question is not None and not isinstance(error, UsageError):
        waiting = "; its attachments wait, /drop N detaches one" if chat.history.attachments else ""
        chat.console.print(f"the question got no answer: /retry asks it again{waiting}")


def _execute(chat: Chat, line: str) -> None:
    match parse_line(replace_surrogates(line), COMMANDS):
        case CommandInput(name, argument) if name in COMMANDS:
            COMMANDS[name].run(chat, argument)
        case CommandInput(name):
            raise UsageError(f"there is no command or file {name}; /help lists the commands")
        case QuestionInput(attachments, text):
            attach(chat, attachments)
            if text:
                chat.ask(text)


def _build_session() -> PromptSession[str]:
    return PromptSession(
        # stdout is for answers.
        output=create_output(stdout=sys.stderr),
        completer=ChatCompleter(),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,
        key_bindings=_build_key_bindings(),
        multiline=True,
        prompt_continuation=" " * len(PROMPT),
    )


def _build_key_bindings() -> KeyBindings:
    """Bind Enter to send and Alt-Enter to insert a newline."""
    bindings = KeyBindings()

    @bindings.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return bindings


def _build_prompt(chat: Chat) -> StyleAndTextTuples:
    attached = format_attachments(chat)
    above: StyleAndTextTuples = [("dim", f"[{attached}]\n")] if attached else []
    return [("", "\n"), *above, ("bold", PROMPT)]
