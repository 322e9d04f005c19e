"""vLLM's fields about what the prompt becomes: its ending, the chat template, videos' frames."""

from enum import Enum, auto

from pydantic import Field

from server.errors import InvalidValue, UnsupportedParameter
from server.protocol.json_size import MAX_JSON_CHARACTERS, JsonObject
from server.protocol.policy import RequestPolicy
from server.protocol.video import MediaIoKwargs, VideoIoKwargs
from server.protocol.wire import WireModel

SETTING_HINT = "this server's operator has not allowed it (--trust-request-chat-template)"
FIELD_HINT = "send it as the field 'chat_template'"


class PromptEnding(Enum):
    """Where a prompt ends: at the start of an answer, after the messages, or within the last."""

    ANSWER = auto()
    MESSAGES = auto()
    CONTINUATION = auto()


class TemplateFields(WireModel):
    """Fields of chat requests and of `/tokenize`."""

    add_generation_prompt: bool | None = Field(
        None, description="vLLM's: whether the prompt ends with the start of an answer"
    )
    continue_final_message: bool | None = Field(
        None, description="vLLM's: continue the last message, which is the assistant's"
    )
    chat_template: str | None = Field(
        None,
        max_length=MAX_JSON_CHARACTERS,
        description="vLLM's: needs the setting --trust-request-chat-template",
    )
    chat_template_kwargs: JsonObject | None = Field(
        None, description="vLLM's: for the chat template, if one is in use"
    )
    media_io_kwargs: MediaIoKwargs | None = Field(
        None, description="vLLM's: how many frames are taken of videos"
    )

    @property
    def video_options(self) -> VideoIoKwargs | None:
        """How many frames are taken of videos, if the request says it."""
        return None if self.media_io_kwargs is None else self.media_io_kwargs.video

    def choose_ending(self, last_role: str) -> PromptEnding:
        """Return where the prompt ends; `last_role` is the role of the last message.

        A last message of the assistant is continued, unless a field asks for something else.
        Raises `InvalidValue`.
        """
        is_plain = self.add_generation_prompt is None and self.continue_final_message is None
        if self.continue_final_message or (is_plain and last_role == "assistant"):
            if last_role != "assistant":
                raise InvalidValue(
                    "'continue_final_message' needs a last message of the assistant.", "messages"
                )
            return PromptEnding.CONTINUATION
        if self.add_generation_prompt is False:
            return PromptEnding.MESSAGES
        return PromptEnding.ANSWER


def check_template_fields(fields: TemplateFields, policy: RequestPolicy) -> None:
    """Raise `InvalidValue` for contradicting fields, `UnsupportedParameter` for a template.

    Templates of requests are only allowed where the operator trusts them.
    """
    if fields.continue_final_message and fields.add_generation_prompt:
        raise InvalidValue(
            "'continue_final_message' and 'add_generation_prompt' cannot both be true.",
            "continue_final_message",
        )
    if fields.chat_template is not None and not policy.trust_chat_template:
        raise UnsupportedParameter(f"No 'chat_template': {SETTING_HINT}.", "chat_template")
    if (fields.chat_template_kwargs or {}).get("chat_template") is not None:
        remedy = FIELD_HINT if policy.trust_chat_template else SETTING_HINT
        raise UnsupportedParameter(
            f"No 'chat_template' in 'chat_template_kwargs': {remedy}.",
            "chat_template_kwargs.chat_template",
        )
