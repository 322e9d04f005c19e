"""What is measured: who asks what, how many at once, and for how long."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.pictures import JpegPhotos, PngPictures
from benchmarks.requests import Chat, Conversation, Numbers, Options, Questions

SMALL_PX: Final = 336
WEB_PX: Final = (1280, 960)
PHOTO_PX: Final = (4000, 3000)  # 12 megapixels

MakeConversation = Callable[[Options, Numbers, Path], Conversation]


@dataclass(frozen=True, slots=True)
class Group:
    """Clients that do the same: each sends its next request when it has the last answer."""

    name: str
    clients: int
    conversation: MakeConversation
    max_tokens: int = 32
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Workload:
    """One row of the table. The first group is the one whose times are reported."""

    name: str
    title: str
    groups: tuple[Group, ...]
    length: float = 1.0  # of its time, in units of the run's window


def _text(options: Options, numbers: Numbers, _: Path) -> Conversation:
    return Questions(options, numbers, None, repeated=False)


def _small(options: Options, numbers: Numbers, _: Path) -> Conversation:
    return Questions(options, numbers, PngPictures(SMALL_PX), repeated=False)


def _web(options: Options, numbers: Numbers, folder: Path) -> Conversation:
    return Questions(options, numbers, JpegPhotos(*WEB_PX, folder), repeated=False)


def _photo(options: Options, numbers: Numbers, folder: Path) -> Conversation:
    return Questions(options, numbers, JpegPhotos(*PHOTO_PX, folder), repeated=False)


def _same_photo(options: Options, numbers: Numbers, folder: Path) -> Conversation:
    return Questions(options, numbers, JpegPhotos(*PHOTO_PX, folder), repeated=True)


def _chat(options: Options, numbers: Numbers, folder: Path) -> Conversation:
    pictures = (
        JpegPhotos(*PHOTO_PX, folder),
        JpegPhotos(*WEB_PX, folder),
        PngPictures(SMALL_PX),
    )
    return Chat(options, numbers, pictures)


def _asking(name: str, clients: int, conversation: MakeConversation) -> tuple[Group, ...]:
    return (Group(name, clients, conversation),)


def _one(conversation: MakeConversation) -> tuple[Group, ...]:
    return (Group("one", 1, conversation, max_tokens=8, stream=True),)


TEXT_STREAM: Final = Group("text", 1, _text, stream=True)

WORKLOADS: Final = (
    Workload("W1", "text, 16 clients", _asking("text", 16, _text)),
    Workload(
        "W2",
        "text streamed, 64 clients, 64 tokens",
        (Group("text", 64, _text, max_tokens=64, stream=True),),
    ),
    Workload("W3", "new 336 px PNG, 16 clients", _asking("images", 16, _small)),
    Workload("W4", "new 1280x960 JPEG, 16 clients", _asking("images", 16, _web)),
    Workload("W5", "new 12 MP JPEG, 16 clients", _asking("images", 16, _photo), length=2.5),
    Workload("W6", "one 12 MP JPEG repeated, 16 clients", _asking("images", 16, _same_photo)),
    Workload(
        "W7", "chat, 6 turns over 3 images, 16 clients", _asking("chat", 16, _chat), length=1.5
    ),
    Workload("W8 alone", "text stream, nothing beside it", (TEXT_STREAM,), length=1.5),
    Workload(
        "W8 mixed",
        "text stream beside 4 clients with new 12 MP JPEGs",
        (TEXT_STREAM, Group("images", 4, _photo)),
        length=2.0,
    ),
    Workload("W9 text", "one client, text", _one(_text), length=0.5),
    Workload("W9 small", "one client, new 336 px PNG", _one(_small), length=0.5),
    Workload("W9 photo", "one client, new 12 MP JPEG", _one(_photo), length=0.75),
    Workload(
        "W1 streamed",
        "text streamed, 16 clients",
        (Group("text", 16, _text, stream=True),),
        length=0.75,
    ),
    Workload(
        "W3 streamed",
        "new 336 px PNG, streamed, 16 clients",
        (Group("images", 16, _small, stream=True),),
        length=0.75,
    ),
    Workload(
        "W4 streamed",
        "new 1280x960 JPEG, streamed, 16 clients",
        (Group("images", 16, _web, stream=True),),
        length=0.75,
    ),
    Workload(
        "W5 streamed",
        "new 12 MP JPEG, streamed, 16 clients",
        (Group("images", 16, _photo, stream=True),),
        length=0.75,
    ),
    Workload(
        "W6 streamed",
        "one 12 MP JPEG repeated, streamed, 16 clients",
        (Group("images", 16, _same_photo, stream=True),),
        length=0.75,
    ),
)


def workload(name: str) -> Workload:
    """Return the workload of this name. Raises `KeyError`."""
    return {each.name: each for each in WORKLOADS}[name]
