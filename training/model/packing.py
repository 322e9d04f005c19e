"""Packed training sequences: a prefix with images, shared by many short blocks of turns.

A block attends to the prefix and to itself, as if it were alone. Blocks are packed into chunks of
a fixed length. Attention is computed from each chunk to the prefix and within the chunk only. That
omits most of the work of a square mask over the whole sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from training.data.conversation import (
    PLAIN_END,
    build_first_prompt,
    build_follow_up_prompt,
    build_prefix_segments,
)
from training.data.dialogues import Dialogue
from training.data.labels import SUMMARY_PATCHES
from training.data.question import Question
from training.data.scenes import PLACES
from training.model.architecture import NUM_IMAGE_TOKENS
from training.model.tokenizer import BOS_ID, EOS_ID, IMAGE_ID, CachedTokenizer

# The most tokens of a chunk, and the most chunks of a sequence.
CHUNK_LENGTH: Final = 80
MAX_CHUNKS: Final = 3
NO_ANSWER: Final = -1


class PlaceReference(NamedTuple):
    """Token `token` of a span predicts text that depends on `places` in image number `image`."""

    token: int
    image: int
    places: tuple[str, ...]


class AttentionTarget(NamedTuple):
    """The prefix positions that a token should attend to. `token` counts over the chunks."""

    token: int
    prefix_positions: list[int]


@dataclass(frozen=True, slots=True)
class BlockSpan:
    """The tokens of a prompt or an answer. `kind` is the question's, None for a prompt."""

    ids: list[int]
    kind: str | None = None
    references: list[PlaceReference] = field(default_factory=list)


@dataclass(slots=True)
class Chunk:
    """Complete blocks in a row; the positions of each continue from the prefix.

    `answers` number the answers of the sequence; prompts have `NO_ANSWER`.
    """

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


@dataclass(slots=True)
class PackedSequence:
    """A prefix and its chunks. `kinds` has the question's kind of each answer."""

    images: tuple[int, ...]
    prefix: list[int]
    chunks: list[Chunk]
    kinds: list[str] = field(default_factory=list)
    attention_targets: list[AttentionTarget] = field(default_factory=list)


def pack(encode: CachedTokenizer, dialogue: Dialogue) -> PackedSequence:
    """Build the prefix and pack as many of the dialogue's blocks as fit into the chunks.

    Blocks longer than a chunk are left out.
    """
    sequence = PackedSequence(dialogue.images, build_prefix_ids(encode, dialogue), [Chunk()])
    for number, turns in enumerate(dialogue.blocks):
        spans = _encode_block(encode, turns, dialogue)
        length = sum(len(span.ids) for span in spans)
        if length > CHUNK_LENGTH:
            continue
        if len(sequence.chunks[-1].ids) + length > CHUNK_LENGTH:
            if len(sequence.chunks) == MAX_CHUNKS:
                break
            sequence.chunks.append(Chunk())
        _append_block(sequence, spans, number)
    return sequence


def build_prefix_ids(encode: CachedTokenizer, dialogue: Dialogue) -> list[int]:
    """BOS, system message and images; each image is a run of image tokens."""
    if dialogue.plain:
        return [BOS_ID, *[IMAGE_ID] * NUM_IMAGE_TOKENS]
    ids = [BOS_ID]
    for segment in build_prefix_segments(dialogue.system, len(dialogue.images)):
        ids += encode(segment) + ([IMAGE_ID] * NUM_IMAGE_TOKENS if dialogue.images else [])
    return ids


def _append_block(sequence: PackedSequence, spans: Sequence[BlockSpan], number: int) -> None:
    chunk, position = sequence.chunks[-1], len(sequence.prefix)
    for span in spans:
        start = CHUNK_LENGTH * (len(sequence.chunks) - 1) + len(chunk.ids)
        sequence.attention_targets += [
            AttentionTarget(
                start + reference.token, _find_summary_patches(sequence.prefix, reference)
            )
            for reference in span.references
        ]
        answer = NO_ANSWER
        if span.kind is not None:
            answer = len(sequence.kinds)
            sequence.kinds.append(span.kind)
        chunk.ids += span.ids
        chunk.positions += range(position, position + len(span.ids))
        chunk.blocks += [number] * len(span.ids)
        chunk.answers += [answer] * len(span.ids)
        position += len(span.ids)


def _find_summary_patches(prefix: Sequence[int], reference: PlaceReference) -> list[int]:
    """The prefix positions of the summary patches of the places."""
    patches = [index for index, token in enumerate(prefix) if token == IMAGE_ID]
    start = reference.image * NUM_IMAGE_TOKENS
    return [patches[start + SUMMARY_PATCHES[PLACES.index(place)]] for place in reference.places]


def _encode_block(
    encode: CachedTokenizer, turns: Sequence[Question], dialogue: Dialogue
) -> list[BlockSpan]:
    """The spans of each prompt and of each answer with its `</s>`, or of plain captions."""
    if dialogue.plain:
        return [_encode_caption(encode, turn) for turn in turns]
    num_images = len(dialogue.images)
    spans: list[BlockSpan] = []
    for index, turn in enumerate(turns):
        prompt = (
            build_follow_up_prompt(turn.text)
            if index
            else build_first_prompt(turn.text, num_images)
        )
        spans.append(BlockSpan(encode(prompt)))
        spans.append(_encode_answer(encode, turn, has_image=num_images > 0))
    return spans


def _encode_caption(encode: CachedTokenizer, turn: Question) -> BlockSpan:
    """A caption and a newline. The token before it is the image's, which has no target."""
    ids, references = _encode_parts(encode, turn, "")
    references = [reference for reference in references if reference.token >= 0]
    return BlockSpan([*ids, *encode(PLAIN_END)], turn.kind, references)


def _encode_answer(encode: CachedTokenizer, turn: Question, has_image: bool) -> BlockSpan:
    ids, references = _encode_parts(encode, turn, " ")
    return BlockSpan([*ids, EOS_ID], turn.kind, references if has_image else [])


def _encode_parts(
    encode: CachedTokenizer, turn: Question, lead: str
) -> tuple[list[int], list[PlaceReference]]:
    """Encode the answer's parts. Each part's references start at the token before the part."""
    ids: list[int] = []
    references: list[PlaceReference] = []
    for index, part in enumerate(turn.parts):
        segment = encode(part.text if index else f"{lead}{part.text}")
        if part.places:
            tokens = range(len(ids) - 1, len(ids) + len(segment) - 1)
            references += [PlaceReference(token, part.image, part.places) for token in tokens]
        ids += segment
    return ids, references
