"""Times on the command line: a span such as `90d`, or a date."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

SPAN: Final = re.compile(r"(\d{1,5})([smhdw])", re.ASCII)
UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_span(text: str) -> timedelta:
    """Parse a span of time: a number and a unit, s, m, h, d or w. Raises `ValueError`."""
    if text == "0":
        return timedelta()
    match = SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a span of time: write 90d, 12h or 30m")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def parse_moment(text: str, now: datetime) -> datetime:
    """Return a date, a time, or the end of a span that begins now. Raises `ValueError`."""
    if SPAN.fullmatch(text):
        moment = now + parse_span(text)
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"{text!r} is not a time: write a span such as 90d, or a date such as 2027-06-30"
            ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= now:
        raise ValueError(f"{text!r} is in the past")
    return moment
