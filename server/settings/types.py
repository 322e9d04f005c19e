"""Types of settings: how values are read from the command line or a variable."""

import re
import ssl
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Final, Literal

import idna
from PIL import ImageColor
from pydantic import AfterValidator, BeforeValidator, DirectoryPath, Field
from pydantic_settings import NoDecode

MIB = 1024 * 1024
ORIGIN: Final = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/?#\s@*]+")
HOST_PATTERN: Final = re.compile(r"\*|(\*\.)?[^\s*/:]+|[0-9a-f:.]+")
HTTP_URL: Final = re.compile(r"https?://[^/?#\s]+(/[^?#\s]*)?")
ROOT_PATH: Final = re.compile(r"(/[\w.~-]+)*", re.ASCII)


def split_commas(value: object) -> object:
    """Split a comma-separated string."""
    if not isinstance(value, str):
        return value
    return tuple(item.strip() for item in value.split(",") if item.strip())


def split_some(value: object) -> object:
    """Split a comma-separated string that must name something: an empty one would widen access."""
    parts = split_commas(value)
    if isinstance(value, str) and not parts:
        raise ValueError("is empty; leave it out, or give it a value")
    return parts


def _parse_ports(value: object) -> object:
    """Read ports; `any` is None."""
    return None if value == "any" else split_commas(value)


def _encode_domain(name: str) -> str:
    """Return a domain in the form that DNS uses."""
    try:
        return idna.encode(name.lower().rstrip(".")).decode("ascii")
    except UnicodeError:
        raise ValueError(f"{name!r} is not a domain name") from None


Network = IPv4Network | IPv6Network
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(split_commas)]
Port = Annotated[int, Field(ge=1, le=65535)]
Ports = Annotated[frozenset[Port] | None, NoDecode, BeforeValidator(_parse_ports)]
Domains = Annotated[
    tuple[Annotated[str, AfterValidator(_encode_domain)], ...],
    NoDecode,
    BeforeValidator(split_commas),
]

# By Pillow's names, in lower case.
ImageFormat = Literal[
    "jpeg", "png", "webp", "gif", "bmp", "tiff", "avif", "heif", "jpeg2000", "ico", "ppm", "tga"
]
ImageFormats = Annotated[
    tuple[ImageFormat, ...], Field(min_length=1), NoDecode, BeforeValidator(split_commas)
]
VideoFormat = Literal[
    "mp4",
    "matroska",
    "avi",
    "mpegts",
    "mpeg",
    "flv",
    "asf",
    "ogg",
    "ivf",
    "y4m",
    "mjpeg",
    "gif",
    "webp",
    "apng",
]
VideoFormats = Annotated[
    tuple[VideoFormat, ...], Field(min_length=1), NoDecode, BeforeValidator(split_commas)
]


def _split_pairs(value: object) -> object:
    """Split comma-separated `name=value` pairs."""
    if not isinstance(value, str):
        return value
    return dict(_split_pair(item.strip()) for item in value.split(",") if item.strip())


def _split_pair(item: str) -> tuple[str, str]:
    name, sign, value = item.partition("=")
    if not (name and sign and value):
        raise ValueError(f"{item!r} is not of the form name=folder")
    return name, value


NamedFolders = Annotated[dict[str, DirectoryPath], NoDecode, BeforeValidator(_split_pairs)]
Folders = Annotated[tuple[DirectoryPath, ...], NoDecode, BeforeValidator(split_commas)]


def check_origin(text: str) -> str:
    """Return an origin as browsers write it. Raises `ValueError`."""
    origin = text.lower().removesuffix("/")
    if not ORIGIN.fullmatch(origin):
        raise ValueError(f"{text!r} must be an origin such as https://app.example.com, or *")
    for scheme, port in (("http", ":80"), ("https", ":443")):
        if origin.startswith(f"{scheme}://"):
            origin = origin.removesuffix(port)
    return origin


def _check_host_pattern(text: str) -> str:
    """Return a host pattern in lower case. Raises `ValueError`."""
    host = text.lower().removesuffix(".").removeprefix("[").removesuffix("]")
    if not HOST_PATTERN.fullmatch(host):
        raise ValueError(f"{text!r} must be a host name without a port, *.domain or *")
    return host


def check_root_path(path: str) -> str:
    """Return a path without a slash at its end. Raises `ValueError`."""
    path = path.rstrip("/")
    if not ROOT_PATH.fullmatch(path):
        raise ValueError("must be a path that begins with a slash, such as /llava")
    return path


def _parse_cert_reqs(value: object) -> object:
    """Read ssl's names or numbers: none, optional, required. Raises `ValueError`."""
    names = {"none": 0, "optional": 1, "required": 2, "0": 0, "1": 1, "2": 2}
    if not isinstance(value, str):
        return value
    if value not in names:
        raise ValueError("must be none, optional or required")
    return names[value]


Origins = Annotated[
    tuple[Annotated[str, AfterValidator(check_origin)], ...],
    NoDecode,
    BeforeValidator(split_commas),
]
HostPatterns = Annotated[
    tuple[Annotated[str, AfterValidator(_check_host_pattern)], ...],
    NoDecode,
    BeforeValidator(split_commas),
]
CertReqs = Annotated[ssl.VerifyMode, BeforeValidator(_parse_cert_reqs)]


def check_opaque_color(name: str) -> str:
    """Return the colour; raise `ValueError` if Pillow does not know it or it has alpha."""
    if len(ImageColor.getrgb(name)) != 3:
        raise ValueError("must be opaque")
    return name


def check_collector_url(value: str) -> str:
    """Return an http(s) URL without a password. Raises `ValueError`."""
    if "@" in value:
        raise ValueError(
            "must hold no user and password: set OTEL_EXPORTER_OTLP_HEADERS, such as"
            " authorization=Basic%20…"
        )
    if not HTTP_URL.fullmatch(value):
        raise ValueError("must be a URL such as http://localhost:4318")
    return value
