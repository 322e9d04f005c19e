"""Refuses images and videos that no context holds, before they are encoded."""

from server.errors import ContextLengthExceeded


def check_context(num_tokens: int, max_model_len: int) -> None:
    """Raise `ContextLengthExceeded`: media are never cut, so truncation would not help."""
    if num_tokens >= max_model_len:
        raise ContextLengthExceeded(
            f"The images and videos have at least {num_tokens} tokens; the model's context is"
            f" {max_model_len} tokens and must also hold the text and the answer. Send fewer"
            " images or videos, or ask for fewer frames. Smaller images or 'detail': 'low' help"
            " only where the model splits an image into tiles.",
            "messages",
        )
