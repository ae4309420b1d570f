"""Attributes of spans as OTLP writes them in JSON: each value says of what type it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from convtui.records.values import as_list, as_object, as_text

_PLAIN: Final = ("stringValue", "boolValue", "doubleValue", "bytesValue")
_DEPTH: Final = 30


def attributes_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a span, an event or a resource, by their keys."""
    given = item.get("attributes")
    if isinstance(given, Mapping):
        # Some exporters write them as an object.
        return dict(given)
    pairs = (as_object(pair) for pair in as_list(given))
    return {as_text(pair.get("key")): value_of(pair.get("value")) for pair in pairs}


def value_of(value: Any, depth: int = _DEPTH) -> Any:
    """A typed value as plain data. Whole numbers are written as text."""
    if not isinstance(value, Mapping) or not depth:
        return value
    for name in _PLAIN:
        if name in value:
            return value[name]
    if "intValue" in value:
        try:
            return int(value["intValue"])
        except (TypeError, ValueError):
            return value["intValue"]
    if "arrayValue" in value:
        items = as_list(as_object(value["arrayValue"]).get("values"))
        return [value_of(item, depth - 1) for item in items]
    if "kvlistValue" in value:
        pairs = (as_object(p) for p in as_list(as_object(value["kvlistValue"]).get("values")))
        return {as_text(p.get("key")): value_of(p.get("value"), depth - 1) for p in pairs}
    return None


def decoded(value: Any) -> Any:
    """A structured attribute, which may be written as a text of JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def numbered(attributes: Mapping[str, Any], prefix: str) -> Iterator[dict[str, Any]]:
    """The items that flat keys spell out: `gen_ai.prompt.0.role`, `gen_ai.prompt.0.content`, ..."""
    items: dict[int, dict[str, Any]] = {}
    for key, value in attributes.items():
        if not key.startswith(f"{prefix}."):
            continue
        number, _, name = key.removeprefix(f"{prefix}.").partition(".")
        if number.isdigit() and len(number) < 6:
            items.setdefault(int(number), {})[name] = value
    for _, item in sorted(items.items()):
        yield nested(item)


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """An item whose keys may spell out a list inside: `tool_calls.0.name`."""
    item: dict[str, Any] = {}
    for key, value in flat.items():
        if "." not in key:
            item[key] = value
    names = {key.partition(".")[0] for key in flat if "." in key}
    for name in sorted(names):
        inner = list(numbered(flat, name))
        if inner:
            item[name] = inner
    return item
