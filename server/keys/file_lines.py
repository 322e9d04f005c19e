"""Where in a TOML text a key's field stands; the parser of the standard library does not tell."""

import re

HEADING = re.compile(r"""\s*\[\[?\s*(?P<name>.+?)\s*\]\]?\s*(#.*)?""")


def find_line(text: str, table: str, field: str | None = None) -> int | None:
    """Return the number of the line of `[keys.table]`, or of a field in it; None if it has none."""
    heading: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if match := HEADING.fullmatch(line):
            if heading is not None:
                break
            heading = number if _unquote(match["name"]) == f"keys.{table}" else None
        elif heading is not None and field and _is_assignment(line, field):
            return number
    return heading


def _unquote(name: str) -> str:
    return re.sub(r"""\s*\.\s*""", ".", re.sub("""["']""", "", name))


def _is_assignment(line: str, field: str) -> bool:
    return re.match(rf"""\s*["']?{re.escape(field)}["']?\s*[.=]""", line) is not None
