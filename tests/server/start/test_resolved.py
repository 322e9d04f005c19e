"""Defaults as `--check` shows them: those that the server uses."""

import json

import pytest

from server.api.runtime import Runtime
from server.app import create_app
from server.checkpoint.config import Checkpoint
from server.keys.key_ring import KeyRing
from server.lifecycle import Lifecycle
from server.settings import Settings
from server.start.resolved import format_json, format_text, resolve_all


@pytest.mark.parametrize(
    ("accelerator", "devices"),
    [("auto", ()), ("cpu", ("/dev/null",))],
)
@pytest.mark.parametrize("decode_workers", [None, 3])
def test_derived_defaults_are_the_servers(
    accelerator: str,
    devices: tuple[str, ...],
    decode_workers: int | None,
    checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("server.process.machine.GPU_DEVICES", devices)
    settings = Settings.model_validate(
        {"accelerator": accelerator, "decode_workers": decode_workers}
    )
    shown = {each.option.name: each.value for each in resolve_all(settings, None, {}, {})}
    app = create_app(settings, checkpoint, Lifecycle(1), lambda _: None, KeyRing())
    runtime: Runtime = app.state.runtime
    capacity = runtime.admission._capacity
    assert shown["max_concurrent_requests"] == str(capacity.sequences)
    assert shown["max_pending_image_mib"] == str(capacity.image_bytes // 1024**2)


def test_what_is_not_set_is_null_in_json_and_a_word_in_text() -> None:
    settings = Settings.model_validate({"admin_port": None, "fetch_allow_ports": "any"})
    resolved = resolve_all(settings, None, {}, {})
    shown = {
        name: each["value"]
        for name, each in json.loads(format_json(resolved, None))["settings"].items()
    }
    unset = {name for name, value in shown.items() if value is None}
    assert unset >= {"admin_port", "uds", "keys_file", "api_keys", "usage_log", "quantization"}
    assert unset.isdisjoint({"admin_host", "max_concurrent_requests", "decode_workers", "seed"})
    assert not {"none", "any", "vLLM's own"} & {shown[name] for name in unset}
    lines = {" ".join(line.split()) for line in format_text(resolved).splitlines()}
    assert {
        "admin_port none (default)",
        "uds none (default)",
        "admin_host 127.0.0.1 (default)",
    } <= lines
    assert {"fetch_allow_ports any (default)"} <= lines
