"""Errors of the chat, with their exit codes.

ChatError                base of the errors below; the message is for the user
├─ UsageError         2  an argument, a file or a key is unusable
├─ APIError           1  the server returned an error, or its response broke off
└─ ServerUnreachable  3  no server answers at the URL
"""

from typing import Any, ClassVar


class ChatError(Exception):
    """Base of the errors that are printed without a traceback."""

    exit_code: ClassVar[int] = 1

    @property
    def display_text(self) -> str:
        """The message as text."""
        return str(self)

    @property
    def json_fields(self) -> dict[str, Any]:
        """The message as the fields of a JSON object."""
        return {"message": str(self), "exit_code": self.exit_code}


class UsageError(ChatError):
    """An argument, a file or a key is unusable."""

    exit_code = 2


class ServerUnreachable(ChatError):
    """No server answers at the URL."""

    exit_code = 3


class APIError(ChatError):
    """The server returned an error, or its response broke off.

    `code`, `param` and `kind` are OpenAI's `code`, `param` and `type`, if present.
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
    def display_text(self) -> str:
        """The message with the error code and the parameter."""
        details = ", ".join(part for part in (self.code, self.param) if part)
        return f"{self} ({details})" if details else str(self)

    @property
    def json_fields(self) -> dict[str, Any]:
        """OpenAI's error object with status and exit code."""
        details = {"type": self.kind, "param": self.param, "code": self.code, "status": self.status}
        return super().json_fields | details
