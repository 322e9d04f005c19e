"""The loads: kinds of requests, patience of clients, and numbers of clients."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final

from benchmarks.images import JpegImages
from benchmarks.requests import Conversation, RequestOptions, SingleTurnQuestions, UniqueNumbers
from benchmarks.workloads import PHOTO_PX, WEB_PX

MAX_TOKENS: Final = 32
OVERLOAD: Final = 10  # times the clients that saturate the server
FLOOD_CLIENTS: Final = 400
POLITE_CLIENTS: Final = 4


class Patience(StrEnum):
    """What a client does after a 429."""

    POLITE = "polite"  # waits as long as `Retry-After` says
    HASTY = "hasty"  # tries again at once


class Kind(StrEnum):
    """A kind of request."""

    TEXT = "text"
    WEB = "web"  # a new 1280x960 JPEG
    PHOTO = "photo"  # a new 12-megapixel JPEG


@dataclass(frozen=True, slots=True)
class Group:
    """Clients of one key and patience; they take the kinds in turn."""

    name: str
    clients: int
    kinds: tuple[Kind, ...]
    patience: Patience
    api_key: str | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """A load by the kinds of its requests; `length` is in units of the run's window."""

    name: str
    title: str
    kinds: tuple[Kind, ...]
    length: float = 1.0


LOADS: Final = (
    Load("text", "text", (Kind.TEXT,)),
    Load("web", "new 1280x960 JPEG", (Kind.WEB,)),
    Load("photo", "new 12 MP JPEG", (Kind.PHOTO,), length=1.5),
    Load(
        "mixed",
        "half text, a quarter each JPEG",
        (Kind.TEXT, Kind.WEB, Kind.TEXT, Kind.PHOTO),
        length=1.5,
    ),
)


def build_saturating_groups(load: Load, clients: int) -> list[Group]:
    """Return clients that wait for `Retry-After`."""
    return [Group("polite", clients, load.kinds, Patience.POLITE)]


def build_overload_groups(load: Load, saturating_clients: int) -> list[Group]:
    """Return ten times the clients that saturate the server, half of them hasty."""
    half = saturating_clients * OVERLOAD // 2
    return [
        Group("polite", half, load.kinds, Patience.POLITE),
        Group("hasty", half, load.kinds, Patience.HASTY),
    ]


def build_fairness_groups(keys: Sequence[str], *, with_flood: bool) -> list[Group]:
    """Return the clients of a polite key and of a flooding key."""
    polite = Group("polite", POLITE_CLIENTS, (Kind.TEXT,), Patience.POLITE, keys[0])
    flood = Group("flood", FLOOD_CLIENTS, (Kind.TEXT,), Patience.HASTY, keys[1])
    return [polite, flood] if with_flood else [polite]


def dump_groups(groups: Sequence[Group]) -> str:
    """Return groups as JSON."""
    return json.dumps([asdict(each) for each in groups])


def load_groups(text: str) -> list[Group]:
    """Return groups from JSON."""
    return [
        Group(
            each["name"],
            each["clients"],
            tuple(map(Kind, each["kinds"])),
            Patience(each["patience"]),
            each["api_key"],
        )
        for each in json.loads(text)
    ]


_jpeg_images = lru_cache(JpegImages)


def build_questions(
    kind: Kind, model: str, numbers: UniqueNumbers, folder: Path
) -> Callable[[], bytes]:
    """Return a function that builds the body of the next request."""
    size = {Kind.TEXT: None, Kind.WEB: WEB_PX, Kind.PHOTO: PHOTO_PX}[kind]
    images = None if size is None else _jpeg_images(*size, folder)
    options = RequestOptions(model, MAX_TOKENS, stream=False)
    questions: Conversation = SingleTurnQuestions(options, numbers, images, repeated=False)
    return questions.build_next_body
