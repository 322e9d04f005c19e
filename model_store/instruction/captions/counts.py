"""How many records there are of how many, and why the others are not."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from model_store.instruction.captions.teaching import Taught
from model_store.instruction.records import Kind


@dataclass(frozen=True, slots=True)
class KindCount:
    """Numbers of one kind; malformed answers count once for every try."""

    wanted: int
    records: int
    set_aside: int
    failed: int

    def as_json(self) -> dict[str, int]:
        return {
            "wanted": self.wanted,
            "records": self.records,
            "set_aside": self.set_aside,
            "failed": self.failed,
        }

    def cells(self) -> tuple[str, str, str, str]:
        return str(self.wanted), str(self.records), str(self.set_aside), str(self.failed)


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers by kind and over all, and the malformed answers by reason."""

    kinds: dict[Kind, KindCount]
    overall: KindCount
    reasons: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        kinds = {kind: count.as_json() for kind, count in self.kinds.items()}
        return {**self.overall.as_json(), "kinds": kinds, "reasons": self.reasons}

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        everything = [*self.kinds.items(), ("all", self.overall)]
        return [(kind, *count.cells()) for kind, count in everything]


def count(taught: Taught) -> Counts:
    """Count what came of all that was wanted."""
    wanted = Counter(each.kind for each in taught.wanted)
    records = Counter(kind for kind, _ in taught.made())
    set_aside = Counter(each.wanted.kind for each in taught.set_aside)
    failed = Counter(each.kind for each, _ in taught.failures.values())
    reasons = Counter(each.reason for each in taught.set_aside)
    columns = (wanted, records, set_aside, failed)
    return Counts(
        kinds={kind: KindCount(*(column[kind] for column in columns)) for kind in wanted},
        overall=KindCount(*(column.total() for column in columns)),
        reasons=dict(reasons.most_common()),
    )
