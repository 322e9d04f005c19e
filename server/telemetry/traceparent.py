"""The trace id that a client's `traceparent` names: for log lines of a server without tracing."""

import re
from typing import Final

# https://www.w3.org/TR/trace-context/#traceparent-header; later versions may append fields.
TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", re.ASCII
)


def read_trace_id(traceparent: str) -> str | None:
    """Return the trace id, 32 hexadecimal digits, or None where the header is not valid."""
    found = TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else None
