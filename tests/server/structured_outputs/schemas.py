"""Random JSON schemas: common ones, and some that no compiler accepts."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

Schema = dict[str, Any]

KEYS = ("a", "b", "c", "name", "x y", "é", 'q"uote', "$ref", "type", "</tool_call>")
VALUES = ("a", "b", 1, 2.5, None, True, "x\ny", "</s>", {"k": 1}, [1])
PATTERNS = ("^a+$", "b", "^[a-z]{2,4}$", "^(x|y)*$", r"\d{3}", "a/b")
FORMATS = ("date", "date-time", "time", "email", "uuid", "ipv4", "uri", "hostname", "unheard-of")
TYPES = ("string", "integer", "null", "object", "array", "boolean")
MAX_DEPTH = 3


class SchemaGenerator:
    """Generates random schemas."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def generate(self) -> Schema:
        """Return a schema with the definitions it refers to."""
        return self._add_definitions(self._any(0))

    def generate_parameters(self) -> Schema:
        """Return the parameters of a tool."""
        return self._add_definitions(self._object(1))

    def _add_definitions(self, schema: Schema) -> Schema:
        if '"#/$defs/A"' in json.dumps(schema):
            schema = {**schema, "$defs": {"A": self._any(1)}}
        if self._chance(0.3):
            schema |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "T"}
        return schema

    def _chance(self, probability: float) -> bool:
        return self._rng.random() < probability

    def _any(self, depth: int) -> Schema:
        if depth > MAX_DEPTH or self._chance(0.4):
            return self._scalar()
        kinds: Sequence[Callable[[int], Schema]] = (
            *(self._object, self._object, self._object, self._map, self._array, self._tuple),
            *(self._combined, self._types, self._rare, self._reference, lambda _: {}),
        )
        return self._rng.choice(kinds)(depth + 1)

    def _scalar(self) -> Schema:
        kinds = (self._plain, self._plain, self._enum, self._string, self._integer, self._number)
        return self._rng.choice(kinds)()

    def _plain(self) -> Schema:
        return {"type": self._rng.choice(("string", "integer", "number", "boolean", "null"))}

    def _enum(self) -> Schema:
        if self._chance(0.3):
            return {"const": self._rng.choice(VALUES)}
        return {"enum": self._rng.sample(VALUES, self._rng.randint(1, 4))}

    def _string(self) -> Schema:
        shortest = self._rng.randint(0, 4)
        lengths = {"minLength": shortest, "maxLength": shortest + self._rng.randint(0, 5)}
        limit = self._rng.choice(
            (
                {"pattern": self._rng.choice(PATTERNS)},
                {"format": self._rng.choice(FORMATS)},
                lengths,
                {"minLength": shortest},
            )
        )
        return {"type": "string", **limit}

    def _integer(self) -> Schema:
        schema: Schema = {"type": "integer"}
        least = self._rng.randint(-50, 50)
        if self._chance(0.7):
            schema[self._rng.choice(("minimum", "exclusiveMinimum"))] = least
        if self._chance(0.7):
            most = least + self._rng.randint(0, 300)
            schema[self._rng.choice(("maximum", "exclusiveMaximum"))] = most
        if self._chance(0.2):
            schema["multipleOf"] = self._rng.choice((2, 3, 10))
        return schema

    def _number(self) -> Schema:
        schema: Schema = {"type": "number"}
        least = self._rng.uniform(-5, 5)
        if self._chance(0.7):
            schema["minimum"] = round(least, 2)
        if self._chance(0.7):
            schema["maximum"] = round(least + self._rng.uniform(0, 10), 2)
        return schema

    def _object(self, depth: int) -> Schema:
        names = self._rng.sample(KEYS, self._rng.randint(0, 4))
        schema: Schema = {"type": "object", "properties": {n: self._any(depth) for n in names}}
        if self._chance(0.7):
            schema["required"] = self._rng.sample(names, self._rng.randint(0, len(names)))
        if self._chance(0.3):
            schema["additionalProperties"] = self._rng.choice((True, False, self._any(depth)))
        if self._chance(0.05):
            schema["required"] = [*schema.get("required", []), "not listed"]
        if self._chance(0.1):
            schema["patternProperties"] = {"^p": self._any(depth)}
        if self._chance(0.1):
            schema[self._rng.choice(("minProperties", "maxProperties"))] = self._rng.randint(0, 3)
        return schema

    def _map(self, depth: int) -> Schema:
        return {"type": "object", "additionalProperties": self._any(depth)}

    def _array(self, depth: int) -> Schema:
        schema: Schema = {"type": "array", "items": self._any(depth)}
        if self._chance(0.5):
            schema["minItems"] = self._rng.randint(0, 2)
        if self._chance(0.5):
            schema["maxItems"] = self._rng.randint(2, 4)
        if self._chance(0.1):
            schema["uniqueItems"] = True
        return schema

    def _tuple(self, depth: int) -> Schema:
        prefix = [self._any(depth) for _ in range(self._rng.randint(1, 3))]
        rest = self._rng.choice(({}, {"items": False}, {"minItems": 2}))
        return {"type": "array", "prefixItems": prefix, **rest}

    def _combined(self, depth: int) -> Schema:
        parts = [self._any(depth) for _ in range(self._rng.randint(1, 3))]
        schema: Schema = {self._rng.choice(("anyOf", "oneOf", "allOf")): parts}
        if self._chance(0.2):
            schema["type"] = self._rng.choice(("object", "string"))
        return schema

    def _types(self, _: int) -> Schema:
        return {"type": self._rng.sample(TYPES, self._rng.randint(1, 3))}

    def _reference(self, _: int) -> Schema:
        return {"$ref": self._rng.choice(("#/$defs/A", "#/$defs/A", "#/$defs/none"))}

    def _rare(self, depth: int) -> Schema:
        inner = self._any(depth)
        return self._rng.choice(
            (
                {"not": inner},
                {"if": inner, "then": inner},
                {"type": "object", "propertyNames": {"pattern": "^a"}},
                {"type": "array", "contains": {"type": "integer"}},
                {"type": "object", "dependentRequired": {"a": ["b"]}},
                {"type": "object", "unevaluatedProperties": False},
                {"minimum": 3},
                {"maxLength": 2},
                {"properties": {"a": inner}},
                {"items": inner},
            )
        )
