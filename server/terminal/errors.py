"""What ends a question or the program, and with which exit code.

ChatError          the message is written for whoever asked
├─ UsageFault      2: an argument or a file that cannot be used
├─ AnswerError     1: the server answered with an error, or broke off
└─ NoServer        3: nothing answers at the URL
"""

from typing import Any, ClassVar


class ChatError(Exception):
    """Base of all errors that end with a message instead of a traceback."""

    exit_code: ClassVar[int] = 1

    @property
    def shown(self) -> str:
        """The message for people."""
        return str(self)

    @property
    def fields(self) -> dict[str, Any]:
        """The message for programs."""
        return {"message": str(self), "exit_code": self.exit_code}


class UsageFault(ChatError):
    """An argument, a file or a key that cannot be used."""

    exit_code = 2


class NoServer(ChatError):
    """Nothing answers at the URL."""

    exit_code = 3


class AnswerError(ChatError):
    """The server answered with an error, or its answer broke off.

    `code`, `param` and `kind` are OpenAI's `code`, `param` and `type`, where the server gave them.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        kind: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.kind = status, code, param, kind

    @property
    def shown(self) -> str:
        """The message, then what the server calls it and the field at fault."""
        known = ", ".join(part for part in (self.code, self.param) if part)
        return f"{self} ({known})" if known else str(self)

    @property
    def fields(self) -> dict[str, Any]:
        """OpenAI's error object with the status and the exit code."""
        said = {"type": self.kind, "param": self.param, "code": self.code, "status": self.status}
        return super().fields | said
