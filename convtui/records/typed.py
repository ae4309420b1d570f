"""Decodes the records of which a log has most and holds them to their types, in one pass.

The types are those of `convtui.records.types`, only stricter: no field that is unknown, nothing
that is nested deep, and of what the fold looks into only what is everyday. A record that passes is
sound: `decode()` reads the same in it, and `FieldChecker` finds nothing wrong. Any other is left to
those two, which keep what is unknown and name what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, defstruct, field
from msgspec.json import Decoder

from convtui.records.fields import LIMIT
from convtui.records.types import ENVELOPE_FIELDS, FIELDS, SHAPES
from convtui.records.views import DEFAULTS, FREQUENT, View


@lru_cache(maxsize=1)
def typed_decoder() -> Callable[[bytes], View]:
    """A function from a line to its record, whose type is in `record_type`.

    It raises ValueError for any line that is better read in full.
    """
    decode: Callable[[bytes], View] = Decoder(reduce(or_, map(_record, sorted(FREQUENT)))).decode
    return decode


def _record(kind: str) -> Any:
    fields = _fields(f"{ENVELOPE_FIELDS} {FIELDS[kind]}", _EVERYDAY.get(kind, {}))
    return defstruct(
        f"{kind.title().replace('.', '')}Record",
        [item for item in fields if item[0] != "type"],
        namespace={"record_type": kind},
        tag_field="type",
        tag=kind,
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
    )


@lru_cache(maxsize=len(SHAPES))
def _shape(name: str) -> Any:
    extra = _EVERYDAY.get(name, {})
    fields = [*_fields(SHAPES[name], extra), *((name, kind, None) for name, kind in extra.items())]
    return defstruct(name.title(), fields, forbid_unknown_fields=True, kw_only=True, gc=False)


def _fields(text: str, everyday: dict[str, Any]) -> list[Any]:
    """The fields of a table's line: a name and a type, and a default where it may be missing."""
    fields: list[Any] = []
    for word in text.split():
        name, _, kind = word.partition(":")
        value = everyday.get(name) or _value_type(kind.rstrip("!?"))
        if kind.endswith("?"):
            value = value | None
        if kind.endswith("!"):
            fields.append((name, value))
        else:
            fields.append((name, value, field(default=DEFAULTS.get(name))))
    return fields


def _value_type(kind: str) -> Any:
    if kind.endswith("[]"):
        return list[_value_type(kind[:-2])]  # type: ignore[misc]
    if kind.endswith("{}"):
        return dict[str, _value_type(kind[:-2])]  # type: ignore[misc]
    return _shape(kind) if kind in SHAPES else _VALUES[kind]


_WHOLE: Final = Annotated[int, Meta(gt=-int(LIMIT), lt=int(LIMIT))]
_NUMBER: Any = _WHOLE | Annotated[float, Meta(gt=-LIMIT, lt=LIMIT)]
_FOREIGN: Any = None | bool | int | float | str
for _ in range(5):
    _FOREIGN = None | bool | int | float | str | list[_FOREIGN] | dict[str, _FOREIGN]
_VALUES: Final[dict[str, Any]] = {
    "text": str,
    "int": _WHOLE,
    "number": _NUMBER,
    "flag": bool,
    "object": dict[str, _FOREIGN],
    "list": list[_FOREIGN],
    "any": _FOREIGN,
}
_NONE: Final = Annotated[list[Any], Meta(max_length=0)]
_FIGURES: Final = dict[
    Literal[
        "prompt_tokens", "completion_tokens", "total_tokens", "reasoning_tokens", "cached_tokens",
        "cost",
    ],
    _NUMBER | None,
]  # fmt: skip
_EVERYDAY: Final[dict[str, dict[str, Any]]] = {
    "llm.response": {"usage": _FIGURES},
    "signals.extracted": {"matches": _NONE},
    "turn.committed": {"flags": _NONE},
    "message": {"content": _FOREIGN},
}
"""Of a record type or a shape: fields of a stricter type, and one that the table does not know."""
