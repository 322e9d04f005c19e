"""Defaults that follow from the machine."""

import pytest

from server.process import defaults
from server.process.defaults import default_cpu_kv_cache_gib

GIB = 1024**3


@pytest.mark.parametrize(("memory_gib", "expected"), [(4, 1), (7.6, 1), (12, 2), (256, 2)])
def test_a_small_memory_has_room_for_half_the_kv_cache(
    memory_gib: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults, "read_memory_limit", lambda: int(memory_gib * GIB))
    assert default_cpu_kv_cache_gib() == expected
