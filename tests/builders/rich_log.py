"""A log in which every record type stands, with every field that it may have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from convtui.log.requests import digest
from convtui.records.codec import RecordDict, encode
from convtui.records.models import RECORD_TYPES
from convtui.records.types import FIELDS, SHAPES

TurnOf = tuple[int, int, str]
"""Session, turn and side."""
_USER, _BOT, _JUDGE = (1, 1, "persona"), (1, 2, "provider"), (1, 3, "responder")
_ORDER: tuple[tuple[str, TurnOf | None], ...] = (
    ("header", None), ("history.seeded", None), ("context.seeded", None),
    ("reflection.added", None),
    ("provider.setup", None), ("provider.restored", None), ("sessions.prepared", None),
    ("session.entered", None), ("session.started", None),
    ("turn.started", _USER), ("turn.committed", _USER),
    ("turn.started", _BOT), ("llm.request", _BOT), ("llm.retry", _BOT), ("llm.partial", _BOT),
    ("llm.response", _BOT), ("tool.called", _BOT), ("tool.approved", _BOT),
    ("tool.returned", _BOT), ("tool.denied", _BOT), ("llm.request", _BOT),
    ("llm.response", _BOT), ("human.wrote", _BOT), ("provider.output", _BOT),
    ("signals.extracted", _BOT),
    ("response.processed", _BOT), ("debug.held", _BOT), ("debug.edited", _BOT),
    ("debug.overrode", _BOT), ("debug.injected", _BOT), ("debug.released", _BOT),
    ("warning", _BOT), ("budget.crossed", _BOT), ("turn.committed", _BOT),
    ("turn.started", _JUDGE), ("llm.request", _JUDGE), ("llm.response", _JUDGE),
    ("user.decided", _JUDGE), ("user.ended", _JUDGE),
    ("turn.started", (1, 4, "provider")), ("llm.request", (1, 4, "provider")),
    ("llm.response", (1, 4, "provider")), ("signals.extracted", (1, 4, "provider")),
    ("response.processed", (1, 4, "provider")), ("turn.discarded", (1, 4, "provider")),
    ("turn.started", (1, 5, "provider")), ("llm.failed", (1, 5, "provider")),
    ("turn.started", (1, 6, "provider")), ("turn.cancelled", (1, 6, "provider")),
    ("turn.skipped", (1, 6, "provider")), ("turn.inactive", (1, 7, "persona")),
    ("context.compressed", None), ("budget.raised", None), ("debug.took_over", None),
    ("debug.handed_back", None), ("provider.reload_failed", None), ("session.ended", None),
    ("session.reset", None), ("warning", None), ("user.closed", None), ("user.cleanup", None),
    ("provider.cleanup", None), ("conversation.ended", None), ("trailer", None),
)  # fmt: skip
_VALUES: dict[str, Any] = {
    "format": "convtui", "version": "1.1", "created_at": "2026-03-04T05:06:07+00:00",
    "closed_at": "2026-03-04T05:16:07+00:00", "speaker": "provider", "first_speaker": "persona",
    "draft": "sent", "interim": "show", "finish_reason": "stop", "field": "raw", "flag": "role",
    "session": 1, "turn": 2, "at_turn": 2, "current": 1, "base": None, "keep": 0, "offset": 0,
    "role": "assistant", "would_have": "end", "inside": "reasoning", "counts": True,
}  # fmt: skip


def rich_records() -> list[RecordDict]:
    """The records, `seq` and `t` included."""
    records: list[RecordDict] = []
    request: int | None = None
    for seq, (kind, turn_of) in enumerate(_ORDER):
        record: RecordDict = {"seq": seq, "t": seq / 4, "type": kind}
        if turn_of is not None:
            record["session"], record["turn"], record["side"] = turn_of
            record.update(attempt=1, round=1, revision=1)
        if kind.startswith("llm.") and request is not None:
            record["call"] = request
        record.update(_fields(kind))
        if kind.startswith("turn.") and turn_of is not None and "speaker" in record:
            record["speaker"] = "provider" if turn_of[2] == "provider" else "persona"
        if kind == "llm.request":
            request = seq
            record["sha256"] = digest(record["append"])
        if kind == "trailer":
            record["records"] = len(_ORDER)
        records.append(record)
    return records


def rich_log(path: Path, records: list[RecordDict] | None = None) -> Path:
    """Writes it, or others in its place."""
    path.write_bytes(b"".join(map(encode, rich_records() if records is None else records)))
    return path


def texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all texts in JSON data."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from texts(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from texts(inner, (*path, place))


def replaced(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """JSON data with another value at a path; what the path does not touch is shared."""
    if not path:
        return value
    name, *rest = path
    copy = data.copy()
    copy[name] = replaced(data[name] if rest else None, tuple(rest), value)
    return copy


def _fields(kind: str) -> dict[str, Any]:
    model = RECORD_TYPES[kind]
    fields = _shape(FIELDS[kind])
    for name in fields:
        field = model.model_fields.get(name)
        choices = _choices(field.annotation) if field is not None else ()
        if choices and _VALUES.get(name) not in choices:
            fields[name] = choices[-1]
    if kind == "header":
        fields["scenario"] = {
            "name": "rich", "tags": ["nightly"], "persona": {"name": "Maya", "task": "a task"},
            "provider": {"use": "demo", "options": {"a": ["b"]}}, "sessions": ["intake"],
            "limits": {"max_turns": 6},
        }  # fmt: skip
    return fields


def _choices(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in _choices(part))


def _shape(text: str) -> dict[str, Any]:
    fields = {}
    for word in text.split():
        name, _, kind = word.partition(":")
        value = _value(kind.rstrip("!?"), name)
        fields[name] = _VALUES.get(name, value) if not isinstance(value, dict | list) else value
    return fields


def _value(kind: str, name: str) -> Any:
    if kind.endswith("[]"):
        return [_value(kind[:-2], name)]
    if kind.endswith("{}"):
        return {"1" if name in ("numbers", "compressed") else "provider": _value(kind[:-2], name)}
    if kind in SHAPES:
        return _shape(SHAPES[kind]) | ({"content": "content"} if kind == "message" else {})
    return {
        "text": f"the {name}", "int": 1, "number": 0.25, "flag": True, "object": {"a": "b"},
        "list": ["a"], "any": {"deep": ["x", 1, None]},
    }[kind]  # fmt: skip
