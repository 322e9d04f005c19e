"""Finds the line of a key's field in TOML, which the standard library's parser does not report."""


class FileLines:
    """The numbers of the lines of all keys' headings and fields, found in one pass."""

    def __init__(self, text: str) -> None:
        self._headings: dict[str, int] = {}
        self._fields: dict[tuple[str, str], int] = {}
        table: str | None = None
        for number, line in enumerate(text.splitlines(), 1):
            if heading := _read_heading(line):
                table = heading
                self._headings.setdefault(table, number)
            elif table is not None and "=" in line:
                self._fields.setdefault((table, _read_field(line)), number)

    def find(self, table: str, field: str | None = None) -> int | None:
        """Return the line of `[keys.table]`, or of a field in it; None if it has none."""
        name = f"keys.{table}"
        heading = self._headings.get(name)
        return heading if field is None else self._fields.get((name, field), heading)


def _read_heading(line: str) -> str | None:
    """Return the name of a table, without quotes; None if the line is not a heading."""
    code = line.partition("#")[0].strip()
    if not (code.startswith("[") and code.endswith("]")):
        return None
    return ".".join(_unquote(part) for part in code.strip("[]").split("."))


def _read_field(line: str) -> str:
    """Return the field that is set, without what follows a dot."""
    return _unquote(line.partition("=")[0].partition(".")[0])


def _unquote(name: str) -> str:
    return name.strip().strip("\"'")
