"""The settings: command line first, then `LLAVA_*` variables, then defaults."""

import re
import ssl
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Final, Literal, Self, get_args

import idna
from PIL import ImageColor
from pydantic import (
    AfterValidator,
    BeforeValidator,
    DirectoryPath,
    Field,
    FilePath,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIB = 1024 * 1024
ORIGIN: Final = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/?#\s@*]+")
HOST_PATTERN: Final = re.compile(r"\*|(\*\.)?[^\s*/:]+|[0-9a-f:.]+")
ROOT_PATH: Final = re.compile(r"(/[\w.~-]+)*", re.ASCII)


def _split_commas(value: object) -> object:
    """Split a comma-separated string."""
    if not isinstance(value, str):
        return value
    return tuple(item.strip() for item in value.split(",") if item.strip())


def _parse_ports(value: object) -> object:
    """Read ports; `any` is None."""
    return None if value == "any" else _split_commas(value)


def _encode_domain(name: str) -> str:
    """Return a domain in the form that DNS uses."""
    try:
        return idna.encode(name.lower().rstrip(".")).decode("ascii")
    except UnicodeError:
        raise ValueError(f"{name!r} is no domain name") from None


Network = IPv4Network | IPv6Network
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_split_commas)]
Port = Annotated[int, Field(ge=1, le=65535)]
Ports = Annotated[frozenset[Port] | None, NoDecode, BeforeValidator(_parse_ports)]
Domains = Annotated[
    tuple[Annotated[str, AfterValidator(_encode_domain)], ...],
    NoDecode,
    BeforeValidator(_split_commas),
]

# By Pillow's names, in lower case.
ImageFormat = Literal[
    "jpeg", "png", "webp", "gif", "bmp", "tiff", "avif", "heif", "jpeg2000", "ico", "ppm", "tga"
]
ImageFormats = Annotated[
    tuple[ImageFormat, ...], Field(min_length=1), NoDecode, BeforeValidator(_split_commas)
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
Folders = Annotated[tuple[DirectoryPath, ...], NoDecode, BeforeValidator(_split_commas)]


def _check_origin(text: str) -> str:
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
        raise ValueError(f"{text!r} is no host name without a port, no *.domain and not *")
    return host


def _check_root_path(path: str) -> str:
    """Return a path without a slash at its end. Raises `ValueError`."""
    path = path.rstrip("/")
    if not ROOT_PATH.fullmatch(path):
        raise ValueError("must be a path that begins with a slash, such as /llava")
    return path


def _parse_cert_reqs(value: object) -> object:
    """Read ssl's names or numbers: none, optional, required."""
    names = {"none": 0, "optional": 1, "required": 2}
    return names.get(value.lower(), value) if isinstance(value, str) else value


Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_check_origin)], ...],
    NoDecode,
    BeforeValidator(_split_commas),
]
HostPatterns = Annotated[
    tuple[Annotated[str, AfterValidator(_check_host_pattern)], ...],
    NoDecode,
    BeforeValidator(_split_commas),
]
CertReqs = Annotated[ssl.VerifyMode, BeforeValidator(_parse_cert_reqs)]


def _check_opaque_color(name: str) -> str:
    """Return the colour; raise `ValueError` if Pillow does not know it or it has alpha."""
    if len(ImageColor.getrgb(name)) != 3:
        raise ValueError("must be opaque")
    return name


class Settings(BaseSettings):
    """Serve a LLaVA model over an OpenAI-compatible API.

    Every option is also an environment variable: `--max-images` is `LLAVA_MAX_IMAGES`.
    """

    model_config = SettingsConfigDict(
        env_prefix="LLAVA_",
        frozen=True,
        extra="forbid",
        cli_prog_name="python -m server",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8000, description="port to listen on; 0 takes a free one"
    )
    uds: Path | None = Field(
        None, description="Unix domain socket to listen on, instead of host and port"
    )
    root_path: Annotated[str, AfterValidator(_check_root_path)] = Field(
        "", description="path under which a proxy offers the server, such as /llava"
    )
    ssl_certfile: FilePath | None = Field(
        None, description="certificate chain in PEM; with it the server speaks TLS only"
    )
    ssl_keyfile: FilePath | None = Field(
        None, description="the certificate's key in PEM; default: it is in the certificate's file"
    )
    ssl_keyfile_password: SecretStr | None = Field(
        None,
        description="password of the key; rather set LLAVA_SSL_KEYFILE_PASSWORD, since command"
        " lines are there for all to see",
    )
    ssl_ca_certs: FilePath | None = Field(
        None, description="authorities in PEM that clients' certificates must come from"
    )
    ssl_cert_reqs: CertReqs = Field(
        ssl.CERT_NONE,
        description="whether clients must show a certificate: none, optional or required",
    )
    ssl_ciphers: str | None = Field(
        None, description="OpenSSL's list of ciphers for TLS 1.2; default: Python's"
    )
    cors_allow_origins: Origins = Field(
        (),
        description="origins of web pages that may use the server, such as"
        " https://app.example.com, with commas between them, or *; default: its own only",
    )
    allowed_hosts: HostPatterns = Field(
        (),
        description="names that requests may name as Host, such as llava.example.com or"
        " *.example.com, with commas between them, or *; default: on a loopback address only"
        " local names and addresses, elsewhere any",
    )
    model: str = Field(
        "llava-tiny",
        description="a name in the model store, the path of a checkpoint, or a hub id"
        " (org/name, org/name@revision), which is pulled unless the store has it",
    )
    verify_model: bool = Field(
        True, description="compare the model's files with its manifest before loading them"
    )
    served_model_name: str | None = Field(
        None,
        description="the name clients use, or several with commas between them, of which"
        " responses repeat the requested one; default: the checkpoint's folder name",
    )
    conv_mode: str | None = Field(
        None,
        description="conversation template, or chat_template for the checkpoint's own; default: "
        "the one the checkpoint was trained with",
    )
    tool_parser: str = Field(
        "auto",
        description="which of vLLM's tool parsers reads the model's calls, or none; auto: the one"
        " that fits the checkpoint's own chat template, if that is in use and knows of tools",
    )
    accelerator: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where the vision tower runs; auto takes CUDA where there is a GPU"
    )

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_commas)] = Field(
        (),
        description="keys that clients must send as bearer tokens, with commas between them; rather"
        " set LLAVA_API_KEYS, since command lines are there for all to see; default: none needed",
    )
    protect_all: bool = Field(
        False,
        description="ask for a key on every path but /health and /ready: also on the page, /docs"
        " and /metrics",
    )
    unknown_parameters: Literal["refuse", "ignore"] = Field(
        "refuse",
        description="whether a request with fields that this server does not know is refused, or"
        " answered with their names in the header x-llava-ignored-parameters",
    )
    trust_request_chat_template: bool = Field(
        False, description="let requests bring a chat_template, which is rendered in a sandbox"
    )
    max_concurrent_requests: PositiveInt | None = Field(
        None,
        description="sequences in the engine at once; beyond that requests wait; default: 256,"
        " on a CPU 48",
    )
    max_queue_s: PositiveFloat = Field(
        5.0, description="longest time that a request waits for its turn before a 429, in seconds"
    )
    request_timeout_s: PositiveFloat = Field(
        600.0,
        description="time for one request, in seconds; a client may set a shorter one by"
        " x-request-timeout-ms",
    )
    max_buffered_mib: PositiveFloat = Field(
        256.0, description="memory for the bodies of all requests together, in MiB"
    )
    max_pending_image_mib: PositiveFloat | None = Field(
        None,
        description="encoded images that are decoded or wait for it, in MiB, 2.5 more for each;"
        " default: 80 for each decode worker",
    )
    max_stream_buffer_kib: PositiveInt = Field(
        1024, description="events kept for a client that does not read its stream, in KiB"
    )
    max_connections: PositiveInt = Field(4096, description="connections at once")
    max_connections_per_address: PositiveInt = Field(
        1024, description="connections at once from one address"
    )
    max_header_kib: PositiveInt = Field(32, description="headers of one request, in KiB")
    max_header_lines: PositiveInt = Field(128, description="header lines of one request")
    header_timeout_s: PositiveFloat = Field(
        15.0, description="time for a request's headers to arrive, in seconds"
    )
    keep_alive_timeout_s: PositiveInt = Field(
        75, description="time that a connection may be idle between requests, in seconds"
    )
    min_upload_kib_s: PositiveFloat = Field(
        4.0, description="least rate at which a body must arrive, in KiB per second"
    )
    write_timeout_s: PositiveFloat = Field(
        30.0, description="time that a client may read nothing before it is cut off, in seconds"
    )
    max_body_mib: PositiveFloat = Field(64.0, description="largest request body, in MiB")
    drain_timeout_s: PositiveFloat = Field(
        30.0, description="how long requests in flight may go on after SIGTERM, in seconds"
    )

    max_images: PositiveInt = Field(16, description="images per request")
    max_image_mib: PositiveFloat = Field(32.0, description="largest encoded image, in MiB")
    max_image_megapixels: PositiveFloat = Field(
        100.0, description="largest image, in millions of pixels"
    )
    max_request_megapixels: PositiveFloat = Field(
        400.0, description="the images of one request together, in millions of pixels"
    )
    request_fetch_timeout_s: PositiveFloat = Field(
        30.0, description="time to fetch all images of one request, in seconds"
    )
    max_image_frames: PositiveInt = Field(1000, description="frames or pages of one image")
    image_formats: ImageFormats = Field(
        get_args(ImageFormat), description="formats of images, with commas between them"
    )
    animated_images: Literal["first", "refuse"] = Field(
        "first", description="of an animated image, show the first frame, or refuse it"
    )
    alpha_color: Annotated[str, AfterValidator(_check_opaque_color)] = Field(
        "white", description="what lies behind transparent images: #rrggbb or a colour's name"
    )
    fetch_timeout_s: PositiveFloat = Field(
        10.0, description="time to fetch one http(s) image, in seconds"
    )
    fetch_connect_timeout_s: PositiveFloat = Field(
        3.0, description="time to look an image's host up and connect to it, in seconds"
    )
    fetch_read_timeout_s: PositiveFloat = Field(
        5.0, description="longest pause of an image's server, in seconds"
    )
    fetch_allow_networks: Networks = Field(
        (),
        description="networks that images may come from although they are not public, e.g."
        " 10.0.0.0/8,fd00::/8",
    )
    fetch_allow_ports: Ports = Field(
        frozenset({80, 443}), description="ports that images may come from, or any"
    )
    fetch_allow_domains: Domains = Field(
        (), description="the only domains that images may come from; default: any"
    )
    fetch_deny_domains: Domains = Field((), description="domains that no images may come from")
    fetch_allow_userinfo: bool = Field(
        False, description="let image URLs hold a user name and password"
    )
    fetch_connections_per_host: PositiveInt = Field(
        8, description="images fetched from one host at a time"
    )
    fetch_cache_mib: NonNegativeFloat = Field(
        64.0, description="memory for fetched images that HTTP lets be kept, in MiB; 0 keeps none"
    )
    fetch_proxy_env: bool = Field(
        False, description="fetch by way of the proxies that HTTP_PROXY and HTTPS_PROXY name"
    )
    image_folders: Folders = Field(
        (), description="folders that file:// image URLs may read from; default: none"
    )
    decode_timeout_s: PositiveFloat = Field(
        20.0, description="time to decode one image before its worker is killed, in seconds"
    )
    decode_cpu_s: PositiveInt = Field(
        15, description="CPU time to decode one image before its worker is killed, in seconds"
    )
    decode_memory_mib: PositiveInt = Field(
        3072, description="address space that a decode worker may take for one image, in MiB"
    )
    decode_workers: PositiveInt | None = Field(
        None, description="decode processes; default: the CPU cores less one, from 2 to 8"
    )
    fast_jpeg: bool = Field(
        True, description="average pixels of very large JPEGs before the resize, which is faster"
    )
    vision_batch_size: PositiveInt = Field(16, description="most views the tower takes at once")
    vision_threads: PositiveInt | None = Field(
        None, description="CPU threads of the tower; default: the CPU cores less one"
    )
    image_cache_mib: PositiveFloat | None = Field(
        None,
        description="memory for finished image embeddings, in MiB; default: a thousand images of"
        " the model, at most 1024",
    )

    lora_adapters: NamedFolders = Field(
        {},
        description="LoRA adapters (PEFT folders) to serve as models of these names, as"
        " name=folder, with commas between them; default: none",
    )
    max_loras: PositiveInt = Field(4, description="LoRA adapters the engine decodes with at once")
    max_model_len: PositiveInt | None = Field(
        None, description="context length in tokens; default: the checkpoint's"
    )
    max_num_seqs: PositiveInt = Field(256, description="sequences the engine decodes at once")
    max_num_batched_tokens: PositiveInt = Field(
        8192, description="tokens the engine computes in one step, image tokens included"
    )
    enforce_eager: bool | None = Field(
        None,
        description="do not compile the language model; default: compile it, on a CPU only if"
        " there is a C++ compiler",
    )
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = Field(
        0.85, description="share of GPU memory for the engine; the tower needs some of the rest"
    )
    engine_stall_timeout_s: PositiveFloat = Field(
        120.0,
        description="time without an engine step, while sequences run, before the server fails,"
        " in seconds",
    )
    cpu_kv_cache_gib: PositiveInt = Field(2, description="KV cache of the engine on a CPU, in GiB")

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe log lines shown"
    )
    log_format: Literal["text", "json"] = Field("text", description="how log lines look")

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.protect_all and not self.api_keys:
            raise ValueError("--protect-all needs --api-keys")
        if self.ssl_certfile is None and (
            self.ssl_keyfile or self.ssl_ca_certs or self.ssl_keyfile_password
        ):
            raise ValueError("--ssl-keyfile, its password and --ssl-ca-certs need --ssl-certfile")
        if self.ssl_cert_reqs and self.ssl_ca_certs is None:
            raise ValueError("--ssl-cert-reqs needs --ssl-ca-certs")
        return self

    @property
    def served_model_names(self) -> tuple[str, ...]:
        """The names clients use; none where the checkpoint's folder names the model."""
        return tuple(filter(None, map(str.strip, (self.served_model_name or "").split(","))))

    @property
    def max_body_bytes(self) -> int:
        """Largest request body in bytes."""
        return int(self.max_body_mib * MIB)

    @property
    def max_image_bytes(self) -> int:
        """Largest encoded image in bytes."""
        return int(self.max_image_mib * MIB)

    @property
    def max_image_pixels(self) -> int:
        """Largest image in pixels."""
        return int(self.max_image_megapixels * 1_000_000)

    @property
    def alpha_rgb(self) -> tuple[int, int, int]:
        """The background of transparent images."""
        red, green, blue = ImageColor.getrgb(self.alpha_color)[:3]
        return red, green, blue

    @property
    def max_request_pixels(self) -> int:
        """The images of one request together, in pixels."""
        return int(self.max_request_megapixels * 1_000_000)

    @property
    def decode_memory_bytes(self) -> int:
        """Address space for one decode in bytes."""
        return self.decode_memory_mib * MIB

    @property
    def image_cache_bytes(self) -> int | None:
        """Memory for finished image embeddings in bytes, if it was set."""
        return None if self.image_cache_mib is None else int(self.image_cache_mib * MIB)

    @property
    def fetch_cache_bytes(self) -> int:
        """Memory for fetched images in bytes."""
        return int(self.fetch_cache_mib * MIB)
