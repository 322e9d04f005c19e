"""What pydantic finds wrong, in plain words and with a remedy."""

import pytest

from server.settings.options import list_options
from server.start.validation import read_settings


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("api_keys", ",", "--api-keys …: is empty; leave it out, or give it a value"),
        ("api_keys", "", "--api-keys …: is empty; leave it out, or give it a value"),
        ("port", "http", "--port http: must be a whole number"),
        ("port", "1.5", "--port 1.5: must be a whole number"),
        ("port", "70000", "--port 70000: must be at most 65535"),
        ("max_queue_s", "inf", "--max-queue-s inf: must be a finite number"),
        ("drain_timeout_s", "1e30", "--drain-timeout-s 1e30: must be at most 4294967296"),
        ("max_images", "9" * 20, f"--max-images {'9' * 20}: must be at most 4294967296"),
        ("max_images", "0", "--max-images 0: must be above 0"),
        (
            "max_body_mib",
            "64MB",
            "--max-body-mib 64MB: must be a number, in MiB without a unit: write 64",
        ),
        (
            "max_body_mib",
            "1 GiB",
            "--max-body-mib 1 GiB: must be a number, in MiB without a unit: write 1024",
        ),
        (
            "drain_timeout_s",
            "2m",
            "--drain-timeout-s 2m: must be a number, in seconds without a unit: write 120",
        ),
        (
            "keep_alive_timeout_s",
            "75s",
            "--keep-alive-timeout-s 75s: must be a whole number, in seconds without a unit: write"
            " 75",
        ),
        ("max_body_mib", "big", "--max-body-mib big: must be a number, in MiB"),
        (
            "log_level",
            "WARN",
            "--log-level WARN: must be one of debug, info, warning, error; did you mean warning?",
        ),
        ("log_format", "JSON", "--log-format JSON: must be one of text, json; did you mean json?"),
        (
            "accelerator",
            "gpu",
            "--accelerator gpu: must be one of auto, cpu, cuda; did you mean cuda?",
        ),
        ("enforce_eager", "maybe", "--enforce-eager maybe: must be true or false"),
        ("ssl_certfile", "/no", "--ssl-certfile /no: there is no such file"),
        ("image_folders", "/,/no", "--image-folders /,/no: there is no such folder"),
        ("ssl_cert_reqs", "may", "--ssl-cert-reqs may: must be none, optional or required"),
        (
            "image_formats",
            "jpg",
            "--image-formats jpg: 'jpg' must be one of jpeg, png, webp, gif, bmp, tiff, avif, heif,"
            " jpeg2000, ico, ppm, tga; did you mean jpeg?",
        ),
        ("lora_adapters", "x", "--lora-adapters x: 'x' is not of the form name=folder"),
    ],
)
def test_mistakes(name: str, text: str, said: str) -> None:
    _, wrong = read_settings({name: text}, {})
    assert [str(mistake) for mistake in wrong.values()] == [said]


def test_all_at_once_and_the_rest_is_read() -> None:
    settings, wrong = read_settings({"port": "x", "max_images": "x", "host": "::1"}, {})
    assert set(wrong) == {"port", "max_images"}
    assert (settings.host, settings.port, settings.max_images) == ("::1", 8000, 16)


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAVA_MAX_IMAGES", "x")
    _, wrong = read_settings({"api_keys": "hunter2", "port": "x"}, {"LLAVA_MAX_IMAGES": "x"})
    assert "hunter2" not in str(list(wrong.values()))
    assert wrong["max_images"].written == "LLAVA_MAX_IMAGES=x"


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "Infinity"])
def test_no_setting_is_infinite_or_not_a_number(text: str) -> None:
    values = {
        option.name: text for option in list_options() if "float" in str(option.field.annotation)
    }
    assert len(values) > 20
    _, wrong = read_settings(values, {})
    assert wrong.keys() == values.keys()
