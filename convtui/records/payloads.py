"""Records as they are written, straight from their fields.

A conversation writes six records a turn. Where every field has the very type that it is declared
with, the record is what `Record.payload()` would make of it, and no model is made; anything else
goes through the model, which converts or refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from convtui.records.codec import RecordDict
from convtui.records.models import Record

_REFUSED: Final = object()
_DIGESTS: Final = ("sha256",)
"""Texts of ours, of which each is another."""
_ATOMS: Final = (str, int, float, bool)
_Check = Callable[[Any], Any]
"""The value as it is written, or None for one that is left to the model."""


_Field = tuple[str, frozenset[type], _Check, Any, bool]
"""Name, types of which a value is written as it is, the check for others, what is written in the
place of null (None for nothing, `_REFUSED` where that is left to the model), and whether it may
hold any text. A plain tuple: those with names are unpacked at half the speed."""


def payload_of(kind: type[Record], fields: dict[str, Any]) -> tuple[RecordDict, list[Any]]:
    """What `kind(**fields).payload()` returns, and the values in it that may hold any text.

    Raises `ValidationError` where that does.
    """
    plan, names = _plan_of(kind)
    if not fields.keys() <= names:
        return _modelled(kind, fields)
    data: RecordDict = {"type": kind.TYPE}
    texts: list[Any] = []
    given = fields.get
    for name, types, check, default, is_text in plan:
        value = given(name)
        if value is None:
            if default is None:
                continue
            value = _REFUSED if name in fields else default
        if value.__class__ not in types:
            value = check(value)
            if value is None:
                return _modelled(kind, fields)
        data[name] = value
        if is_text:
            texts.append(value)
    return kind.completed(data), texts


def _modelled(kind: type[Record], fields: dict[str, Any]) -> tuple[RecordDict, list[Any]]:
    payload = kind(**fields).payload()
    return payload, [payload]


@lru_cache(maxsize=128)
def _plan_of(kind: type[Record]) -> tuple[tuple[_Field, ...], frozenset[str]]:
    plan = tuple(_field(name, info) for name, info in kind.model_fields.items())
    return plan, frozenset(kind.model_fields)


def _field(name: str, info: FieldInfo) -> _Field:
    parts = _alternatives(info.annotation)
    types = frozenset(part for part in parts if part in _ATOMS)
    others = parts - types - {NoneType}
    default = _REFUSED if info.is_required() else info.default
    is_text = str in types or any(get_origin(part) is not Literal for part in others)
    is_text = is_text and name not in _DIGESTS
    return name, types, _check_of(others), default, is_text


def _alternatives(annotation: Any) -> frozenset[Any]:
    if get_origin(annotation) in (Union, UnionType):
        return frozenset().union(*map(_alternatives, get_args(annotation)))
    return frozenset({annotation})


def _check_of(parts: frozenset[Any]) -> _Check:
    if parts and all(get_origin(part) is Literal for part in parts):
        return _one_of({value: value for part in parts for value in get_args(part)})
    if parts == {dict[str, Any]}:
        return _object
    if parts == {list[dict[str, Any]]}:
        return _objects
    if parts == {list[str]}:
        return _texts
    return _left_to_the_model


def _one_of(values: dict[str, str]) -> _Check:
    def check(value: Any) -> str | None:
        return values.get(value) if value.__class__ is str else None

    return check


def _object(value: Any) -> dict[str, Any] | None:
    if value.__class__ is not dict:
        return None
    for key in value:
        if key.__class__ is not str:
            return None
    return dict(value)


def _objects(value: Any) -> list[dict[str, Any]] | None:
    if value.__class__ is not list:
        return None
    copies = [_object(item) for item in value]
    return None if None in copies else copies  # type: ignore[return-value]


def _texts(value: Any) -> list[str] | None:
    if value.__class__ is not list or any(item.__class__ is not str for item in value):
        return None
    return list(value)


def _left_to_the_model(value: Any) -> None:
    return None
