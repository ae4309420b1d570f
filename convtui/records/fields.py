"""Records as readers may rely on them: every known field has its type.

A log may come from anywhere. What it says is held to `convtui.records.types` here, once, when a
line is read; a field of another type is left out of the record, or stands empty where a record must
have it, and is a fault with a name. Nothing that reads records checks their fields again. Fields
and types that are not known stay as they are, and what a field holds of foreign JSON (the result of
a tool, the parameters of a request) is held to nothing but a limit of nesting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain
from math import hypot
from operator import itemgetter
from typing import Any, Final, NamedTuple

from convtui.records.codec import RecordDict, decode
from convtui.records.types import ENVELOPE_FIELDS, FIELDS, SHAPES

LIMIT: Final = float(1 << 53)
"""Numbers from here on, as well as those that are none, are damage: whoever formats, adds or stores
them would fail."""
MAX_NESTING: Final = 100
"""Levels of foreign JSON; what stands deeper is left out."""
MAX_FAULTS: Final = 3
"""Faults that are named of one record."""


class FieldFault(NamedTuple):
    """What is wrong with a field. `required`: a record of its type means nothing without it."""

    field: str
    """A path, as `matches.0.start`."""
    problem: str
    required: bool


class _Field(NamedTuple):
    expected: str
    types: tuple[type, ...]
    required: bool
    nullable: bool
    number: bool = False
    shape: _Shape | None = None
    item: _Field | None = None


class _Shape:
    __slots__ = ("fields", "plans", "required")

    def __init__(self, fields: Mapping[str, _Field]) -> None:
        self.fields = fields
        self.required = tuple(name for name, field in fields.items() if field.required)
        self.plans: dict[_Key, _Plan | None] = {}
        """The forms seen by any reader, of known fields only; None for one that is wrong."""


_NULL: Final = type(None)
_KINDS: Final[dict[str, tuple[str, tuple[type, ...]]]] = {
    "text": ("text", (str,)),
    "int": ("a whole number", (int,)),
    "number": ("a number", (float, int)),
    "flag": ("true or false", (bool,)),
    "object": ("an object", (dict,)),
    "list": ("a list", (list,)),
    "any": ("anything", ()),
}
_NAMES: Final[dict[type, str]] = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    _NULL: "null",
}
_TOO_DEEP: Final = "(nested too deep)"
_LEFT_OUT: Final = object()
_MANY: Final = 256
"""Types, and forms of one, that are kept in mind: a log can name as many as it has lines."""
_Path = tuple[Any, ...]
_Sound = Callable[[Any], bool]
_Getter = Callable[[dict[str, Any]], tuple[Any, ...]]
_Other = tuple[str, type, _Sound | None]
_Form = tuple[int, _Getter, _Getter, list[type], tuple[_Other, ...], tuple[str, ...]]
_Key = tuple[tuple[str, ...], tuple[type, ...]]
"""The names and the types of an object's fields."""


class FieldChecker:
    """Holds records to the types of their fields.

    One for each reader: it remembers the form of the last records.
    """

    def __init__(self) -> None:
        self._kinds: dict[Any, _Objects] = {}

    def mend(self, record: RecordDict, line: bytes | None) -> Sequence[FieldFault]:
        """Removes what is wrong from a record; returns the faults.

        `line` is the one that it was just decoded from, which says how deep it is nested at most;
        None where it is no line yet.
        """
        kind: Any = record.get("type")
        try:
            objects = self._kinds[kind]
        except (KeyError, TypeError):
            if not isinstance(kind, str):
                return _mend(record, "")
            objects = _Objects(_shape_of(kind))
            if len(self._kinds) < _MANY:
                self._kinds[kind] = objects
        if not (objects.fit(record) or objects.are_sound(record)):
            return _mend(record, kind)
        if not objects.foreign or (
            line is not None and line.count(b"{") + line.count(b"[") <= MAX_NESTING
        ):
            return ()
        faults: list[FieldFault] = []
        for name in objects.foreign:
            _limit_nesting(record, name, faults)
        return faults


class _Objects:
    """Checks consecutive objects of one shape for any fault.

    Most have the fields, and those the types, of the one before; whether they do is found out by
    functions written in C, of which joining texts fails on a value of another type.
    This is done for every record that is read, of which a long log has hundreds of thousands.
    """

    __slots__ = ("_forms", "_numbers", "_others", "_shape", "_size", "_texts", "_types", "foreign")

    def __init__(self, shape: _Shape) -> None:
        self._shape = shape
        self._forms: dict[tuple[Any, ...], _Form | None] = {}
        self._size = -1
        self._texts: _Getter = _nothing
        self._numbers: _Getter = _nothing
        self._types: list[type] = []
        self._others: tuple[_Other, ...] = ()
        self.foreign: tuple[str, ...] = ()
        """Which fields of the last one may hold what is nested to any depth."""

    def fit(self, data: dict[str, Any]) -> bool:
        """Whether an object is sound and has the same form as the one before."""
        try:
            if len(data) != self._size:
                return False
            "".join(self._texts(data))
            numbers = self._numbers(data)
            if [*map(type, numbers)] != self._types or not hypot(*numbers) < LIMIT:
                return False
            for name, value_type, sound in self._others:
                value = data[name]
                if value.__class__ is not value_type:
                    return False
                if value and sound is not None and not sound(value):
                    return False
        except (KeyError, TypeError, OverflowError):
            return False
        return True

    def are_sound(self, data: dict[str, Any]) -> bool:
        """As `fit()`, for a record of another form than the one before."""
        key = (tuple(data), tuple(map(type, data.values())))
        try:
            form = self._forms[key]
        except KeyError:
            form = _form_of(self._shape, key)
            if len(self._forms) < _MANY:
                self._forms[key] = form
        if form is None:
            return False
        self._size, self._texts, self._numbers, self._types, self._others, self.foreign = form
        return self.fit(data)


def read_record(line: bytes) -> RecordDict:
    """The record of one log line, as readers may rely on it. Raises ValueError for what is none."""
    record = decode(line)
    FieldChecker().mend(record, line)
    return record


class _Plan(NamedTuple):
    """A form, but for what readers must not share: it remembers the last object."""

    texts: _Getter
    numbers: _Getter
    number_types: list[type]
    others: tuple[tuple[str, type, _Field], ...]
    foreign: tuple[str, ...]


def _form_of(shape: _Shape, key: _Key) -> _Form | None:
    """The form of sound objects with these fields and types; None where something is wrong."""
    try:
        plan = shape.plans[key]
    except KeyError:
        plan = _plan_of(shape, *key)
        if len(shape.plans) < _MANY and shape.fields.keys() >= set(key[0]):
            shape.plans[key] = plan
    if plan is None:
        return None
    others = tuple((name, kind, _sound_value(field)) for name, kind, field in plan.others)
    return len(key[0]), plan.texts, plan.numbers, plan.number_types, others, plan.foreign


def _plan_of(shape: _Shape, names: tuple[str, ...], types: tuple[type, ...]) -> _Plan | None:
    if not set(shape.required).issubset(names):
        return None
    texts: list[str] = []
    numbers: list[str] = []
    number_types: list[type] = []
    others: list[tuple[str, type, _Field]] = []
    foreign: list[str] = []
    for name, value_type in zip(names, types, strict=True):
        field = shape.fields.get(name, _ANYTHING)
        if (
            field.types
            and value_type not in field.types
            and not (value_type is _NULL and field.nullable)
        ):
            return None
        if value_type in (dict, list) and not _is_closed(field):
            foreign.append(name)
        if value_type is str:
            texts.append(name)
        elif field.number and value_type is not _NULL:
            numbers.append(name)
            number_types.append(value_type)
        else:
            others.append((name, value_type, field))
    return _Plan(_getter(texts), _getter(numbers), number_types, tuple(others), tuple(foreign))


def _getter(names: Sequence[str]) -> _Getter:
    """A function that returns the values of these names as a tuple, or raises KeyError."""
    if len(names) > 1:
        return itemgetter(*names)
    if not names:
        return _nothing
    (name,) = names
    return lambda data: (data[name],)


def _nothing(data: dict[str, Any]) -> tuple[Any, ...]:
    return ()


def _sound_value(field: _Field) -> _Sound | None:
    """Whether nothing is wrong in a list or an object of this field's; None where all is right."""
    if field.shape is not None:
        objects = _Objects(field.shape)
        return lambda value: objects.fit(value) or objects.are_sound(value)
    item = field.item
    if item is None:
        return None
    if item.number:
        return partial(_sound_numbers, item.types)
    if item.item is not None and item.item.types == (float, int) and item.types == (list,):
        return _sound_lists_of_numbers
    types = item.types
    inner = _sound_value(item)

    def sound(value: list[Any] | dict[str, Any]) -> bool:
        elements: Iterable[Any] = value if isinstance(value, list) else value.values()
        for element in elements:
            if element.__class__ not in types or (inner is not None and not inner(element)):
                return False
        return True

    return sound


def _is_closed(field: _Field) -> bool:
    """Whether the declared type of a field is complete down to the last level."""
    if field.item is not None:
        return _is_closed(field.item)
    return field.types in ((str,), (int,), (bool,), (float, int))


def _sound_numbers(types: tuple[type, ...], value: list[Any] | dict[str, Any]) -> bool:
    numbers: Iterable[Any] = value if isinstance(value, list) else value.values()
    return all(type(number) in types and _in_range(number) for number in numbers)


def _sound_lists_of_numbers(value: list[Any]) -> bool:
    """The fast path for a stream's pieces: a record has thousands."""
    if {*map(type, value)} != {list}:
        return False
    numbers = [*chain.from_iterable(value)]
    try:
        return {*map(type, numbers)} <= {int, float} and hypot(*numbers) < LIMIT
    except OverflowError:
        return False


def _mend(record: RecordDict, kind: str) -> Sequence[FieldFault]:
    """The slow path, for a record in which something is wrong."""
    faults: list[FieldFault] = []
    _hold_object(record, _shape_of(kind), (), faults)
    for name in record:
        _limit_nesting(record, name, faults)
    return faults


def _hold_object(
    data: dict[str, Any], shape: _Shape, path: _Path, faults: list[FieldFault]
) -> None:
    fields = shape.fields
    for name in shape.required:
        if name not in data:
            field = fields[name]
            faults.append(FieldFault(_dotted((*path, name)), f"missing ({field.expected})", True))
            data[name] = _empty(field)
    wrong: list[tuple[str, _Field]] = []
    for name, value in data.items():
        field = fields.get(name, _ANYTHING)
        if field.types and _held(value, field, (*path, name), faults) is _LEFT_OUT:
            wrong.append((name, field))
    for name, field in wrong:
        if field.required:
            data[name] = _empty(field)
        else:
            del data[name]


def _held(value: Any, field: _Field, path: _Path, faults: list[FieldFault]) -> Any:
    """A value without what is wrong in it, or `_LEFT_OUT`."""
    value_type = value.__class__
    if not field.types or (value_type is _NULL and field.nullable):
        return value
    if value_type not in field.types:
        problem = f"{_NAMES[value_type]} where {field.expected} belongs"
        faults.append(FieldFault(_dotted(path), problem, field.required))
        return _LEFT_OUT
    if field.number:
        if not _in_range(value):
            faults.append(FieldFault(_dotted(path), "a number out of range", field.required))
            return _LEFT_OUT
    elif field.shape is not None:
        _hold_object(value, field.shape, path, faults)
    elif field.item is not None:
        item = field.item
        if value_type is list:
            held = [_held(element, item, (*path, n), faults) for n, element in enumerate(value)]
            value[:] = [element for element in held if element is not _LEFT_OUT]
        else:
            for name, element in [*value.items()]:
                if _held(element, item, (*path, name), faults) is _LEFT_OUT:
                    del value[name]
    return value


def _in_range(value: Any) -> bool:
    # For NaN both comparisons are false.
    return bool(-LIMIT < value < LIMIT)


def _limit_nesting(data: dict[str, Any], name: str, faults: list[FieldFault]) -> None:
    """Cuts what is nested too deep for recursion."""
    value = data[name]
    waiting: list[tuple[Any, int]] = [(value, 1)] if isinstance(value, (dict, list)) else []
    cut = False
    while waiting:
        holder, depth = waiting.pop()
        for key, inner in [*(holder.items() if isinstance(holder, dict) else enumerate(holder))]:
            if isinstance(inner, (dict, list)):
                if depth < MAX_NESTING:
                    waiting.append((inner, depth + 1))
                else:
                    holder[key] = _TOO_DEEP
                    cut = True
    if cut:
        problem = f"nested more than {MAX_NESTING} levels deep"
        faults.append(FieldFault(name, problem, False))


def _dotted(path: _Path) -> str:
    return ".".join(map(str, path))


def _empty(field: _Field) -> Any:
    """The default for a required field."""
    return field.types[0]() if field.types else None


@lru_cache(maxsize=256)
def _shape_of(kind: str) -> _Shape:
    """The fields of a record type, the envelope's included."""
    return _parse(f"{ENVELOPE_FIELDS} {FIELDS.get(kind, '')}")


@lru_cache(maxsize=128)
def _named_shape(name: str) -> _Shape:
    return _parse(SHAPES[name])


def _parse(text: str) -> _Shape:
    fields: dict[str, _Field] = {}
    for word in text.split():
        name, _, kind = word.partition(":")
        fields[name] = _field(kind.rstrip("!?"), kind.endswith("!"), kind.endswith("?"))
    return _Shape(fields)


def _field(kind: str, required: bool = False, nullable: bool = False) -> _Field:
    for mark, holder in (("[]", "list"), ("{}", "object")):
        if kind.endswith(mark):
            expected, types = _KINDS[holder]
            return _Field(expected, types, required, nullable, item=_field(kind[:-2]))
    if kind in SHAPES:
        expected, types = _KINDS["object"]
        return _Field(expected, types, required, nullable, shape=_named_shape(kind))
    expected, types = _KINDS[kind]
    return _Field(expected, types, required, nullable, number=kind in ("int", "number"))


_ANYTHING: Final = _field("any")
