"""The headers by which a client names its trace: https://www.w3.org/TR/trace-context/."""

import re
from collections.abc import Iterable
from typing import Final

FIELDS: Final = r"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
# Versions after 00 may append fields; there is no version ff.
TRACEPARENT: Final = re.compile(rf"00{FIELDS}|(?!00|ff)[0-9a-f]{{2}}{FIELDS}(-.*)?", re.ASCII)
TRACE_ID: Final = slice(3, 35)

Headers = Iterable[tuple[bytes, bytes]]


def read_trace_headers(headers: Headers) -> dict[str, str]:
    """Return `traceparent` and `tracestate`; neither if the first is invalid or comes twice."""
    found: dict[bytes, list[str]] = {b"traceparent": [], b"tracestate": []}
    for name, value in headers:
        if name in found:
            found[name].append(str(value, "latin-1"))
    parents, states = found.values()
    if len(parents) != 1 or not TRACEPARENT.fullmatch(parents[0]):
        return {}
    return {"traceparent": parents[0], "tracestate": ",".join(states)}


def read_trace_id(headers: Headers) -> str | None:
    """Return the trace's id, 32 hexadecimal digits, for log lines of a server without tracing."""
    traceparent = read_trace_headers(headers).get("traceparent")
    return traceparent and traceparent[TRACE_ID]
