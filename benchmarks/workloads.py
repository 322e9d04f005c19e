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
STREAMED: Final = frozenset({"W1", "W3", "W4", "W5", "W6"})  # measured streamed, too

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


@dataclass(frozen=True, slots=True)
class Load:
    """The numbers of clients and tokens of the workloads W1 to W9."""

    clients: int
    stream_clients: int  # of W2
    clients_beside: int  # with photos, next to a text stream
    max_tokens: int


def build_workloads(load: Load) -> tuple[Workload, ...]:
    """Build W1 to W9, and streamed variants of some for TTFT and inter-token latency."""
    base = (*_build_batch(load), *_build_beside_images(load), *_build_single_client())
    streamed = (_build_streamed(each) for each in base if each.name in STREAMED)
    return (*base, *streamed)


def _build_batch(load: Load) -> tuple[Workload, ...]:
    """Build the workloads of many equal clients."""

    def build(
        name: str, title: str, conversation: ConversationFactory, length: float = 1.0
    ) -> Workload:
        group = ClientGroup("all", load.clients, conversation, load.max_tokens)
        return Workload(name, f"{title}, {load.clients} clients", (group,), length)

    return (
        build("W1", "text", _text),
        _build_wide_stream(load.stream_clients),
        build("W3", "new 336 px PNG", _small),
        build("W4", "new 1280x960 JPEG", _web),
        build("W5", "new 12 MP JPEG", _photo, length=2.5),
        build("W6", "one 12 MP JPEG repeated", _same_photo),
        build("W7", "chat, 6 turns over 3 images", _chat, length=1.5),
    )


def _build_wide_stream(clients: int) -> Workload:
    group = ClientGroup("text", clients, _text, max_tokens=64, stream=True)
    return Workload("W2", f"text streamed, {clients} clients, 64 tokens", (group,))


def _build_beside_images(load: Load) -> tuple[Workload, ...]:
    text = ClientGroup("text", 1, _text, load.max_tokens, stream=True)
    images = ClientGroup("images", load.clients_beside, _photo, load.max_tokens)
    title = f"text stream beside {load.clients_beside} clients with new 12 MP JPEGs"
    return (
        Workload("W8 alone", "text stream, nothing beside it", (text,), length=1.5),
        Workload("W8 mixed", title, (text, images), length=2.0),
    )


def _build_single_client() -> tuple[Workload, ...]:
    def build(name: str, title: str, conversation: ConversationFactory, length: float) -> Workload:
        group = ClientGroup("one", 1, conversation, max_tokens=8, stream=True)
        return Workload(f"W9 {name}", f"one client, {title}", (group,), length)

    return (
        build("text", "text", _text, 0.5),
        build("small", "new 336 px PNG", _small, 0.5),
        build("photo", "new 12 MP JPEG", _photo, 0.75),
    )


def _build_streamed(work: Workload) -> Workload:
    groups = tuple(replace(group, stream=True) for group in work.groups)
    return Workload(f"{work.name} streamed", f"{work.title}, streamed", groups, length=0.75)


def build_few_clients_workloads(max_tokens: int) -> tuple[Workload, ...]:
    """Build S1 to S5: few clients, for a CPU that takes seconds for a view."""

    def build(
        name: str, title: str, conversation: ConversationFactory, length: float = 1.0
    ) -> Workload:
        group = ClientGroup("one", 1, conversation, max_tokens, stream=True)
        return Workload(name, title, (group,), length)

    return (
        build("S1", "one client, text, streamed", _text, length=0.5),
        build("S2", "one client, new 384 px PNG, streamed", _view),
        build("S3", "the same with detail low, streamed", _low_view),
        build("S4", "one client, one 384 px PNG repeated, streamed", _same_view),
        Workload(
            "S5",
            "text stream beside 2 clients with new 384 px PNGs",
            (
                ClientGroup("text", 1, _text, stream=True),
                ClientGroup("images", 2, _view, max_tokens),
            ),
        ),
    )
