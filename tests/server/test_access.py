"""API keys: who may ask, and who shares images with whom."""

import pytest

from server.access import Access
from server.errors import Unauthorized


@pytest.mark.parametrize("header", ["Bearer one", "bearer one", "Bearer  one", "BEARER two"])
def test_known_keys_pass(header: str) -> None:
    assert Access(["one", "two"]).tenant(header)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer three", "Bearer ONE", "Basic one", "one"]
)
def test_all_else_is_refused(header: str | None) -> None:
    with pytest.raises(Unauthorized) as caught:
        Access(["one", "two"]).tenant(header)
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")


def test_each_key_is_a_tenant() -> None:
    access = Access(["one", "two"])
    assert access.tenant("Bearer one") == access.tenant("bearer one")
    assert access.tenant("Bearer one") != access.tenant("Bearer two")
    assert "one" not in access.tenant("Bearer one")


def test_without_keys_everybody_passes_and_tokens_still_tell_tenants_apart() -> None:
    access = Access([])
    assert access.tenant(None) == access.tenant("Basic x") == access.tenant("Bearer ") == ""
    assert access.tenant("Bearer one") != access.tenant("Bearer two")
