"""VERA-MH's `.log` files: the only place where it keeps raw replies, metadata and failures.

Lines are `date time - LEVEL - message`; a message goes on over lines without that in front.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from convtui.records.codec import Speaker

_LINE: Final = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:,\d+)? - (?P<level>[A-Z]+) - (?P<text>.*)", re.DOTALL
)
_TURN: Final = re.compile(r"TURN (\d+) - (\w+)")
_SETTING: Final = re.compile(r"(?:\s*- |Configuration, )(?P<key>[^:]+): (?P<value>.*)", re.DOTALL)
_FAILURES: Final = ("CONVERSATION FAILED", "RUN FAILED", "LLM GENERATION FAILED")
_MAX_REPR: Final = 4 << 20
"""Characters of a `logging:` payload that are still looked into."""


@dataclass(slots=True)
class LoggedTurn:
    """One turn as a log has it. `metadata` is None where the log has none that can be read."""

    number: int
    speaker: Speaker
    at: datetime
    input: str | None = None
    response: str | None = None
    metadata: dict[str, Any] | None = None
    unreadable: str | None = None
    """A payload that is no plain data, as it stands there."""
    ended_by: str | None = None

    @property
    def raw(self) -> str | None:
        """The raw reply, where it was kept."""
        raw = (self.metadata or {}).get("raw_response")
        return raw if isinstance(raw, str) else None


@dataclass(slots=True)
class ParsedLog:
    """What a log says."""

    started: datetime | None = None
    persona: dict[str, Any] = field(default_factory=dict)
    provider: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    turns: list[LoggedTurn] = field(default_factory=list)
    completed: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def duration(self) -> float | None:
        """Seconds."""
        match = re.match(r"([\d.]+) seconds", str(self.completed.get("Duration", "")))
        return float(match[1]) if match else None

    @property
    def max_turns(self) -> int | None:
        """The cap that it names."""
        setting = self.settings.get("Max Turns", "")
        return int(setting) if setting.isdigit() else None


def is_log(head: str) -> bool:
    """Whether a text that begins with `head` looks like such a log."""
    return _LINE.match(head) is not None and any(
        word in head for word in ("CONVERSATION", "TURN ", "RUN FAILED", "LLM ")
    )


def _entries(text: str) -> Iterator[tuple[datetime, str, str]]:
    held: list[str] = []
    begun: tuple[datetime, str] | None = None
    for line in _lines(text):
        match = _LINE.fullmatch(line)
        at = _time(match["at"]) if match else None
        if match is None or at is None:
            held.append(line)
            continue
        if begun is not None:
            yield *begun, "\n".join(held)
        begun, held = (at, match["level"]), [match["text"]]
    if begun is not None:
        yield *begun, "\n".join(held)


def _lines(text: str) -> Iterator[str]:
    """The lines of a text, one at a time: together they take more memory than the text."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end].removesuffix("\r")
        start = end + 1
    if start < len(text) or not text:
        yield text[start:]


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def parse_log(text: str) -> ParsedLog:
    """Everything that a log says; lines of no known form are passed over."""
    log = ParsedLog()
    section: dict[str, Any] = {}
    turn: LoggedTurn | None = None
    sections = {
        "LLM1 Configuration:": log.persona,
        "LLM2 Configuration:": log.provider,
        "Conversation Settings:": log.settings,
        "CONVERSATION COMPLETED": log.completed,
    }
    for at, _, message in _entries(text):
        log.started = log.started or at
        begins = _TURN.fullmatch(message)
        if begins:
            side: Speaker = "persona" if begins[2].lower() in ("persona", "user") else "provider"
            turn = LoggedTurn(int(begins[1]), side, at)
            log.turns.append(turn)
        elif message in sections:
            section, turn = sections[message], None
        elif message.startswith((*_FAILURES, "LLM failure metadata")):
            log.failures.append(message)
        elif turn is not None:
            if message.strip("-") == "" and message:
                turn = None
            else:
                _take(turn, message)
        else:
            setting = _SETTING.fullmatch(message) or re.fullmatch(
                r"(?P<key>[A-Z][\w ]*): (?P<value>.*)", message, re.DOTALL
            )
            if setting and setting["value"] != "None":
                section[setting["key"].strip()] = setting["value"]
    return log


def _take(turn: LoggedTurn, message: str) -> None:
    """A message inside of a turn."""
    name, _, value = message.partition(":")
    value = value.removeprefix(" ")
    if name == "Input":
        turn.input = value
    elif name == "Response":
        turn.response = value
    elif name == "logging":
        turn.metadata = literal(value)
        turn.unreadable = value if turn.metadata is None else None
    elif message.startswith("EARLY TERMINATION detected by "):
        turn.ended_by = message.rpartition(" by ")[2].strip()


def literal(text: str) -> dict[str, Any] | None:
    """The mapping that a Python literal is; None for anything else. Nothing is executed."""
    if len(text) > _MAX_REPR:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


_FIGURES: Final = {
    "prompt_tokens": ("prompt_tokens", "input_tokens"),
    "completion_tokens": ("completion_tokens", "output_tokens"),
    "total_tokens": ("total_tokens",),
    "reasoning_tokens": ("reasoning_tokens",),
    "cached_tokens": ("cached_tokens", "cache_read_input_tokens"),
}


def usage_figures(usage: Any) -> dict[str, float]:
    """Usage in either of the two usual vocabularies, in ours; only what is there."""
    figures: dict[str, float] = {}
    if isinstance(usage, Mapping):
        for name, known in _FIGURES.items():
            value = next((v for v in map(usage.get, known) if type(v) is int), None)
            if value is not None:
                figures[name] = value
        if type(usage.get("cost")) in (int, float):
            figures["cost"] = float(usage["cost"])
    return figures
