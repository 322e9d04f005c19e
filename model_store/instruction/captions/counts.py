"""Counts of records, malformed answers and failures, by kind and by reason."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from model_store.instruction.captions.teaching import TeachingResult
from model_store.instruction.records import Kind


@dataclass(frozen=True, slots=True)
class KindCount:
    """The counts of one kind; `rejected` counts malformed answers, once for every attempt."""

    requested: int
    records: int
    rejected: int
    failed: int

    def as_json(self) -> dict[str, int]:
        return {
            "wanted": self.requested,
            "records": self.records,
            "set_aside": self.rejected,
            "failed": self.failed,
        }

    def cells(self) -> tuple[str, str, str, str]:
        return str(self.requested), str(self.records), str(self.rejected), str(self.failed)


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts by kind and over all kinds, and the malformed answers by reason."""

    kinds: dict[Kind, KindCount]
    overall: KindCount
    reasons: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        kinds = {kind: count.as_json() for kind, count in self.kinds.items()}
        return {**self.overall.as_json(), "kinds": kinds, "reasons": self.reasons}

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        kinds_and_all = [*self.kinds.items(), ("all", self.overall)]
        return [(kind, *count.cells()) for kind, count in kinds_and_all]


def count_results(result: TeachingResult) -> Counts:
    """Count the results of all requests."""
    requested = Counter(request.kind for request in result.requests)
    records = Counter(kind for kind, _ in result.list_records())
    rejected = Counter(answer.request.kind for answer in result.rejected)
    failed = Counter(request.kind for request, _ in result.failures.values())
    reasons = Counter(answer.reason for answer in result.rejected)
    columns = (requested, records, rejected, failed)
    return Counts(
        kinds={kind: KindCount(*(column[kind] for column in columns)) for kind in requested},
        overall=KindCount(*(column.total() for column in columns)),
        reasons=dict(reasons.most_common()),
    )
