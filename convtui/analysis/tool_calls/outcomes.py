"""Whether a tool call succeeded, and which rule decides it.

Every tool reports success in its own way: an exit code, a flag, an error field, a sentence. A
statement in a dedicated field comes first. Keywords in the text are a last resort, because they are
often wrong: `{"output": "...", "error": null}` contains "error" and is a success.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

TRIVIAL_TOOLS: Final = frozenset(
    {
        "clarify",
        "memory",
        "fact_store",
        "fact_feedback",
        "session_search",
        "skill_view",
        "skills_list",
    }
)
"""Tools whose calls say nothing about how well a session goes; profiles leave them out."""

TOOL_TYPES: Final[Mapping[str, str]] = {
    "terminal": "terminal",
    "execute_code": "code",
    "skill_manage": "code",
    "read_file": "file",
    "write_file": "file",
    "patch": "file",
    "search_files": "file",
    "web_search": "research",
    "web_extract": "research",
    "browser": "research",
    "warm_session": "meta",
}
GENERAL: Final = "general"
"""The type of every other tool."""

KEYWORDS: Final = ("error", "failed", "exception", "traceback", "denied", "not found")
"""What the keyword rule takes for a failure, anywhere in the text, case-insensitively."""

NO_RESULT: Final = "no result"
NOT_RUN: Final = "not run"
RECORDED: Final = "recorded"
FLAG: Final = "flag"
EXIT_CODE: Final = "exit code"
ERROR_FIELD: Final = "error field"
ERROR_TEXT: Final = "error text"
NO_ERROR_FIELD: Final = "no error field"
KEYWORD: Final = "keyword"
RULES: Final[Mapping[str, str]] = {
    RECORDED: "what the log says of the call itself: it ran, or it failed and with what",
    FLAG: "a flag of the result: ok, success, isError",
    EXIT_CODE: "an exit code of the result; non-zero is a failure unless its meaning says no",
    ERROR_FIELD: "an error or failed field of the result; null, false, 0 and empty mean none",
    ERROR_TEXT: 'the result is a text that begins with "Error"',
    NO_ERROR_FIELD: "the result is data in which nothing tells of an error",
    KEYWORD: f"words in the text: {', '.join(KEYWORDS)} (a guess)",
    NO_RESULT: "there is no result on record: unknown",
    NOT_RUN: "the call was denied or cancelled by hand: unknown",
}
"""What each rule looks at, by its name, in the order in which they apply."""

_GOOD_FLAGS: Final = ("ok", "success", "succeeded")
_BAD_FLAGS: Final = ("isError", "is_error")
_EXIT_CODES: Final = ("exit_code", "exitCode", "returncode", "return_code", "exit_status")
_MEANINGS: Final = ("exit_code_meaning", "returncode_interpretation")
_ERRORS: Final = ("error", "failed", "error_kind")
_HARMLESS: Final = ("not an error", "often normal", "may still be valid")
"""Phrases by which the meaning of a non-zero exit code says that it is no failure (grep, diff)."""
_BY_HAND: Final = ("tool_denied", "tool_cancelled")
_FOREIGN: Final = ("file", "research")
_FOREIGN_HEAD: Final = 500
"""Characters searched for keywords where the result is foreign content: a file, a web page."""
_DETAIL: Final = 120


@dataclass(slots=True, frozen=True)
class Outcome:
    """The outcome of a tool call; `success` is None where it is not known."""

    success: bool | None
    rule: str
    """The rule that decided, one of `RULES`."""
    detail: str = ""
    """What the rule matched, in one line: `exit_code 1`, `contains "denied"`. Foreign text."""


def is_trivial(name: str) -> bool:
    """Whether a tool is left out of profiles and templates."""
    return name in TRIVIAL_TOOLS


def tool_type(name: str) -> str:
    """The type of a tool: terminal, code, file, research, meta or general."""
    return TOOL_TYPES.get(name, GENERAL)


def outcome_of(name: str, content: Any, *, recorded_ok: bool | None = None) -> Outcome:
    """The outcome of a call of tool `name` that returned `content`: text, data or text blocks.

    `content` None means that there is no result; `recorded_ok` is the statement of the harness that
    made the call (`tool.returned.ok`), None without one. Rules apply in the order of `RULES`, but
    any statement of a failure outranks those of success, and a recorded success yields to what the
    result itself states: a command that ran and exited with 1 has failed. Never raises.
    """
    data, text = _open(content)
    kind = str(data.get("error_kind") or "") if data is not None else ""
    if recorded_ok is False:
        if kind in _BY_HAND:
            return Outcome(None, NOT_RUN, kind)
        stated = _stated(data, text)
        if stated is not None and stated.success is False:
            return (
                stated if stated.rule != FLAG else Outcome(False, RECORDED, kind or stated.detail)
            )
        return Outcome(False, RECORDED, kind or "ok false")
    if content is None:
        # Returning nothing is a success where the return is on record.
        return Outcome(True, RECORDED, "ok true") if recorded_ok else Outcome(None, NO_RESULT)
    if kind in _BY_HAND and data is not None and data.get("ok") is False:
        return Outcome(None, NOT_RUN, kind)
    stated = _stated(data, text)
    if stated is not None:
        return stated
    if recorded_ok:
        return Outcome(True, RECORDED, "ok true")
    if data is not None:
        return Outcome(True, NO_ERROR_FIELD)
    return _keyword(name, text)


def _open(content: Any) -> tuple[Mapping[str, Any] | None, str]:
    """A result as data where it is an object, else None, and as text."""
    if isinstance(content, list):
        blocks = [str(block["text"]) for block in content if _is_text_block(block)]
        if blocks:
            content = "\n".join(blocks)
    if isinstance(content, str):
        content = _parsed(content)
    if isinstance(content, Mapping):
        inner = content.get("content")
        if isinstance(inner, list) and any(flag in content for flag in _BAD_FLAGS):
            # A result of a tool server: its own flag around the tool's result.
            data, text = _open(inner)
            return {**(data or {}), **content}, text
        return content, ""
    if isinstance(content, str):
        return None, content.lstrip()
    return None, _shown(content)


def _shown(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        return ""


def _parsed(text: str) -> Any:
    """The JSON object that a text begins with, or the text.

    What follows the object is ignored: harnesses append remarks.
    """
    begin = text.lstrip()
    if not begin.startswith("{"):
        return text
    try:
        value, _ = json.JSONDecoder().raw_decode(begin)
    except (ValueError, RecursionError):
        return text
    return value


def _is_text_block(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("text"), str)


def _stated(data: Mapping[str, Any] | None, text: str) -> Outcome | None:
    """The outcome that a result itself states, None without one; a failure outranks the rest."""
    outcomes: list[Outcome] = []
    if data is not None:
        outcomes = [*_flags(data), *_exit_code(data), *_error_fields(data)]
    if text[:5].lower() == "error":
        outcomes.append(Outcome(False, ERROR_TEXT, _short(text)))
    for outcome in outcomes:
        if outcome.success is False:
            return outcome
    return outcomes[0] if outcomes else None


def _flags(data: Mapping[str, Any]) -> list[Outcome]:
    outcomes = []
    for names, good in ((_GOOD_FLAGS, True), (_BAD_FLAGS, False)):
        for name in names:
            value = data.get(name)
            if isinstance(value, bool):
                why = str(data.get("error_kind") or f"{name} {str(value).lower()}")
                outcomes.append(Outcome(value is good, FLAG, _short(why)))
    return outcomes


def _exit_code(data: Mapping[str, Any]) -> list[Outcome]:
    for name in _EXIT_CODES:
        code = _whole(data.get(name))
        if code is None:
            continue
        shown = f"{name} {code}"
        if code == 0:
            return [Outcome(True, EXIT_CODE, shown)]
        meaning = next((data[key] for key in _MEANINGS if isinstance(data.get(key), str)), "")
        harmless = any(phrase in meaning.lower() for phrase in _HARMLESS)
        return [Outcome(harmless, EXIT_CODE, _short(f"{shown}: {meaning}" if meaning else shown))]
    return []


def _error_fields(data: Mapping[str, Any]) -> list[Outcome]:
    outcomes = []
    for name in _ERRORS:
        if name not in data:
            continue
        value = data[name]
        none = not value or (
            isinstance(value, str) and value.strip().lower() in ("", "null", "none", "false")
        )
        why = f"{name} {_shown(value)}"
        outcomes.append(Outcome(none, ERROR_FIELD, _short(why)))
    return outcomes


def _keyword(name: str, text: str) -> Outcome:
    lowered = (text[:_FOREIGN_HEAD] if tool_type(name) in _FOREIGN else text).lower()
    for word in KEYWORDS:
        if word in lowered:
            return Outcome(False, KEYWORD, f'contains "{word}"')
    return Outcome(True, KEYWORD, "none of the words")


def _whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            return None
    return None


def _short(text: str) -> str:
    line = " ".join(text[: _DETAIL * 4].split())
    return line if len(line) <= _DETAIL else line[: _DETAIL - 1] + "…"
