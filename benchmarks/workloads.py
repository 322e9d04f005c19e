"""The workloads: their clients, requests and durations."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from benchmarks.images import JpegImages, PngImages
from benchmarks.requests import (
    Conversation,
    MultiTurnChat,
    RequestOptions,
    SingleTurnQuestions,
    UniqueNumbers,
)

SMALL_PX: Final = 336
WEB_PX: Final = (1280, 960)
PHOTO_PX: Final = (4000, 3000)  # 12 megapixels
SIGLIP_PX: Final = 384

ConversationFactory = Callable[[RequestOptions, UniqueNumbers, Path], Conversation]


@dataclass(frozen=True, slots=True)
class ClientGroup:
    """Equal clients; each sends its next request after the last response."""

    name: str
    clients: int
    conversation: ConversationFactory
    max_tokens: int = 32
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload; the report shows the latencies of its first group."""

    name: str
    title: str
    groups: tuple[ClientGroup, ...]
    length: float = 1.0  # in units of the run's window


# Shared by all clients, since drawing or reading images takes a while.
_png_images = lru_cache(PngImages)
_jpeg_images = lru_cache(JpegImages)


def _text(options: RequestOptions, numbers: UniqueNumbers, _: Path) -> Conversation:
    return SingleTurnQuestions(options, numbers, None, repeated=False)


def _small(options: RequestOptions, numbers: UniqueNumbers, _: Path) -> Conversation:
    return SingleTurnQuestions(options, numbers, _png_images(SMALL_PX), repeated=False)


def _view(options: RequestOptions, numbers: UniqueNumbers, _: Path) -> Conversation:
    return SingleTurnQuestions(options, numbers, _png_images(SIGLIP_PX), repeated=False)


def _same_view(options: RequestOptions, numbers: UniqueNumbers, _: Path) -> Conversation:
    return SingleTurnQuestions(options, numbers, _png_images(SIGLIP_PX), repeated=True)


def _low_view(options: RequestOptions, numbers: UniqueNumbers, _: Path) -> Conversation:
    images = _png_images(SIGLIP_PX)
    return SingleTurnQuestions(options, numbers, images, repeated=False, detail="low")


def _web(options: RequestOptions, numbers: UniqueNumbers, folder: Path) -> Conversation:
    return SingleTurnQuestions(options, numbers, _jpeg_images(*WEB_PX, folder), repeated=False)


def _photo(options: RequestOptions, numbers: UniqueNumbers, folder: Path) -> Conversation:
    return SingleTurnQuestions(options, numbers, _jpeg_images(*PHOTO_PX, folder), repeated=False)


def _same_photo(options: RequestOptions, numbers: UniqueNumbers, folder: Path) -> Conversation:
    return SingleTurnQuestions(options, numbers, _jpeg_images(*PHOTO_PX, folder), repeated=True)


def _chat(options: RequestOptions, numbers: UniqueNumbers, folder: Path) -> Conversation:
    pictures = (
        _jpeg_images(*PHOTO_PX, folder),
        _jpeg_images(*WEB_PX, folder),
        _png_images(SMALL_PX),
    )
    return MultiTurnChat(options, numbers, pictures)


def _single_group(
    name: str, clients: int, conversation: ConversationFactory
) -> tuple[ClientGroup, ...]:
    return (ClientGroup(name, clients, conversation),)


def _single_client(conversation: ConversationFactory) -> tuple[ClientGroup, ...]:
    return (ClientGroup("one", 1, conversation, max_tokens=8, stream=True),)


TEXT_STREAM: Final = ClientGroup("text", 1, _text, stream=True)

BASE_WORKLOADS: Final = (
    Workload("W1", "text, 16 clients", _single_group("text", 16, _text)),
    Workload(
        "W2",
        "text streamed, 64 clients, 64 tokens",
        (ClientGroup("text", 64, _text, max_tokens=64, stream=True),),
    ),
    Workload("W3", "new 336 px PNG, 16 clients", _single_group("images", 16, _small)),
    Workload("W4", "new 1280x960 JPEG, 16 clients", _single_group("images", 16, _web)),
    Workload("W5", "new 12 MP JPEG, 16 clients", _single_group("images", 16, _photo), length=2.5),
    Workload("W6", "one 12 MP JPEG repeated, 16 clients", _single_group("images", 16, _same_photo)),
    Workload(
        "W7",
        "chat, 6 turns over 3 images, 16 clients",
        _single_group("chat", 16, _chat),
        length=1.5,
    ),
    Workload("W8 alone", "text stream, nothing beside it", (TEXT_STREAM,), length=1.5),
    Workload(
        "W8 mixed",
        "text stream beside 4 clients with new 12 MP JPEGs",
        (TEXT_STREAM, ClientGroup("images", 4, _photo)),
        length=2.0,
    ),
    Workload("W9 text", "one client, text", _single_client(_text), length=0.5),
    Workload("W9 small", "one client, new 336 px PNG", _single_client(_small), length=0.5),
    Workload("W9 photo", "one client, new 12 MP JPEG", _single_client(_photo), length=0.75),
)


def _build_streamed_variant(work: Workload) -> Workload:
    """Return a streamed variant, for TTFT and inter-token latency."""
    groups = tuple(replace(group, stream=True) for group in work.groups)
    return Workload(f"{work.name} streamed", f"{work.title}, streamed", groups, length=0.75)


WORKLOADS: Final = (
    *BASE_WORKLOADS,
    *(
        _build_streamed_variant(work)
        for work in BASE_WORKLOADS
        if work.name in {"W1", "W3", "W4", "W5", "W6"}
    ),
)


def _single_stream(conversation: ConversationFactory) -> tuple[ClientGroup, ...]:
    return (ClientGroup("one", 1, conversation, max_tokens=SHAPE_TOKENS, stream=True),)


# Few clients and long windows: on a CPU a view of a tower of the usual size takes seconds.
SHAPE_TOKENS: Final = 24
SHAPE_WORKLOADS: Final = (
    Workload("S1", "one client, text, streamed", _single_stream(_text), length=0.5),
    Workload("S2", "one client, new 384 px PNG, streamed", _single_stream(_view)),
    Workload("S3", "the same with detail low, streamed", _single_stream(_low_view)),
    Workload("S4", "one client, one 384 px PNG repeated, streamed", _single_stream(_same_view)),
    Workload(
        "S5",
        "text stream beside 2 clients with new 384 px PNGs",
        (TEXT_STREAM, ClientGroup("images", 2, _view, max_tokens=SHAPE_TOKENS)),
    ),
)
ALL_WORKLOADS: Final = (*WORKLOADS, *SHAPE_WORKLOADS)


def find_workload(name: str) -> Workload:
    """Return the workload of this name. Raises `KeyError`."""
    return {each.name: each for each in ALL_WORKLOADS}[name]
