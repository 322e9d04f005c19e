"""Defaults as `--check` shows them: those that the server uses."""

import pytest

from server.api.runtime import Runtime
from server.app import create_app
from server.checkpoint.config import Checkpoint
from server.keys.key_ring import KeyRing
from server.lifecycle import Lifecycle
from server.settings import Settings
from server.start.resolved import resolve_all


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
