"""LLaVA's conversation templates, as the released code's `conv_templates` and `get_prompt`.

A request's system text replaces the template's; an empty one leaves none. Images come at the front
of their turn, each followed by a newline.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from server.prompt.segments import ImageSlot, Segment, TemplateText, UntrustedText
from server.prompt.turns import Turn

Render = Callable[[str | None, Sequence[Turn]], Iterable[Segment]]

USER_SYSTEM: Final = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
HUMAN_SYSTEM: Final = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
LLAMA_2_SYSTEM: Final = (
    "You are a helpful language and vision assistant. You are able to understand the visual "
    "content that the user provides, and assist the user with a variety of tasks using natural "
    "language."
)
MPT_SYSTEM: Final = (
    "A conversation between a user and an LLM-based AI assistant. "
    "The assistant gives helpful and honest answers."
)


@dataclass(frozen=True, slots=True)
class Template:
    """How turns become a prompt, and what ends an answer where the tokenizer's own end does not.

    `system` is what a conversation without a system text of its own begins with.
    """

    render: Render
    stop: str | None
    system: str = ""


def build_conversation_template(conv_mode: str, *, image_start_end: bool) -> Template:
    """Return a template of `TEMPLATES`, its images within `<im_start>` and `<im_end>` if so asked.

    Raises `KeyError`.
    """
    template = TEMPLATES[conv_mode]
    if not image_start_end:
        return template
    return replace(
        template, render=lambda system, turns: _wrap_images(template.render(system, turns))
    )


def _wrap_images(segments: Iterable[Segment]) -> Iterator[Segment]:
    """Do what `mm_use_im_start_end` asks for."""
    for segment in segments:
        if isinstance(segment, ImageSlot):
            yield TemplateText("<im_start>")
            yield segment
            yield TemplateText("<im_end>")
        else:
            yield segment


def _words(turn: Turn) -> Iterator[Segment]:
    for _ in range(turn.num_images):
        yield ImageSlot()
        yield TemplateText("\n")
    yield UntrustedText(turn.text)


def _two(default: str, system: str | None, turns: Sequence[Turn]) -> Iterator[Segment]:
    """Render `{system} USER: {q} ASSISTANT: {a}</s>USER: …` (SeparatorStyle.TWO)."""
    system = default if system is None else system
    if system:
        yield from (UntrustedText(system), TemplateText(" "))
    for turn in turns:
        asks = turn.role == "user"
        yield TemplateText("USER: " if asks else "ASSISTANT: ")
        yield from _words(turn)
        yield TemplateText(" " if asks else "</s>")
    yield TemplateText("ASSISTANT:")


def _single(default: str, system: str | None, turns: Sequence[Turn]) -> Iterator[Segment]:
    """Render `{system}###Human: {q}###Assistant: {a}###` (SeparatorStyle.SINGLE)."""
    yield from (UntrustedText(default if system is None else system), TemplateText("###"))
    for turn in turns:
        yield TemplateText("Human: " if turn.role == "user" else "Assistant: ")
        yield from _words(turn)
        yield TemplateText("###")
    yield TemplateText("Assistant:")


def _llama_2(
    default: str, separator: str, system: str | None, turns: Sequence[Turn]
) -> Iterator[Segment]:
    """Render `[INST] <<SYS>>\\n{system}\\n<</SYS>>\\n\\n{q} [/INST] {a} </s>` (LLAMA_2).

    `separator` begins every user turn but the prompt's first, which the tokenizer's BOS begins.
    """
    system = default if system is None else system
    for index, turn in enumerate(turns):
        if turn.role != "user":
            yield from (TemplateText(" "), *_words(turn), TemplateText(" </s>"))
            continue
        yield TemplateText(f"{separator}[INST] " if index else "[INST] ")
        if system:
            yield from (
                TemplateText("<<SYS>>\n"),
                UntrustedText(system),
                TemplateText("\n<</SYS>>\n\n"),
            )
            system = ""
        yield from (*_words(turn), TemplateText(" [/INST]"))


def _chatml(default: str, system: str | None, turns: Sequence[Turn]) -> Iterator[Segment]:
    """Render `<|im_start|>{role}\\n{words}<|im_end|>` without newlines between (MPT)."""
    system = default if system is None else system
    if system:
        yield from (
            TemplateText("<|im_start|>system\n"),
            UntrustedText(system),
            TemplateText("<|im_end|>"),
        )
    for turn in turns:
        yield TemplateText(f"<|im_start|>{turn.role}\n")
        yield from (*_words(turn), TemplateText("<|im_end|>"))
    yield TemplateText("<|im_start|>assistant\n")


def _plain(system: str | None, turns: Sequence[Turn]) -> Iterator[Segment]:
    """Render images and words, each turn a line, as in stage 1 of the training (PLAIN)."""
    yield UntrustedText(system or "")
    for turn in turns:
        yield from (*_words(turn), TemplateText("\n"))


def _template(
    render: Callable[..., Iterable[Segment]], system: str, stop: str, *details: str
) -> Template:
    return Template(partial(render, system, *details), stop, system)


TEMPLATES: Final[dict[str, Template]] = {
    "vicuna_v1": _template(_two, USER_SYSTEM, "</s>"),
    "llava_v1": _template(_two, HUMAN_SYSTEM, "</s>"),
    "llava_v0": _template(_single, HUMAN_SYSTEM, "###"),
    "llava_llama_2": _template(_llama_2, LLAMA_2_SYSTEM, "</s>", "<s>"),
    "mistral_instruct": _template(_llama_2, "", "</s>", ""),
    "chatml_direct": _template(_chatml, "Answer the questions.", "<|im_end|>"),
    "mpt": _template(_chatml, MPT_SYSTEM, "<|im_end|>"),
    "plain": Template(_plain, "\n"),
}
