"""Checks of a request's head that llhttp does not make."""

from collections.abc import Sequence
from typing import Final

from server.api.edge.refusals import RefusalReason, Refused

FRAMING_HEADERS: Final = (b"content-length", b"transfer-encoding")
CHECKED_HEADERS: Final = frozenset((b"host", b"transfer-encoding", b"expect", b"content-length"))
# Python refuses to convert thousands of digits; no body is that long.
MAX_LENGTH_DIGITS: Final = 20


def validate_head(version: str, headers: Sequence[tuple[bytes, bytes]], max_bytes: int) -> bool:
    """Return whether the client waits for `100 Continue` before it sends the body.

    Raises `Refused` for headers over `max_bytes`, and for a head whose framing or host is
    ambiguous (RFC 9112, 3.2 and 6.1). llhttp itself refuses Content-Length beside
    Transfer-Encoding, either of them twice, folded lines, and bare CR or LF.
    Header names are in lower case.
    """
    if version not in ("1.1", "1.0"):
        raise Refused(RefusalReason.BAD_REQUEST)
    num_bytes = 4 * len(headers)  # the colons, spaces and ends of lines
    checked = []
    for header in headers:
        name, value = header
        num_bytes += len(name) + len(value)
        if name in CHECKED_HEADERS:
            checked.append(header)
    if num_bytes > max_bytes:
        raise Refused(RefusalReason.HEADER_BYTES)
    return _check_values(version, checked)


def _check_values(version: str, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Return whether the client waits for `100 Continue`; raise `Refused` if ambiguous."""
    hosts, expects_continue = 0, False
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"expect":
            # HTTP/1.0 has no such response (RFC 9110, 10.1.1).
            expects_continue = version == "1.1" and value.lower() == b"100-continue"
        elif name == b"content-length":
            if len(value) > MAX_LENGTH_DIGITS:
                raise Refused(RefusalReason.BAD_REQUEST)
        # Proxies may interpret other codings, or any coding in HTTP/1.0, differently.
        elif version == "1.0" or value.strip(b" \t").lower() != b"chunked":
            raise Refused(RefusalReason.BAD_REQUEST)
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise Refused(RefusalReason.BAD_REQUEST)
    return expects_continue
