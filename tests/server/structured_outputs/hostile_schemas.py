"""Schemas that a careless rewriting would multiply, or compare with themselves again and again."""

from collections.abc import Iterable
from typing import Any

Schema = dict[str, Any]


def name_all(prefix: str, count: int) -> list[str]:
    """Return different names."""
    return [f"{prefix}{number}" for number in range(count)]


def nested_maps(depth: int) -> Schema:
    """Return maps of two names, one within the other."""
    schema: Schema = {"type": "integer"}
    for _ in range(depth):
        names = {"enum": ["a", "b"]}
        schema = {"type": "object", "propertyNames": names, "additionalProperties": schema}
    return schema


def wide_map(num_names: int, num_properties: int) -> Schema:
    """Return a map with many names, whose values are objects with many properties."""
    value = {"type": "object", "properties": {name: {} for name in name_all("p", num_properties)}}
    names = {"enum": name_all("n", num_names)}
    return {"type": "object", "propertyNames": names, "additionalProperties": value}


def maps_of_one_enum(num_maps: int, num_names: int) -> Schema:
    """Return an object of maps that refer to one list of names."""
    each = {"propertyNames": {"$ref": "#/$defs/e"}, "additionalProperties": {"type": "null"}}
    maps = dict.fromkeys(name_all("m", num_maps), each)
    return {
        "$defs": {"e": {"enum": name_all("n", num_names)}},
        "type": "object",
        "properties": maps,
    }


def alternative(constants: Iterable[str]) -> Schema:
    """Return an object that requires constant properties."""
    names = list(constants)
    properties = {name: {"const": "x"} for name in names}
    return {"type": "object", "properties": properties, "required": names}


def one_of_repeated(num_references: int, num_constants: int) -> Schema:
    """Return alternatives that are all the same reference."""
    defined = {"a": alternative(name_all("p", num_constants))}
    return {"$defs": defined, "oneOf": [{"$ref": "#/$defs/a"}] * num_references}


def one_of_pairs(num_pairs: int, num_constants: int) -> Schema:
    """Return many pairs of alternatives, all with the same two references."""
    same = alternative(name_all("p", num_constants))
    pair = {"oneOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}]}
    return {"$defs": {"a": same, "b": same}, "prefixItems": [pair] * num_pairs}


def long_pointers(length: int, num_properties: int) -> Schema:
    """Return many properties below a long name."""
    below: Schema = {"properties": {name: {} for name in name_all("", num_properties)}}
    return {"properties": {"x" * length: below}}


# Each is accepted, and becomes a grammar that is not much larger.
REWRITTEN: dict[str, Schema] = {
    "nested maps": nested_maps(30),
    "a wide map": wide_map(2000, 400),
    "maps of one enum": maps_of_one_enum(10, 30),
    "one reference": one_of_repeated(1000, 700),
    "pairs of references": one_of_pairs(300, 700),
    "long pointers": long_pointers(20_000, 2000),
    "names that are no strings": {"properties": {"a": {}}, "required": [[1], {}]},
}
# Each is refused for the names of its maps.
REFUSED: dict[str, Schema] = {
    "400 maps of one enum": maps_of_one_enum(400, 1000),
    "60 maps of one enum": maps_of_one_enum(60, 300),
    "a map of 15,000 names": wide_map(15_000, 1),
}
