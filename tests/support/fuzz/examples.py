"""Valid values by JSON schema, as the starting points of mutations."""

import base64
from collections import defaultdict
from collections.abc import Mapping
from random import Random  # noqa: TID251 - a seed of its own makes a case repeatable
from typing import Any, Final

from pydantic import BaseModel

UUID: Final = "00000000-0000-7000-8000-000000000001"
KEPT: Final = 200
"""Values that are remembered of each field."""
TYPICAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "channel": ("mock",),
    "address": ("priya", "carol"),
    "email": ("priya@halyard.example",),
    "team": ("Payments", "Search"),
    "service": ("checkout", "cart", "search"),
    "services": (["checkout", "cart"], ["search"]),
    "time_zone": ("UTC", "Europe/Berlin"),
    "href": ("https://halyard.example/runbook",),
    "fingerprint": ("0" * 64,),
    "cursor": (base64.urlsafe_b64encode(f"2026-11-02T03:04:05+00:00|{UUID}".encode()).decode(),),
    "handoff_time": ("09:00",),
    "reason": ("acknowledged", "no response"),
    "by": ("day", "week"),
    "contacts": ("mock priya",),
    "severity": ("high", "critical"),
}
"""Of fields whose valid values a schema does not say."""
FORMATS: Final[Mapping[str, tuple[str, ...]]] = {
    "date-time": ("2026-11-02T03:04:05Z", "2026-10-25T02:30:00+02:00", "2027-01-01T00:00:00Z"),
    "date": ("2026-11-02",),
    "time": ("09:00",),
}
SIMPLE: Final[Mapping[Any, tuple[Any, ...]]] = {"number": (0.5, 1), "boolean": (True, False), "null": (None,)}
WORDS: Final = ("disk full", "p", "Ünïcode ☃", "5xx for 7.4 % of requests")


class Known:
    """Values that responses had, by the name of the field: ids, numbers, names and cursors that exist."""

    def __init__(self) -> None:
        self._values: dict[str, list[str]] = defaultdict(list)

    def learn(self, document: Any, noun: str, name: str = "") -> None:
        """Remember the values of *document*, a response about a *noun* or several: its `id` is a `<noun>_id`."""
        if isinstance(document, dict):
            for key, value in document.items():
                self.learn(value, noun, f"{noun}_id" if key == "id" else key)
        elif isinstance(document, list):
            for value in document[:20]:
                self.learn(value, noun, name)
        elif isinstance(document, str | int) and name and not isinstance(document, bool):
            values = self._values[name]
            if len(values) < KEPT and 0 < len(str(document)) <= 256:
                values.append(str(document))

    def pick(self, name: str, rng: Random) -> str | None:
        """Return a value that fits a field or a parameter called *name*, if one is known."""
        for candidate in (name, f"{name}_id", f"next_{name}"):
            if candidate in self._values:
                return rng.choice(self._values[candidate])
        return None


class Examples:
    """Valid examples of the bodies and queries of models."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self._schemas: dict[type[BaseModel], dict[str, Any]] = {}

    def of(self, model: type[BaseModel], rng: Random) -> Any:
        """Return an example that satisfies the schema of *model*."""
        schema = self._schemas.get(model)
        if schema is None:
            schema = self._schemas[model] = model.model_json_schema()
        return self._value(schema, schema.get("$defs", {}), "", rng)

    def text(self, name: str, rng: Random) -> str:
        """Return a text that fits a field called *name*."""
        typical = [value for value in TYPICAL.get(name, ()) if isinstance(value, str)]
        return (self.known.pick(name, rng) if rng.random() < 0.5 else None) or rng.choice(typical or WORDS)

    def _value(self, schema: Mapping[str, Any], known_schemas: Mapping[str, Any], name: str, rng: Random) -> Any:
        if "$ref" in schema:
            schema = known_schemas[schema["$ref"].rpartition("/")[2]]
        for choices in ("anyOf", "oneOf", "allOf"):
            if choices in schema:
                return self._value(rng.choice(schema[choices]), known_schemas, name, rng)
        if "const" in schema or "enum" in schema:
            return schema.get("const", None) or rng.choice(schema["enum"])
        kind = schema.get("type")
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema, known_schemas, rng)
        if kind in {"string", "array"} and name in TYPICAL and (kind == "array") == isinstance(TYPICAL[name][0], list):
            return rng.choice(TYPICAL[name])
        if kind == "array":
            items, fewest = schema.get("items", {}), schema.get("minItems", 0)
            return [self._value(items, known_schemas, name, rng) for _ in range(max(fewest, rng.randrange(3)))]
        return self._scalar(schema, name, rng)

    def _object(self, schema: Mapping[str, Any], known_schemas: Mapping[str, Any], rng: Random) -> dict[str, Any]:
        required = schema.get("required", ())
        properties = schema.get("properties", {})
        found = {
            key: self._value(item, known_schemas, key, rng)
            for key, item in properties.items()
            if key in required or rng.random() < 0.5
        }
        others = schema.get("additionalProperties")
        if isinstance(others, dict) and not properties:
            found |= {f"label_{number}": self._value(others, known_schemas, "", rng) for number in range(2)}
        return found

    def _scalar(self, schema: Mapping[str, Any], name: str, rng: Random) -> Any:
        kind = schema.get("type")
        if kind == "integer":
            low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
            return rng.randint(low, min(low + 20, schema.get("maximum", low + 20)))
        if kind in SIMPLE:
            return rng.choice(SIMPLE[kind])
        if schema.get("format") in FORMATS:
            return rng.choice(FORMATS[schema["format"]])
        if schema.get("format") == "uuid":
            return self.known.pick(name, rng) or UUID
        text = self.text(name, rng)
        return text[: schema.get("maxLength", len(text))].ljust(schema.get("minLength", 0), "x")
