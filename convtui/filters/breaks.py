"""Breakpoints as people write them: a filter, and before it how often it stops.

    ~discard
    once: ~signal & ~turn > 3
    skip 2: ~toolerror
    off, once: ~end

`off` is there but stops nothing, `once` is switched off after it has stopped, `skip N` lets it
come true N times before it stops.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from convtui.errors import FilterError, did_you_mean
from convtui.filters.filter import Filter, parse
from convtui.text.boundary import visible_line

_WORD = r"[A-Za-z]+(?:\s+-?\d+)?"
_HEAD: Final = re.compile(rf"\s*(?P<words>{_WORD}(?:\s*,\s*{_WORD})*)\s*:(?!//)\s*")
_KNOWN: Final = ("once", "off", "skip")
MAX_SKIP: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class BreakpointSpec:
    """One breakpoint; `str()` writes it as `parse_breakpoint()` reads it."""

    filter: Filter
    enabled: bool = True
    once: bool = False
    skip: int = 0
    """How often it comes true, once an attempt at most, before it stops."""

    @property
    def expression(self) -> str:
        return self.filter.expression

    def __str__(self) -> str:
        words = [
            *(["off"] if not self.enabled else []),
            *(["once"] if self.once else []),
            *([f"skip {self.skip}"] if self.skip else []),
        ]
        return f"{', '.join(words)}: {self.expression}" if words else self.expression

    def switched(self, enabled: bool) -> BreakpointSpec:
        return replace(self, enabled=enabled)


def parse_breakpoint(text: str) -> BreakpointSpec:
    """Parses a breakpoint. Raises `FilterError` with the column in `text`."""
    head = _HEAD.match(text)
    if head is None or not _is_head(head, text):
        return BreakpointSpec(parse(text.strip(), breakpoint=True))
    from convtui.filters.grammar import error_at

    settings: dict[str, bool | int] = {}
    for match in re.finditer(_WORD, head["words"]):
        word, _, number = match[0].partition(" ")
        name = word.lower()
        column = head.start("words") + match.start()
        if name not in _KNOWN:
            hint = did_you_mean(name, _KNOWN) or f"; known are {', '.join(_KNOWN)}"
            raise error_at(f"{visible_line(word, 40)} is not known here{hint}", text, column)
        if name == "skip":
            count = int(number) if number.strip().isdecimal() else 0
            if not 1 <= count <= MAX_SKIP:
                raise error_at("skip takes how often, a whole number from 1", text, column)
            settings["skip"] = count
        elif number:
            raise error_at(f"{name} takes no number", text, column)
        else:
            settings["once" if name == "once" else "off"] = True
    try:
        wanted = parse(text[head.end() :].strip(), breakpoint=True)
    except FilterError as error:
        message = str(error).partition("\n")[0]
        raise error_at(message, text, head.end() + (error.column or 0)) from None
    return BreakpointSpec(
        wanted,
        enabled="off" not in settings,
        once="once" in settings,
        skip=int(settings.get("skip", 0)),
    )


def _is_head(head: re.Match[str], text: str) -> bool:
    """Whether the words before a colon are options: one is known, or a filter follows."""
    names = [word.split()[0].lower() for word in re.split(r"\s*,\s*", head["words"])]
    return any(name in _KNOWN for name in names) or text[head.end() :].startswith(("~", "!", "("))
