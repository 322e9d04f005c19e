"""Settings from the command line and the environment."""

import json
import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest
from pydantic import ValidationError

from server.settings import Settings
from server.start.parsing import parse_command_line
from server.start.validation import read_settings


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("LLAVA_"):
            monkeypatch.delenv(name)


OTHERS = {
    "accelerator": "cpu",
    "alpha": "drop",
    "alpha_color": "black",
    "animated_images": "refuse",
    "log_level": "error",
    "unknown_parameters": "ignore",
    "log_format": "json",
    "otlp_endpoint": "http://localhost:4318",
    "fetch_allow_networks": "10.0.0.0/8",
    "fetch_allow_ports": "any",
    "fetch_allow_domains": "example.org",
    "fetch_deny_domains": "example.net",
    "image_folders": "/",
    "image_formats": "png",
    "video_formats": "mp4",
    "lora_adapters": "a=/",
    "uds": "llava.sock",
    "root_path": "/llava",
    "ssl_certfile": __file__,
    "ssl_keyfile": __file__,
    "ssl_ca_certs": __file__,
    "ssl_cert_reqs": "required",
    "color_management": "off",
    "orientation": "off",
    "cors_allow_origins": "https://app.example.com",
    "allowed_hosts": "llava.example.com",
    "dtype": "float16",
    "quantization": "awq",
    "kv_cache_dtype": "fp8",
    "enable_prefix_caching": "false",
    "distributed_executor_backend": "mp",
    "speculative_config": '{"method": "ngram"}',
    "compilation_config": '{"mode": 0}',
    "gpu_memory_utilization": "0.5",
    "vision_device": "cpu",
    "engine_args": '{"async_scheduling": false}',
}


def options(*arguments: str) -> Settings:
    """Read a command line that is right."""
    parsed = parse_command_line(arguments)
    settings, wrong = read_settings(parsed.values, os.environ)
    assert [*parsed.mistakes, *wrong.values()] == []
    return settings


def test_defaults_serve_the_embedded_model_on_this_machine_only() -> None:
    settings = options()
    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", 8000, "llava-tiny")
    assert settings.served_model_name is None
    assert settings.decode_workers is None
    assert settings.enforce_eager is None
    assert settings.log_format == "text"


@pytest.mark.parametrize(
    ("text", "names"), [("a", ("a",)), ("a, org/b,", ("a", "org/b")), (",", ())]
)
def test_a_model_may_have_several_names(text: str, names: tuple[str, ...]) -> None:
    assert options("--served-model-name", text).served_model_names == names
    assert options().served_model_names == ()


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--port", "0"], "port", 0),
        (["--port=65535"], "port", 65535),
        (["--host", "::"], "host", "::"),
        (["--max-images", "3"], "max_images", 3),
        (["--decode-workers", "2"], "decode_workers", 2),
        (["--served-model-name", "gpt-4o"], "served_model_name", "gpt-4o"),
        (["--accelerator", "cpu"], "accelerator", "cpu"),
        (["--conv-mode", "chatml_direct"], "conv_mode", "chatml_direct"),
        (["--gpu-memory-utilization", "1"], "gpu_memory_utilization", 1.0),
        (["--drain-timeout-s", "0.5"], "drain_timeout_s", 0.5),
        (["--log-format", "json"], "log_format", "json"),
        (["--no-verify-model"], "verify_model", False),
        (["--verify-model"], "verify_model", True),
        (
            ["--fetch-allow-networks", "127.0.0.0/8, fd00::/8"],
            "fetch_allow_networks",
            (IPv4Network("127.0.0.0/8"), IPv6Network("fd00::/8")),
        ),
        (["--fetch-allow-networks="], "fetch_allow_networks", ()),
        (["--fetch-allow-ports", "80,8080"], "fetch_allow_ports", frozenset({80, 8080})),
        (["--fetch-allow-ports", "any"], "fetch_allow_ports", None),
        (
            ["--fetch-allow-domains", "Bücher.example,EXAMPLE.org"],
            "fetch_allow_domains",
            ("xn--bcher-kva.example", "example.org"),
        ),
        (["--fetch-cache-mib", "0"], "fetch_cache_mib", 0.0),
        (["--fetch-proxy-env"], "fetch_proxy_env", True),
        (["--root-path", "/a/b/"], "root_path", "/a/b"),
        (["--root-path", "/"], "root_path", ""),
        (
            ["--cors-allow-origins", "HTTPS://App.example.com:443/, http://localhost:5173"],
            "cors_allow_origins",
            ("https://app.example.com", "http://localhost:5173"),
        ),
        (["--cors-allow-origins", "*"], "cors_allow_origins", ("*",)),
        (
            ["--allowed-hosts", "LLaVA.example.com,*.example.org,[::1],*"],
            "allowed_hosts",
            ("llava.example.com", "*.example.org", "::1", "*"),
        ),
        (["--image-formats", "jpeg, png"], "image_formats", ("jpeg", "png")),
        (["--image-folders", "/,/tmp"], "image_folders", (Path("/"), Path("/tmp"))),  # noqa: S108
    ],
)
def test_options(arguments: list[str], name: str, value: object) -> None:
    assert getattr(options(*arguments), name) == value


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("LLAVA_PORT", "81", "port", 81),
        ("LLAVA_MAX_IMAGE_MIB", "1.5", "max_image_mib", 1.5),
        ("llava_model", "/models/x", "model", "/models/x"),
        ("LLAVA_ENFORCE_EAGER", "true", "enforce_eager", True),
        ("LLAVA_MAX_MODEL_LEN", "512", "max_model_len", 512),
    ],
)
def test_environment(
    variable: str, text: str, name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    assert getattr(options(), name) == value


def test_every_option_is_also_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, field in Settings.model_fields.items():
        other = OTHERS.get(name)
        if other is None:
            other = {str: "text", float: "0.5", bool: "false"}.get(type(field.default), "7")
        if name == "enforce_eager" or field.default is False:
            other = "true"
        monkeypatch.setenv(f"LLAVA_{name.upper()}", other)
    settings = options()
    assert [
        name for name, f in Settings.model_fields.items() if getattr(settings, name) == f.default
    ] == []


def test_the_command_line_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAVA_PORT", "81")
    monkeypatch.setenv("LLAVA_HOST", "0.0.0.0")  # noqa: S104
    settings = options("--port", "82")
    assert (settings.port, settings.host) == (82, "0.0.0.0")  # noqa: S104


BAD = [
    ("root_path", "llava"),
    ("root_path", "/a b"),
    ("root_path", "//example.com"),
    ("cors_allow_origins", "app.example.com"),
    ("cors_allow_origins", "https://app.example.com/page"),
    ("cors_allow_origins", "https://*.example.com/"),
    ("allowed_hosts", "example.com:80"),
    ("allowed_hosts", "https://example.com"),
    ("allowed_hosts", "a*.example.com"),
    ("ssl_certfile", "/nowhere/cert.pem"),
    ("ssl_cert_reqs", "perhaps"),
    ("port", "-1"),
    ("port", "65536"),
    ("port", "http"),
    ("port", "1.5"),
    ("max_images", "0"),
    ("max_images", "many"),
    ("max_concurrent_requests", "0"),
    ("max_body_mib", "0"),
    ("fetch_timeout_s", "-1"),
    ("fetch_connect_timeout_s", "0"),
    ("fetch_read_timeout_s", "0"),
    ("fetch_allow_networks", "10.0.0.1/8"),
    ("fetch_allow_networks", "intranet"),
    ("fetch_allow_ports", "0"),
    ("fetch_allow_ports", "80,all"),
    ("fetch_allow_domains", "http://example.org"),
    ("fetch_deny_domains", "a..b"),
    ("fetch_connections_per_host", "0"),
    ("fetch_cache_mib", "-1"),
    ("image_folders", "/no/such/folder"),
    ("decode_timeout_s", "nan"),
    ("decode_workers", "0"),
    ("vision_batch_size", "0"),
    ("gpu_memory_utilization", "1.1"),
    ("gpu_memory_utilization", "0"),
    ("accelerator", "tpu"),
    ("log_level", "loud"),
    ("log_format", "xml"),
    ("enforce_eager", "perhaps"),
]


@pytest.mark.parametrize(("name", "text"), BAD)
def test_bad_variables_are_named(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"LLAVA_{name.upper()}", text)
    _, wrong = read_settings({}, os.environ)
    assert [mistake.written for mistake in wrong.values()] == [f"LLAVA_{name.upper()}={text}"]


@pytest.mark.parametrize(("name", "text"), BAD)
def test_bad_options_are_refused(name: str, text: str) -> None:
    option = f"--{name.replace('_', '-')}"
    parsed = parse_command_line([f"{option}={text}"])
    settings, wrong = read_settings(parsed.values, {})
    assert [mistake.written for mistake in wrong.values()] == [f"{option} {text}"]
    assert getattr(settings, name) == Settings.model_fields[name].default


def test_settings_do_not_change() -> None:
    settings = options()
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_units() -> None:
    settings = options(
        "--max-body-mib=0.5", "--max-image-mib=2", "--max-image-megapixels=1.5",
        "--image-cache-mib=1",
    )  # fmt: skip
    assert settings.max_body_bytes == 512 * 1024
    assert settings.max_image_bytes == 2 * 1024 * 1024
    assert settings.max_image_pixels == 1_500_000
    assert settings.image_cache_bytes == 1024 * 1024


def test_help_tells_what_every_option_does() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert json.dumps(Settings.model_json_schema())


@pytest.mark.parametrize(
    ("color", "rgb"), [("white", (255, 255, 255)), ("#102030", (16, 32, 48)), ("red", (255, 0, 0))]
)
def test_the_colour_behind_transparency(color: str, rgb: tuple[int, int, int]) -> None:
    assert options("--alpha-color", color).alpha_rgb == rgb


@pytest.mark.parametrize("color", ["", "no colour", "#10203040", "#12"])
def test_what_is_no_opaque_colour_is_refused(color: str) -> None:
    with pytest.raises(ValidationError, match="alpha_color"):
        Settings(alpha_color=color)
