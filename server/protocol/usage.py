"""What a request cost, in OpenAI's shape."""

from pydantic import BaseModel


class PromptTokensDetails(BaseModel):
    """Which of the prompt's tokens were cheap, and which stand for images."""

    cached_tokens: int
    image_tokens: int
    audio_tokens: int = 0


class CompletionTokensDetails(BaseModel):
    """OpenAI's kinds of tokens that LLaVA models have none of."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class Usage(BaseModel):
    """Tokens of the prompt (image tokens included) and of the answers (end tokens included)."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails
