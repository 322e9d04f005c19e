"""Token usage of a request, in OpenAI's shape."""

from pydantic import BaseModel


class PromptTokensDetails(BaseModel):
    """Numbers of prompt tokens from the prefix cache, of images and of videos."""

    cached_tokens: int
    image_tokens: int
    video_tokens: int
    audio_tokens: int = 0


class CompletionTokensDetails(BaseModel):
    """Kinds of tokens that LLaVA models do not generate."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class Usage(BaseModel):
    """Tokens of the prompt, images and videos included, and of the choices, EOS tokens included."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails
