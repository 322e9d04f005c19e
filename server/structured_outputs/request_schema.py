"""A JSON schema of a request, and its field."""

from collections.abc import Mapping
from dataclasses import dataclass

from server.structured_outputs.schema import build_json_rule
from server.structured_outputs.subschemas import Schema

# Rules that replace those of schemas, by the schema's field.
PrunedRules = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RequestSchema:
    """The schema of the field `param`; if `strict`, all of it must be enforced."""

    schema: Schema
    param: str
    strict: bool = True

    def build_rule(self, pruned: PrunedRules) -> str:
        """Return the grammar rule of JSON that satisfies the schema."""
        return pruned.get(self.param) or build_json_rule(self.schema)
