"""Records as they are written, straight from their fields.

A conversation writes six records a turn. Where every field has the very type that it is declared
with, the record is what `Record.payload()` would make of it, and no model is made: a structure of
`msgspec` with the same fields checks and copies them at several times the speed. Anything else goes
through the model, which converts or refuses it.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID

from msgspec import Struct, ValidationError, convert, defstruct, field, to_builtins
from pydantic.fields import FieldInfo

from convtui.records.codec import RecordDict
from convtui.records.models import Record

_DIGESTS: Final = frozenset({"sha256"})
"""Texts of ours, of which each is another."""
_NO_JSON: Final = (bytes, bytearray, datetime, date, time, timedelta, Decimal, UUID)
"""What stays as it is inside of an object, and is refused when the record is written."""
_NO_TEXTS: Final = frozenset({int, float, bool, NoneType})


def payload_of(kind: type[Record], fields: dict[str, Any]) -> tuple[RecordDict, list[Any]]:
    """What `kind(**fields).payload()` returns, and the values in it that may hold any text.

    Raises `ValidationError` where that does.
    """
    structure, texts = _plan_of(kind)
    try:
        data: RecordDict = to_builtins(convert(fields, structure), builtin_types=_NO_JSON)
    except (ValidationError, TypeError):
        payload = kind(**fields).payload()
        return payload, [payload]
    return kind.completed(data), [data[name] for name in texts if name in data]


@lru_cache(maxsize=128)
def _plan_of(kind: type[Record]) -> tuple[type[Struct], tuple[str, ...]]:
    """The structure for a record, and the fields of it that may hold any text."""
    structure = defstruct(
        kind.__name__,
        [(name, info.annotation, _default(info)) for name, info in kind.model_fields.items()],
        tag_field="type",
        tag=kind.TYPE,
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        gc=False,
    )
    texts = (name for name, info in kind.model_fields.items() if _is_text(info.annotation))
    return structure, tuple(name for name in texts if name not in _DIGESTS)


def _default(info: FieldInfo) -> Any:
    """Of the defaults only null is left out of what is written."""
    if info.is_required():
        return field()
    if info.default is None:
        return field(default=None)
    return field(default_factory=lambda: info.default)


def _is_text(annotation: Any) -> bool:
    """Whether a value of that type may hold any text."""
    if get_origin(annotation) in (Union, UnionType):
        return any(map(_is_text, get_args(annotation)))
    return annotation not in _NO_TEXTS and get_origin(annotation) is not Literal
