"""From a record's turns to token ids and labels, in the templates that the server prompts with."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from typing import Final

from server.prompt.segments import MediaSlot, Segment, TemplateText, UntrustedText
from server.prompt.templates import Render, build_conversation_template, wrap_images
from server.prompt.tokenizer import PromptTokenizer
from server.prompt.turns import Turn
from training.tuning.records import IMAGE_TAG, Record

# The place of an image in `input_ids`, and a token that is not learned, as in the released code.
IMAGE_TOKEN_ID: Final = -200
IGNORED: Final = -100


@dataclass(frozen=True, slots=True)
class LabelledPrompt:
    """Token ids, with `IMAGE_TOKEN_ID` for each image, and their labels."""

    input_ids: list[int]
    labels: list[int]


class PromptLabeller:
    """Renders records with one template, and labels what the assistant says in them.

    Names of special tokens in the data become the tokens, but for `text_names`, which are text:
    those of tokens that the language model has no embeddings of.
    """

    def __init__(
        self,
        render: Render,
        tokenizer: PromptTokenizer,
        text_names: Iterable[str] = (IMAGE_TAG,),
    ) -> None:
        self._render = render
        self._tokenizer = tokenizer
        names = sorted(map(re.escape, {IMAGE_TAG, *text_names}), key=len, reverse=True)
        self._text_names = re.compile(f"({'|'.join(names)})")

    def label(self, record: Record) -> LabelledPrompt:
        """Return a record's ids and labels."""
        segments = self._render_segments(record)
        ids = self._tokenize(segments)
        labels = [IGNORED] * len(ids)
        for start, end in self._find_answers(segments, ids):
            labels[start:end] = ids[start:end]
        return LabelledPrompt(ids, labels)

    def count(self, record: Record) -> int:
        """Return how many ids a record has, one for each image."""
        return len(self._tokenize(self._render_segments(record)))

    def _render_segments(self, record: Record) -> list[Segment]:
        rendered = _drop_newlines_before_nothing(
            self._render(record.system, list(_build_turns(record)))
        )
        return [trusted for segment in rendered for trusted in self._trust(segment)]

    def _find_answers(
        self, segments: Sequence[Segment], ids: Sequence[int]
    ) -> Iterator[tuple[int, int]]:
        """Yield the ranges of `ids` that the assistant says."""
        num_segments, start = 0, 0
        for is_answer, group in groupby(segments, key=_is_answer):
            num_segments += len(list(group))
            end = _count_common(self._tokenize(segments[:num_segments]), ids)
            if is_answer:
                yield start, end
            start = end

    def _trust(self, segment: Segment) -> Iterator[Segment]:
        """Yield text whose names of special tokens become the tokens: data is the trainer's."""
        if isinstance(segment, MediaSlot):
            yield segment
            return
        for number, text in enumerate(self._text_names.split(segment.text)):
            kind = UntrustedText if number % 2 else TemplateText
            yield kind(text, segment.is_answer)

    def _tokenize(self, segments: Iterable[Segment]) -> list[int]:
        ids: list[int] = []
        for chunk in self._tokenizer.tokenize(segments):
            ids += [IMAGE_TOKEN_ID] if isinstance(chunk, MediaSlot) else chunk
        return ids


def choose_render(conv_mode: str, *, image_start_end: bool) -> Render:
    """Return how records are rendered for training. Raises `KeyError`.

    `llava_v0` and its kin are prompted with in another form than the released code trains, and
    `v0` and `default` begin with their example only then.
    """
    template = build_conversation_template(conv_mode, image_start_end=image_start_end)
    if conv_mode not in ("llava_v0", "v0", "default", "v0_mmtag"):
        return template.render_turns
    render: Render = partial(_render_v0, template.system)
    if conv_mode == "v0_mmtag":
        render = wrap_images(render, "<Image>", "</Image>")
    return wrap_images(render) if image_start_end else render


def _render_v0(default: str, system: str | None, turns: Sequence[Turn]) -> Iterator[Segment]:
    """Render `{system}\\n\\n### Human: {q}\\n### Assistant: {a}\\n### `, as v0 was trained."""
    yield from (TemplateText(default if system is None else system), TemplateText("\n\n"))
    for turn in turns:
        is_answer = turn.role == "assistant"
        yield TemplateText(f"### {'Assistant' if is_answer else 'Human'}:")
        yield TemplateText(" ", is_answer)
        for _ in range(turn.num_images):
            yield from (MediaSlot(), TemplateText("\n"))
        yield from (UntrustedText(turn.text, is_answer), TemplateText("\n", is_answer))
    yield TemplateText("### ", turns[-1].role == "assistant")


def _build_turns(record: Record) -> Iterator[Turn]:
    """Yield turns, their images first, as the released `preprocess_multimodal` puts them."""
    for role, text in record.turns:
        num_images = text.count(IMAGE_TAG) if record.images else 0
        if num_images:
            text = text.replace(IMAGE_TAG, "").strip()
        if len(record.images) == 1:
            num_images = min(1, num_images)
        yield Turn(role, text, num_images)


def _drop_newlines_before_nothing(segments: Iterable[Segment]) -> Iterator[Segment]:
    """Drop the newline after the images of a turn without text, as the released code does."""
    for segment, following in pairwise((*segments, MediaSlot())):
        is_newline = isinstance(segment, TemplateText) and segment.text == "\n"
        if not (is_newline and isinstance(following, UntrustedText) and not following.text):
            yield segment


def _is_answer(segment: Segment) -> bool:
    return not isinstance(segment, MediaSlot) and segment.is_answer


def _count_common(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many ids two sequences have in common at their beginning."""
    pairs = zip(first, second, strict=False)
    return next((index for index, (one, two) in enumerate(pairs) if one != two), len(first))
