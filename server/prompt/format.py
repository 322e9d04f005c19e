"""How one checkpoint wants its prompts: template, tokenizer, and what ends an answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tokenizers import Tokenizer

from server.checkpoint.config import CheckpointError, TextConfig
from server.prompt.chat_template import ChatTemplate
from server.prompt.templates import TEMPLATES, Template, build_conversation_template
from server.prompt.tokenizer import PromptTokenizer

# The setting that takes the checkpoint's own template instead of one of LLaVA's.
CHAT_TEMPLATE: Final = "chat_template"


@dataclass(frozen=True, slots=True)
class Stop:
    """What ends an answer, beside the tokenizer's EOS; nothing of it is shown."""

    strings: Sequence[str]
    token_ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """All that turns a conversation into token ids; an image is its token's id, repeated."""

    template: Template | ChatTemplate
    tokenizer: PromptTokenizer
    stop: Stop
    image_token_id: int


def choose_prompt_format(
    tokenizer: Tokenizer, text: TextConfig, conv_mode: str | None = None
) -> PromptFormat:
    """Take `conv_mode`, else the checkpoint's own, else what its kind was trained with.

    Raises `CheckpointError` where there is no such template or the tokenizer lacks a token.
    """
    prompt_tokenizer = PromptTokenizer(tokenizer, text)
    conv_mode = conv_mode or text.conv_mode or _infer(text, prompt_tokenizer)
    template = _template(conv_mode, text, tokenizer)
    return PromptFormat(
        template,
        prompt_tokenizer,
        _stop(template, text.eos_token, prompt_tokenizer),
        text.image_token_id,
    )


def _infer(text: TextConfig, tokenizer: PromptTokenizer) -> str:
    """Return the template of a checkpoint that does not name one: a converted one, mostly."""
    is_yi = text.language_model == "llama" and tokenizer.token_id("<|im_start|>") is not None
    if text.model_type == "llava_next" and text.language_model == "mistral":
        return "mistral_instruct"
    if text.model_type == "llava_next" and is_yi:
        return "chatml_direct"
    # No Vicuna, and so not trained by LLaVA's authors: its own template knows better.
    if tokenizer.token_id("</s>") is None and text.chat_template is not None:
        return CHAT_TEMPLATE
    return "vicuna_v1"


def _template(conv_mode: str, text: TextConfig, tokenizer: Tokenizer) -> Template | ChatTemplate:
    if conv_mode == CHAT_TEMPLATE:
        if text.chat_template is None:
            raise CheckpointError("the checkpoint has no chat template of its own")
        image_token = tokenizer.id_to_token(text.image_token_id) or "<image>"
        return ChatTemplate(text.chat_template, text.special_tokens, image_token)
    if conv_mode not in TEMPLATES:
        known = ", ".join([*TEMPLATES, CHAT_TEMPLATE])
        raise CheckpointError(f"the conversation template {conv_mode!r} is none of {known}")
    return build_conversation_template(conv_mode, image_start_end=text.image_start_end)


def _stop(template: Template | ChatTemplate, eos_token: str, tokenizer: PromptTokenizer) -> Stop:
    """Return the template's stop as a token where it is one, since tokens do not show as text."""
    stop = template.stop if isinstance(template, Template) else None
    if stop is None or stop == eos_token:
        return Stop((), ())
    token_id = tokenizer.token_id(stop)
    return Stop((stop,), ()) if token_id is None else Stop((), (token_id,))
