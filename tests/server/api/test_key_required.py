"""The paths that need no key."""

import pytest

from server.api.key_required import list_open_paths

PROBES = {"/health", "/startup", "/ready"}


@pytest.mark.parametrize("protect_all", [False, True])
@pytest.mark.parametrize("has_admin_port", [False, True])
def test_the_metrics_are_open_unless_protected_or_elsewhere(
    protect_all: bool, has_admin_port: bool
) -> None:
    paths = list_open_paths(protect_all=protect_all, has_admin_port=has_admin_port)
    assert set(paths) >= PROBES
    assert ("/metrics" in paths) == (not protect_all and not has_admin_port)
    assert ("/page" in paths) == (not protect_all)
