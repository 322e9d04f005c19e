"""Refusals that the edge writes by itself may be read by the pages that are allowed."""

import pytest

from tests.server.api.edge.running import Response, running_edge

ORIGIN = "https://app.example.com"
TOO_LARGE = "x: " + "x" * 4096


def refuse(allowed: tuple[str, ...], origin: str) -> Response:
    """Send a head that is too large."""
    with (
        running_edge(cors_allow_origins=allowed, max_header_bytes=2048) as edge,
        edge.connect() as client,
    ):
        return client.request("/", b"", f"origin: {origin}", TOO_LARGE)


@pytest.mark.parametrize(
    ("allowed", "said"), [(("https://other.example", ORIGIN), ORIGIN), (("*",), "*")]
)
def test_allowed_pages_may_read_refusals(allowed: tuple[str, ...], said: str) -> None:
    response = refuse(allowed, ORIGIN)
    assert response.status == 431
    assert response.headers["access-control-allow-origin"] == said
    assert "retry-after" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize("allowed", [(), ("https://other.example",)])
def test_other_pages_may_not(allowed: tuple[str, ...]) -> None:
    response = refuse(allowed, ORIGIN)
    assert response.status == 431
    assert "access-control-allow-origin" not in response.headers
