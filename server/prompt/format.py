"""A checkpoint's prompt format: template, tokenizer and stop criteria."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tokenizers import Tokenizer

from server.checkpoint.config import CheckpointError, TextConfig
from server.prompt.chat_template import ChatTemplate
from server.prompt.templates import TEMPLATES, ConversationTemplate, build_conversation_template
from server.prompt.tokenizer import PromptTokenizer

# The `conv_mode` that selects the checkpoint's own template instead of one of LLaVA's.
CHAT_TEMPLATE: Final = "chat_template"

NEXT_MODELS: Final = ("llava_next", "llava_next_video")


@dataclass(frozen=True, slots=True)
class StopCriteria:
    """Strings and tokens that end an answer, besides EOS; they are not part of its text."""

    strings: Sequence[str]
    token_ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """The parts that turn a conversation into token ids.

    An image or a video is a run of `image_token_id`, which the engine replaces with embeddings.
    `video_token_id` is what the checkpoint's own template writes for a video, None without video.
    """

    template: ConversationTemplate | ChatTemplate
    tokenizer: PromptTokenizer
    stop: StopCriteria
    image_token_id: int
    media_tokens: tuple[str, str | None] = ("<image>", None)
    video_token_id: int | None = None


def choose_prompt_format(
    tokenizer: Tokenizer, text: TextConfig, conv_mode: str | None = None
) -> PromptFormat:
    """Use `conv_mode`, else the checkpoint's template, else that of its model type's training.

    Raises `CheckpointError` if the template does not exist or the tokenizer lacks a token.
    """
    prompt_tokenizer = PromptTokenizer(tokenizer, text)
    conv_mode = conv_mode or choose_conv_mode(text, prompt_tokenizer)
    template = _build_template(conv_mode, text, tokenizer)
    return PromptFormat(
        template,
        prompt_tokenizer,
        _build_stop_criteria(template, text.eos_token, prompt_tokenizer),
        text.image_token_id,
        read_media_tokens(text, tokenizer),
        text.video_token_id,
    )


def choose_conv_mode(text: TextConfig, tokenizer: PromptTokenizer) -> str:
    """Return the checkpoint's template, else that of its model type's training."""
    return text.conv_mode or _infer_conv_mode(text, tokenizer)


def read_media_tokens(text: TextConfig, tokenizer: Tokenizer) -> tuple[str, str | None]:
    """Return what the checkpoint's own template writes for an image, and for a video if it can."""
    image, video_id = tokenizer.id_to_token(text.image_token_id) or "<image>", text.video_token_id
    return image, None if video_id is None else tokenizer.id_to_token(video_id)


def _infer_conv_mode(text: TextConfig, tokenizer: PromptTokenizer) -> str:
    """Infer the template of a checkpoint that names none; most converted checkpoints do not."""
    # Released with a template that differs from the one in LLaVA's code.
    is_own = text.model_type in ("vipllava", "llava_next_video", "llava_onevision")
    if text.chat_template is not None and (is_own or not _is_of_llava(text, tokenizer)):
        return CHAT_TEMPLATE
    if text.model_type in NEXT_MODELS and text.language_model == "mistral":
        return "mistral_instruct"
    if text.model_type in NEXT_MODELS and _is_yi(text, tokenizer):
        return "chatml_direct"
    return _infer_without_chat_template(text, tokenizer)


def _is_of_llava(text: TextConfig, tokenizer: PromptTokenizer) -> bool:
    """Whether LLaVA's authors trained this language model with a template of LLaVA's code.

    These are Vicunas, and for LLaVA-NeXT Mistral and Yi. Others brought their own template.
    """
    if text.model_type in NEXT_MODELS and text.language_model == "mistral":
        return True
    is_vicuna = text.language_model == "llama" and tokenizer.token_to_id("</s>") is not None
    return is_vicuna or (text.model_type in NEXT_MODELS and _is_yi(text, tokenizer))


def _is_yi(text: TextConfig, tokenizer: PromptTokenizer) -> bool:
    return text.language_model == "llama" and tokenizer.token_to_id("<|im_start|>") is not None


def _infer_without_chat_template(text: TextConfig, tokenizer: PromptTokenizer) -> str:
    if text.model_type == "vipllava":
        return "llava_v0"
    if tokenizer.token_to_id("<|start_header_id|>") is not None:
        return "llava_llama_3" if text.model_type in NEXT_MODELS else "llama_3"
    if text.language_model == "qwen2" and tokenizer.token_to_id("<|im_start|>") is not None:
        return "qwen_1_5"
    return "vicuna_v1"


def _build_template(
    conv_mode: str, text: TextConfig, tokenizer: Tokenizer
) -> ConversationTemplate | ChatTemplate:
    if conv_mode == CHAT_TEMPLATE:
        if text.chat_template is None:
            raise CheckpointError("the checkpoint has no chat template of its own")
        image_token, video_token = read_media_tokens(text, tokenizer)
        return ChatTemplate(text.chat_template, text.special_tokens, image_token, video_token)
    if conv_mode not in TEMPLATES:
        names = ", ".join([*TEMPLATES, CHAT_TEMPLATE])
        raise CheckpointError(f"the conversation template {conv_mode!r} is not one of {names}")
    return build_conversation_template(conv_mode, image_start_end=text.image_start_end)


def _build_stop_criteria(
    template: ConversationTemplate | ChatTemplate, eos_token: str, tokenizer: PromptTokenizer
) -> StopCriteria:
    """Return the template's stop as a token if it is one, since tokens are not part of the text."""
    stop = template.stop
    if stop is None or stop == eos_token:
        return StopCriteria((), ())
    token_id = tokenizer.token_to_id(stop)
    return StopCriteria((stop,), ()) if token_id is None else StopCriteria((), (token_id,))
