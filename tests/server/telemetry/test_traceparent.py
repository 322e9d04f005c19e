"""Trace ids in clients' headers."""

import pytest

from server.telemetry.traceparent import read_trace_headers, read_trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize("header", [f"00-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-00-later"])
def test_a_valid_header_names_a_trace(header: str) -> None:
    assert read_trace_id([(b"traceparent", header.encode())]) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01x",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-later",
        f"01-{TRACE}-{SPAN}-01later",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_other_headers_name_none(header: str) -> None:
    assert read_trace_id([(b"traceparent", header.encode())]) is None


def test_of_two_headers_none_counts() -> None:
    parent = (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())
    state = [(b"tracestate", b"a=1"), (b"tracestate", b"b=2")]
    assert read_trace_headers([*state, parent]) == {
        "traceparent": parent[1].decode(),
        "tracestate": "a=1,b=2",
    }
    assert read_trace_headers([parent, *state, parent]) == {}
    assert read_trace_headers(state) == {}
    assert read_trace_id([parent, parent]) is None
