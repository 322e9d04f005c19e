"""Messages of a request, by role."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, field_validator
from pydantic_core import PydanticCustomError

from server.protocol.messages.content import AssistantBlock, Content, TextBlock, UserBlock
from server.protocol.wire import WireModel


class UserMessage(WireModel):
    """A user's words and images, and the results of calls."""

    role: Literal["user"]
    content: Content[UserBlock]

    @field_validator("content")
    @classmethod
    def _check_not_empty(cls, value: Any) -> Any:
        if not value:
            raise PydanticCustomError("content_empty", "A user's message must not be empty")
        return value


class AssistantMessage(WireModel):
    """What the model said and called; the last message may be the beginning of its answer."""

    role: Literal["assistant"]
    content: Content[AssistantBlock]


class SystemMessage(WireModel):
    """More system text, in the midst of the conversation."""

    role: Literal["system"]
    content: Content[TextBlock]


def _select_role_branch(value: Any) -> str | None:
    role = value.get("role") if isinstance(value, dict) else getattr(value, "role", None)
    return f"#{role}" if isinstance(role, str) else None


InputMessage = Annotated[
    Annotated[UserMessage, Tag("#user")]
    | Annotated[AssistantMessage, Tag("#assistant")]
    | Annotated[SystemMessage, Tag("#system")],
    Discriminator(
        _select_role_branch,
        custom_error_type="message_role",
        custom_error_message="A message must be an object with the role 'user' or 'assistant'",
    ),
]
