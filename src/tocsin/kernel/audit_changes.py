"""What a change has changed, field by field, without secrets and contact addresses."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from tocsin.kernel.storable_text import storable

Fields: TypeAlias = Mapping[str, Any]
"""Fields of an object, as JSON."""
MAX_FIELDS: Final = 50
MAX_VALUE: Final = 300
MASKED: Final = frozenset({"address", "email", "recipient", "url", "link", "password", "token", "secret", "key"})
"""Names of fields whose values prove or reach somebody."""


def changed_fields(before: Fields, after: Fields) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields that differ, before and after, as text, numbers, truth values and None.

    Nested fields are named by their path, such as `members[0].role`. At most MAX_FIELDS are kept.
    """
    old, new = dict(_flat(before)), dict(_flat(after))
    paths = [path for path in {**old, **new} if old.get(path) != new.get(path)]
    kept = paths[:MAX_FIELDS]
    was = {path: _shown(path, old[path]) for path in kept if old.get(path) is not None}
    now = {path: _shown(path, new[path]) for path in kept if new.get(path) is not None}
    for path in was.keys() & now.keys():
        if was[path] == now[path]:
            now[path] = f"{now[path]} (another one)"
    if len(paths) > MAX_FIELDS:
        now["…"] = f"{len(paths) - MAX_FIELDS} more fields have changed"
    return was, now


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and value of each field below *value*; a list of plain values is one value."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}[{index}]")
    elif isinstance(value, list):
        yield path, ", ".join(map(str, value)) or None
    else:
        yield path, value


def _shown(path: str, value: Any) -> Any:
    if path.rpartition(".")[2].partition("[")[0] in MASKED:
        return masked(str(value))
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = storable(str(value), MAX_VALUE + 1)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def masked(text: str) -> str:
    """Return what may be shown of an address: a domain, or the host of a URL, whose path and query can be secret."""
    if "://" in text:
        try:
            address = urlsplit(text)
            return storable(f"{address.scheme}://{address.hostname or ''}/…", MAX_VALUE)
        except ValueError:
            return "…"
    name, at, domain = text.rpartition("@")
    return storable(f"{name[:1]}…@{domain}", MAX_VALUE) if at else "…"
