"""LLaVA's conversation templates; they follow the released `conv_templates` and `get_prompt`.

A request's system text replaces the template's; an empty one removes it. Images come first in
their turn, each followed by a newline.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from server.prompt.example_turns import EXAMPLE_TURNS
from server.prompt.segments import MediaSlot, Segment, TemplateText, UntrustedText
from server.prompt.system_texts import (
    HUMAN_SYSTEM,
    LLAMA_2_SYSTEM,
    LLAVA_SYSTEM,
    MMTAG_SYSTEM,
    MPT_SYSTEM,
    QWEN_SYSTEM,
    USER_SYSTEM,
)
from server.prompt.turns import Turn
from server.protocol.chat.template_fields import PromptEnding

Render = Callable[[str | None, Sequence[Turn]], Iterable[Segment]]

CHATML_ANSWER: Final = "<|im_start|>assistant\n"
LLAMA_3_ANSWER: Final = "<|start_header_id|>assistant<|end_header_id|>\n\n"


@dataclass(frozen=True, slots=True)
class ConversationTemplate:
    """Renders turns as a prompt; `stop` ends an answer where the tokenizer's EOS does not.

    `system` is the default system text, and `answer_start` begins an answer.
    """

    render_turns: Render
    stop: str | None
    system: str = ""
    answer_start: str = ""

    def render(
        self,
        system: str | None,
        turns: Sequence[Turn],
        ending: PromptEnding = PromptEnding.ANSWER,
    ) -> Sequence[Segment]:
        """Render a conversation up to its ending."""
        segments = list(self.render_turns(system, turns))
        match ending:
            case PromptEnding.ANSWER:
                segments.append(TemplateText(self.answer_start))
            case PromptEnding.CONTINUATION:
                _cut_after_last_text(segments)
        return segments


def build_conversation_template(conv_mode: str, *, image_start_end: bool) -> ConversationTemplate:
    """Return a template of `TEMPLATES`. Raises `KeyError`.

    With `image_start_end`, each image stands between `<im_start>` and `<im_end>`, except in
    `plain`: stage 1 of the training leaves them out.
    """
    template = TEMPLATES[conv_mode]
    if not image_start_end or conv_mode == "plain":
        return template
    return replace(template, render_turns=wrap_images(template.render_turns))


def wrap_images(render: Render, start: str = "<im_start>", end: str = "<im_end>") -> Render:
    """Return a template with tags around images, by default those of `mm_use_im_start_end`."""
    return lambda system, turns: _wrap_images(render(system, turns), start, end)


def _cut_after_last_text(segments: list[Segment]) -> None:
    """Remove the template's text after the last turn."""
    while segments and not isinstance(segments[-1], UntrustedText):
        segments.pop()


def _wrap_images(segments: Iterable[Segment], start: str, end: str) -> Iterator[Segment]:
    for segment in segments:
        if isinstance(segment, MediaSlot):
            yield TemplateText(start)
            yield segment
            yield TemplateText(end)
        else:
            yield segment


def _render_content(turn: Turn) -> Iterator[Segment]:
    for modality in turn.media:
        yield MediaSlot(modality)
        yield TemplateText("\n")
    yield UntrustedText(turn.text)


def _mark_answer(*segments: Segment) -> Iterator[Segment]:
    """Mark the assistant's text, its end included."""
    for segment in segments:
        yield segment if isinstance(segment, MediaSlot) else replace(segment, is_answer=True)


def _mark_if_answer(turn: Turn, *segments: Segment) -> Iterable[Segment]:
    return _mark_answer(*segments) if turn.role == "assistant" else segments


def _render_two(default: str, system: str | None, turns: Sequence[Turn]) -> Iterator[Segment]:
    """Render `{system} USER: {q} ASSISTANT: {a}</s>USER: …` (SeparatorStyle.TWO)."""
    system = default if system is None else system
    if system:
        yield from (UntrustedText(system), TemplateText(" "))
    for turn in turns:
        content = _render_content(turn)
        if turn.role == "user":
            yield from (TemplateText("USER: "), *content, TemplateText(" "))
        else:
            yield TemplateText("ASSISTANT:")
            yield from _mark_answer(TemplateText(" "), *content, TemplateText("</s>"))


def _render_single(default: str, system: str | None, turns: Sequence[Turn]) -> Iterator[Segment]:
    """Render `{system}###Human: {q}###Assistant: {a}###` (SeparatorStyle.SINGLE)."""
    yield from (UntrustedText(default if system is None else system), TemplateText("###"))
    for turn in turns:
        content = _render_content(turn)
        if turn.role == "user":
            yield from (TemplateText("Human: "), *content, TemplateText("###"))
        else:
            yield TemplateText("Assistant:")
            yield from _mark_answer(TemplateText(" "), *content, TemplateText("###"))


def _render_after_example(
    default: str, system: str | None, turns: Sequence[Turn]
) -> Iterable[Segment]:
    """Render as `_render_single` does, with an example conversation after the system text."""
    return _render_single(default, system, (*EXAMPLE_TURNS, *turns))


def _render_llama_2(
    default: str, separator: str, system: str | None, turns: Sequence[Turn]
) -> Iterator[Segment]:
    """Render `[INST] <<SYS>>\\n{system}\\n<</SYS>>\\n\\n{q} [/INST] {a} </s>` (LLAMA_2).

    `separator` starts every user turn but the first, which starts with the tokenizer's BOS.
    """
    system = default if system is None else system
    for index, turn in enumerate(turns):
        if turn.role != "user":
            yield from _mark_answer(
                TemplateText(" "), *_render_content(turn), TemplateText(" </s>")
            )
            continue
        yield TemplateText(f"{separator}[INST] " if index else "[INST] ")
        if system:
            yield from (
                TemplateText("<<SYS>>\n"),
                UntrustedText(system),
                TemplateText("\n<</SYS>>\n\n"),
            )
            system = ""
        yield from (*_render_content(turn), TemplateText(" [/INST]"))


def _render_chatml(
    default: str, separator: str, system: str | None, turns: Sequence[Turn]
) -> Iterator[Segment]:
    """Render `<|im_start|>{role}\\n{text}<|im_end|>` and a separator (MPT and CHATML)."""
    end = TemplateText(f"<|im_end|>{separator}")
    system = default if system is None else system
    if system:
        yield from (
            TemplateText("<|im_start|>system\n"),
            UntrustedText(system),
            end,
        )
    for turn in turns:
        yield TemplateText(f"<|im_start|>{turn.role}\n")
        yield from _mark_if_answer(turn, *_render_content(turn), TemplateText("<|im_end|>"))
        yield TemplateText(separator)


def _render_llama_3(default: str, system: str | None, turns: Sequence[Turn]) -> Iterator[Segment]:
    """Render `<|start_header_id|>{role}<|end_header_id|>\\n\\n{text}<|eot_id|>` (LLAMA_3)."""
    system = default if system is None else system
    for turn in (*([Turn("system", system, 0)] if system else []), *turns):
        yield TemplateText(f"<|start_header_id|>{turn.role}<|end_header_id|>\n\n")
        yield from _mark_if_answer(turn, *_render_content(turn), TemplateText("<|eot_id|>"))


def _render_mmtag(
    default: str,
    render: Callable[..., Iterable[Segment]],
    system: str | None,
    turns: Sequence[Turn],
) -> Iterable[Segment]:
    """Render as another template does, with `<Image>` and `</Image>` around images."""
    return _wrap_images(render(default, system, turns), "<Image>", "</Image>")


def _render_plain(system: str | None, turns: Sequence[Turn]) -> Iterator[Segment]:
    """Render `{image}{caption}\\n`, as in stage 1 of the training (PLAIN).

    As in the training, the user's text about an image is left out. Other turns are a line each.
    """
    yield UntrustedText(system or "")
    for turn in turns:
        if turn.media and turn.role == "user":
            yield from map(MediaSlot, turn.media)
            yield UntrustedText("")
        else:
            yield from _mark_if_answer(turn, *_render_content(turn), TemplateText("\n"))


def _build_template(
    render: Callable[..., Iterable[Segment]],
    system: str,
    stop: str,
    *details: Any,
    answer_start: str = "",
) -> ConversationTemplate:
    return ConversationTemplate(partial(render, system, *details), stop, system, answer_start)


TEMPLATES: Final[dict[str, ConversationTemplate]] = {
    "vicuna_v1": _build_template(_render_two, USER_SYSTEM, "</s>", answer_start="ASSISTANT:"),
    "llava_v1": _build_template(_render_two, HUMAN_SYSTEM, "</s>", answer_start="ASSISTANT:"),
    "llava_v0": _build_template(_render_single, HUMAN_SYSTEM, "###", answer_start="Assistant:"),
    **dict.fromkeys(
        ("v0", "default"),
        _build_template(_render_after_example, HUMAN_SYSTEM, "###", answer_start="Assistant:"),
    ),
    "llava_llama_2": _build_template(_render_llama_2, LLAVA_SYSTEM, "</s>", "<s>"),
    "llama_2": _build_template(_render_llama_2, LLAMA_2_SYSTEM, "</s>", "<s>"),
    "mistral_instruct": _build_template(_render_llama_2, "", "</s>", ""),
    "chatml_direct": _build_template(
        _render_chatml, "Answer the questions.", "<|im_end|>", "", answer_start=CHATML_ANSWER
    ),
    "mpt": _build_template(
        _render_chatml, MPT_SYSTEM, "<|im_end|>", "", answer_start=CHATML_ANSWER
    ),
    "qwen_1_5": _build_template(
        _render_chatml, QWEN_SYSTEM, "<|im_end|>", "\n", answer_start=CHATML_ANSWER
    ),
    "llava_llama_3": _build_template(
        _render_llama_3, LLAVA_SYSTEM, "<|eot_id|>", answer_start=LLAMA_3_ANSWER
    ),
    "llama_3": _build_template(_render_llama_3, "", "<|eot_id|>", answer_start=LLAMA_3_ANSWER),
    "v0_mmtag": _build_template(
        _render_mmtag, MMTAG_SYSTEM, "###", _render_single, answer_start="Assistant:"
    ),
    "v1_mmtag": _build_template(
        _render_mmtag, MMTAG_SYSTEM, "</s>", _render_two, answer_start="ASSISTANT:"
    ),
    "plain": ConversationTemplate(_render_plain, "\n"),
}
