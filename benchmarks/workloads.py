"""What is measured: who asks what, how many at once, and for how long."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from benchmarks.images import JpegPhotos, PngPictures
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


# Shared by the clients of a load: to draw them or read them takes a while for each.
_pictures = lru_cache(PngPictures)
_photos = lru_cache(JpegPhotos)


def _text(options: Options, numbers: Numbers, _: Path) -> Conversation:
    return Questions(options, numbers, None, repeated=False)


def _small(options: Options, numbers: Numbers, _: Path) -> Conversation:
    return Questions(options, numbers, _pictures(SMALL_PX), repeated=False)


def _web(options: Options, numbers: Numbers, folder: Path) -> Conversation:
    return Questions(options, numbers, _photos(*WEB_PX, folder), repeated=False)


def _photo(options: Options, numbers: Numbers, folder: Path) -> Conversation:
    return Questions(options, numbers, _photos(*PHOTO_PX, folder), repeated=False)


def _same_photo(options: Options, numbers: Numbers, folder: Path) -> Conversation:
    return Questions(options, numbers, _photos(*PHOTO_PX, folder), repeated=True)


def _chat(options: Options, numbers: Numbers, folder: Path) -> Conversation:
    pictures = (_photos(*PHOTO_PX, folder), _photos(*WEB_PX, folder), _pictures(SMALL_PX))
    return Chat(options, numbers, pictures)


def _asking(name: str, clients: int, conversation: MakeConversation) -> tuple[Group, ...]:
    return (Group(name, clients, conversation),)


def _one(conversation: MakeConversation) -> tuple[Group, ...]:
    return (Group("one", 1, conversation, max_tokens=8, stream=True),)


TEXT_STREAM: Final = Group("text", 1, _text, stream=True)

NAMED: Final = (
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
)


def _streamed(work: Workload) -> Workload:
    """Return the same for answers that are streamed, for their times to and between tokens."""
    groups = tuple(replace(group, stream=True) for group in work.groups)
    return Workload(f"{work.name} streamed", f"{work.title}, streamed", groups, length=0.75)


WORKLOADS: Final = (
    *NAMED,
    *(_streamed(work) for work in NAMED if work.name in {"W1", "W3", "W4", "W5", "W6"}),
)


def workload(name: str) -> Workload:
    """Return the workload of this name. Raises `KeyError`."""
    return {each.name: each for each in WORKLOADS}[name]
