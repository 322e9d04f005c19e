"""The known name that a client probably meant by an unknown one."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

# Names of this length or less are compared: what the comparison costs grows with its square.
MAX_COMPARED_LENGTH: Final = 48
# The least likeness that is suggested: below it, a wrong guess is more probable than a right one.
LIKENESS: Final = 0.8


def find_near(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like this one, in any case; None if none is near."""
    if len(name) > MAX_COMPARED_LENGTH:
        return None
    by_lower = {each.lower(): each for each in known if len(each) <= MAX_COMPARED_LENGTH}
    near = get_close_matches(name.lower(), by_lower, 1, LIKENESS)
    return by_lower[near[0]] if near else None
