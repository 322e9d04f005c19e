"""Secrets inside settings that are otherwise shown."""

import re
from typing import Final

MASK: Final = "********"
# A URL's user and password; in JSON a string or list whose name ends like a secret's.
USERINFO: Final = re.compile(r"(?<=://)[^\s\"]*@")
NAMED: Final = re.compile(
    r'("[\w.-]*(?:token|password|passwd|secret|key)s?"\s*:\s*)("(?:[^"\\]|\\.)*"?|\[[^\]]*\]?)',
    re.IGNORECASE,
)


def mask_secrets(text: str) -> str:
    """Return a setting's text, JSON perhaps, without what looks like a secret."""
    return NAMED.sub(rf'\1"{MASK}"', USERINFO.sub(f"{MASK}@", text))
