"""Secrets inside settings that are otherwise shown."""

import json
import re
from typing import Any, Final

MASK: Final = "********"
# A URL's user and password.
USERINFO: Final = re.compile(r"(?<=://)[^\s\"]*@")
# A secret's name has one of these words, or ends with one of the others; with or without an s.
WORDS: Final = frozenset(
    {
        *("apikey", "auth", "authentication", "authorization", "bearer", "credential"),
        *("passphrase", "passwd", "password", "pwd", "secret"),
    }
)
LAST_WORDS: Final = ("key", "token")
# The words of `hf_token`, `API-Key` and `accessToken`.
WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
# JSON that cannot be read, from the first such name on.
UNREADABLE: Final = re.compile(
    rf"((?:{'|'.join((*sorted(WORDS), *LAST_WORDS))})[^:=]*[:=]).*", re.IGNORECASE | re.DOTALL
)


def mask_secrets(text: str) -> str:
    """Return a setting's text, JSON perhaps, without what looks like a secret."""
    is_json = text.lstrip().startswith(("{", "["))
    return USERINFO.sub(f"{MASK}@", _mask_json(text) if is_json else text)


def _mask_json(text: str) -> str:
    try:
        return json.dumps(_mask_members(json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return UNREADABLE.sub(rf"\1 {MASK}", text)


def _mask_members(value: Any) -> Any:
    match value:
        case dict():
            return {
                name: MASK if _is_secret(name, each) else _mask_members(each)
                for name, each in value.items()
            }
        case list():
            return [_mask_members(each) for each in value]
    return value


def _is_secret(name: str, value: Any) -> bool:
    """Whether a member is a secret: no switch, and no count such as `max_tokens`."""
    words = [word.lower().removesuffix("s") for word in WORD.findall(name)]
    if not words or value is None or isinstance(value, bool):
        return False
    is_count = isinstance(value, int | float) and words[-1].endswith("token")
    return not WORDS.isdisjoint(words) or (words[-1].endswith(LAST_WORDS) and not is_count)
