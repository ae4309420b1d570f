"""How runs end, in oharness' words and in ours.

`run.finished.termination` is the Debug string of a Rust value, as its schema asks for
(`Truncated { limit: MaxTurns(30) }`), and JSON in older exports of ours
(`{"kind": "truncated", "limit": {"max_turns": 30}}`). Both become the JSON shape first, which
stands in the event's `extra` where we have written it.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from convtui.log.formats.json_objects import JsonObject
from convtui.log.formats.record_builder import NO_REASON
from convtui.records.values import as_object

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>-?\d+(?:\.\d+)?)"
    r'|"(?P<text>(?:[^"\\]|\\.)*)"|(?P<sign>[{}()\[\],:]))',
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_SIMPLE: Final = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}
_MAX_DEPTH: Final = 20
_CATEGORIES: Final = ("llm", "tool", "memory", "budget", "critic", "user_simulator", "other")


class _Debug:
    """A value as Rust's `{:?}` prints it."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise ValueError(f"cannot be read from character {position + 1} on")
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        self._place = 0

    def read(self) -> Any:
        value = self._value(0)
        if self._place != len(self._tokens):
            raise ValueError("something follows its end")
        return value

    def _next(self) -> tuple[str, str]:
        if self._place >= len(self._tokens):
            raise ValueError("it breaks off")
        self._place += 1
        return self._tokens[self._place - 1]

    def _sees(self, sign: str) -> bool:
        there = self._place < len(self._tokens) and self._tokens[self._place] == ("sign", sign)
        self._place += there
        return there

    def _value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError("it is nested too deep")
        kind, text = self._next()
        if kind == "text":
            return _ESCAPE.sub(_unescape, text)
        if kind == "number":
            return float(text) if "." in text else int(text[:30])
        if kind == "sign":
            if text == "[":
                return self._list("]", depth)
            raise ValueError(f"{text!r} begins no value")
        if text in ("true", "false"):
            return text == "true"
        if self._sees("{"):
            fields: dict[str, Any] = {}
            while not self._sees("}"):
                _, name = self._next()
                if not self._sees(":"):
                    raise ValueError(f"{name!r} has no value")
                fields[name] = self._value(depth + 1)
                self._sees(",")
            return (text, fields)
        if self._sees("("):
            items = self._list(")", depth)
            if text == "Some" and len(items) == 1:
                return items[0]
            return (text, items[0] if len(items) == 1 else items)
        return None if text == "None" else (text, None)

    def _list(self, end: str, depth: int) -> list[Any]:
        items: list[Any] = []
        while not self._sees(end):
            items.append(self._value(depth + 1))
            self._sees(",")
        return items


def _unescape(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    if code is not None:
        return chr(int(code, 16)) if int(code, 16) < 0x110000 else "\ufffd"
    return _SIMPLE.get(match[3], match[3])


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _as_json(value: Any) -> Any:
    """Rust's names as JSON writes them: `EndTurn` as text, `MaxTurns(3)` as `{"max_turns": 3}`."""
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if not isinstance(value, tuple):
        return value
    name, inside = value
    if inside is None:
        return _snake(name)
    if isinstance(inside, dict):
        return {key: _as_json(item) for key, item in inside.items()}
    return {_snake(name): _as_json(inside)}


def from_debug(text: str) -> dict[str, Any]:
    """The JSON shape of a termination printed by Rust. Raises ValueError for what is none."""
    value = _Debug(text).read()
    if not isinstance(value, tuple):
        raise ValueError("it is no termination")
    inside = _as_json(value)
    return {"kind": _snake(value[0]), **as_object(inside)}


def shape_of(payload: JsonObject) -> tuple[dict[str, Any] | None, str]:
    """`run.finished`'s termination in the JSON shape, and a sentence where it makes no sense."""
    given = payload.data.get("termination")
    exact = as_object(as_object(payload.data.get("extra")).get("termination"))
    if isinstance(exact.get("kind"), str):
        return exact, ""
    if isinstance(given, str):
        try:
            return from_debug(given), ""
        except ValueError as error:
            return None, f"run.finished: termination {given[:200]!r} makes no sense: {error}"
    if given is None:
        return None, "run.finished says no termination"
    inner = payload.inner("termination")
    assert inner is not None
    inner.text("kind")
    return inner.data, ""


def ending_in(shape: dict[str, Any] | None, *, at_turn: int, ended_by_user: bool) -> dict[str, Any]:
    """Our termination record for theirs. `at_turn` is the last turn there is.

    Theirs counts replies of the model from 0, and is 0 for every error of a simulator: it is kept
    in `detail`, as everything else that it says.
    """

    def ended(
        kind: str, reason: str, by: str = "harness", detail: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        detail = {"oharness": shape} if detail is None else detail
        return {"by": by, "at_turn": at_turn, "kind": kind, "reason": reason, "detail": detail}

    if shape is None:
        return ended("completed", NO_REASON, detail={"recorded": False})
    kind = shape.get("kind")
    why, limit, error = shape.get("reason"), shape.get("limit"), shape.get("error")
    if kind == "completed" and ended_by_user:
        return ended("completed", "the simulated user ended it", "simulator")
    if kind == "completed":
        return ended("completed", f"completed: {_words(why)}", "provider")
    if kind == "truncated":
        name = next(iter(limit), "") if isinstance(limit, dict) else str(limit)
        ours = {"max_turns": "max_turns", "budget": "budget", "max_tokens": "budget"}
        return ended(ours.get(name, "interrupted"), f"truncated: {_words(limit)}")
    if kind == "failed":
        failure = error if isinstance(error, dict) else {"message": error}
        category = str(failure.get("category") or "other")
        by = {"user_simulator": "simulator", "llm": "provider"}.get(category, "harness")
        message = str(failure.get("message") or category)
        return ended("failed", message, by, {"category": category, "oharness": shape})
    if kind == "interrupted":
        by = "human" if why == "user" else "harness"
        return ended("interrupted", f"interrupted: {_words(why)}", by)
    reason = f"an ending that is not known: {kind}"
    return ended("completed", reason, detail={"oharness": shape, "recorded": False})


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return str(value)


def ending_out(termination: dict[str, Any], *, at_turn: int, turns: int) -> dict[str, Any]:
    """The JSON shape of our termination.

    `at_turn` counts the model's replies from 0, as everywhere there; `turns` is how many there
    were.
    """
    kind, by = termination.get("kind"), termination.get("by")
    reason = str(termination.get("reason") or "")
    detail = as_object(termination.get("detail"))
    if kind in ("completed", "early_termination", "stopped"):
        signal = termination.get("signal")
        if kind == "early_termination" and isinstance(signal, str):
            return {"kind": "completed", "reason": {"stop_sequence": signal}}
        return {"kind": "completed", "reason": "end_turn"}
    if kind == "max_turns":
        return {"kind": "truncated", "limit": {"max_turns": turns}}
    if kind in ("budget", "word_limit", "cap_exhausted"):
        return {"kind": "truncated", "limit": {"budget": reason or str(kind)}}
    if kind == "interrupted":
        return {"kind": "interrupted", "reason": "user" if by == "human" else "cancellation"}
    category = str(detail.get("category"))
    if category not in _CATEGORIES:
        sides = {"responder": "user_simulator", "simulator": "user_simulator", "provider": "llm"}
        category = sides.get(str(by), "other") if kind != "discarded" else "other"
    message = reason if kind == "failed" else f"{kind}: {reason}"
    return {
        "kind": "failed",
        "error": {"category": category, "message": message},
        "at_turn": at_turn,
    }


_ENUM: Final = re.compile(r"[a-z]+(_[a-z]+)*")
_OF_ENUM: Final = ("reason", "category")
"""Fields whose texts are names of Rust, not words."""


def to_debug(shape: dict[str, Any]) -> str:
    """The JSON shape of a termination as Rust prints it: the reverse of `from_debug()`."""
    fields = {name: value for name, value in shape.items() if name != "kind"}
    return f"{_camel(str(shape['kind']))} {_struct(fields)}"


def _struct(fields: dict[str, Any]) -> str:
    inner = ", ".join(f"{name}: {_printed(name, value)}" for name, value in fields.items())
    return f"{{ {inner} }}"


def _printed(name: str, value: Any) -> str:
    if name in _OF_ENUM and isinstance(value, str) and _ENUM.fullmatch(value):
        return _camel(value)
    if isinstance(value, dict) and len(value) == 1:
        (inner, given), *_ = value.items()
        return f"{_camel(inner)}({_printed('', given)})"
    if isinstance(value, dict):
        return f"{_camel(name)} {_struct(value)}"
    return json.dumps(value, ensure_ascii=False)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
