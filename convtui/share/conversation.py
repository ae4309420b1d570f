"""A conversation as it is shared: in the words that the printer has for it, with its stages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.log.detail import all_rounds, rounds_of
from convtui.log.notes import Notes, TurnNote
from convtui.log.reader import Log
from convtui.log.tool_results import whole_result
from convtui.log.tool_uses import ToolUse, tool_uses
from convtui.log.transcript_json import turn_detail
from convtui.printing.output import DIM, RED
from convtui.printing.page import Page, SaidTurn
from convtui.printing.printer import Printer
from convtui.printing.stage_lines import stage_line
from convtui.printing.turn_sign import turn_sign
from convtui.printing.wording import totals_line
from convtui.records.codec import RecordDict
from convtui.share.turn_range import TurnRanges
from convtui.text.boundary import json_text, visible, visible_line
from convtui.transcript.clock import elapsed
from convtui.transcript.fold import INTERESTING, Turn
from convtui.transcript.usage import whole_totals

_ROLES: Final = {DIM: "muted", RED: "error"}
_MARK_ROLES: Final = {
    "discarded": "discard",
    "signal": "signal",
    "raw differs": "changed",
    "tool": "tool",
    "decision": "tool",
}
"""How marks begin that have a colour of their own on the screen."""
_WAITS: Final = ("llm.partial", "turn.started")


@dataclass(slots=True, frozen=True)
class SharedTool:
    """A tool call with its outcome."""

    name: str
    arguments: str
    """Indented JSON, or the text that is none."""
    state: str
    """`ok`, or how it failed, in words."""
    failed: bool
    result: str | None
    """None where there is none on record."""
    round: int


@dataclass(slots=True, frozen=True)
class SharedTurn:
    """A turn, or an attempt at it that was dropped; all texts are fit to be shown."""

    address: str
    speaker: str
    sign: str
    role: str
    """The colour role of the sign."""
    text: str | None
    struck: bool
    marks: tuple[tuple[str, str], ...]
    """Texts with their colour roles."""
    raw: str | None
    """The raw reply, where the shown text differs from it."""
    shown: str
    """What became of the raw reply: `text` but for the words for nothing."""
    reasoning: str
    tools: tuple[SharedTool, ...]
    stages: tuple[str, ...]
    notes: tuple[str, ...]
    interesting: bool


@dataclass(slots=True)
class SharedSection:
    """A session, or what stands before the first one."""

    number: int
    """0 before the first."""
    head: str
    items: list[SharedTurn | str] = field(default_factory=list)
    end: str = ""

    @property
    def turns(self) -> list[SharedTurn]:
        return [item for item in self.items if isinstance(item, SharedTurn)]


@dataclass(slots=True)
class SharedConversation:
    """All that a page shows of a conversation."""

    title: str = ""
    facts: list[str] = field(default_factory=list)
    sections: list[SharedSection] = field(default_factory=list)
    closing: list[str] = field(default_factory=list)
    """How it ended and what it used."""
    excerpt: str = ""
    """Which turns these are, where they are not all; else empty."""

    @property
    def turns(self) -> list[SharedTurn]:
        return [turn for section in self.sections for turn in section.turns]


class _Events(Page):
    """Keeps what a printer writes."""

    def __init__(self) -> None:
        super().__init__(None, None, width=None, color=False, progress=False)
        self.events: list[str | SaidTurn] = []

    def line(self, text: str = "", code: str = "") -> None:
        if text.strip():
            self.events.append(visible(text))

    def block(self, text: str, first: str, rest: str, code: str = "", head: str = "") -> None:
        self.line(first + text)

    def turn(self, said: SaidTurn) -> None:
        self.events.append(said)

    def take(self) -> list[str | SaidTurn]:
        events, self.events = self.events, []
        return events


def conversation_of(log: Log, ranges: TurnRanges, *, running: bool = False) -> SharedConversation:
    """The conversation of a log; `running` says that it is still being written."""
    return _Builder(log, ranges, running=running).build()


class _Builder:
    def __init__(self, log: Log, ranges: TurnRanges, *, running: bool) -> None:
        self._log = log
        self._ranges = ranges
        self._running = running
        self._notes = Notes(log.path)
        self._shared = SharedConversation()

    def build(self) -> SharedConversation:
        events = _Events()
        printer = Printer(
            None, page=events, tools=False, corrections=lambda turn: self._notes.on(*_at(turn))
        )
        printer.ran = elapsed(self._log.transcript)
        for record in self._log.records():
            printer.record(record)
            self._place(record, events.take())
        printer.finish()
        self._place({}, events.take())
        transcript = self._log.transcript
        if transcript.termination is None:
            state = "still running" if self._running else "crashed, or was killed, before it ended"
            self._shared.closing.append(f"conversation: {state}")
            self._shared.closing.append(totals_line(whole_totals(transcript)))
        self._leave_out()
        return self._shared

    def _place(self, record: RecordDict, events: list[str | SaidTurn]) -> None:
        kind, shared = record.get("type"), self._shared
        lines = [event for event in events if isinstance(event, str)]
        for event in events:
            if isinstance(event, SaidTurn) and _at(event.turn) in self._ranges:
                section = self._section(event.turn.session)
                section.items.append(self._turn(event))
        if kind == "header":
            shared.title = lines[0] if lines else ""
            shared.facts = [fact for line in lines[1:] for fact in line.split("  ")]
        elif kind == "session.started":
            head = lines.pop() if lines else ""
            self._loose(lines)
            shared.sections.append(SharedSection(_number(record), head))
        elif kind == "session.ended" and lines:
            self._section(_number(record)).end = lines.pop()
            self._loose(lines)
        elif kind == "conversation.ended":
            shared.closing += lines
        else:
            self._loose(lines)

    def _loose(self, lines: list[str]) -> None:
        if not lines:
            return
        if not self._shared.sections:
            self._shared.sections.append(SharedSection(0, ""))
        self._shared.sections[-1].items += lines

    def _section(self, number: int) -> SharedSection:
        """The last section, if it is of this session; else a new one."""
        sections = self._shared.sections
        if not sections or sections[-1].number != number:
            session = self._log.transcript.session(number)
            name = visible_line(session.session_type, 80) if session is not None else ""
            sections.append(SharedSection(number, f"session {number}{f': {name}' if name else ''}"))
        return sections[-1]

    def _leave_out(self) -> None:
        """Drops what is around the turns that were asked for."""
        if not self._ranges.ranges:
            return
        shared = self._shared
        shared.sections = [section for section in shared.sections if section.turns]
        shared.excerpt = "only turns " + ", ".join(
            f"{_written(first)} to {_written(last)}" if first != last else _written(first)
            for first, last in self._ranges.ranges
        )

    # --- turns

    def _turn(self, said: SaidTurn) -> SharedTurn:
        turn = self._log.transcript.find(*_at(said.turn)) or said.turn
        sign, role = turn_sign(said.turn if said.struck else turn)
        detail = turn_detail(self._log, turn)
        attempt = said.turn.attempt
        records = [r for r in detail.records if (r.get("attempt") or attempt) == attempt]
        detail.records = records
        raw = all_rounds(*rounds_of(records))
        # Where nothing was said the printer has words for that.
        shown = visible(said.turn.text) if said.text is not None else ""
        differs = raw is not None and visible(raw) != shown
        thoughts = [r["reasoning"] for r in records if isinstance(r.get("reasoning"), str)]
        return SharedTurn(
            address=turn.address,
            speaker=visible_line(turn.speaker, 40),
            sign=sign,
            role=role,
            text=said.text,
            struck=said.struck,
            marks=tuple((text, _role(text, code)) for text, code in said.marks),
            raw=visible(raw) if raw is not None and differs else None,
            shown=shown,
            reasoning=visible("\n\n".join(thoughts)),
            tools=tuple(self._tool(use) for use in tool_uses(detail)),
            stages=tuple(_stages(records)),
            notes=tuple(_notes(self._notes.on(*_at(turn)))),
            interesting=bool(said.struck or turn.flags & int(INTERESTING)),
        )

    def _tool(self, use: ToolUse) -> SharedTool:
        returned = use.returned
        result: str | None = None
        if returned is not None:
            cut = use.cut is not None and use.seq is not None
            whole = whole_result(self._log.path, use.seq or 0) if cut else None
            result = whole if whole is not None else _data(returned.get("result"))
        arguments = use.raw_arguments if use.arguments is None else _data(use.arguments)
        return SharedTool(
            name=visible_line(use.name or "?", 120),
            arguments=visible(arguments),
            state=_state(use),
            failed=use.state in ("failed", "denied", "cancelled"),
            result=None if result is None else visible(result),
            round=use.round,
        )


def _at(turn: Turn) -> tuple[int, int]:
    return turn.session, turn.number


def _written(address: tuple[int, int]) -> str:
    return f"{address[0]}:{address[1]}"


def _number(record: RecordDict) -> int:
    number = record.get("session")
    return number if isinstance(number, int) else 1


def _role(text: str, code: str) -> str:
    for start, role in _MARK_ROLES.items():
        if text.startswith(start):
            return role
    return _ROLES.get(code, "warning")


def _stages(records: list[RecordDict]) -> Iterator[str]:
    for record in records:
        if record.get("type") not in _WAITS:
            line = stage_line(record)
            if line is not None:
                yield visible_line(line)


def _data(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


def _state(use: ToolUse) -> str:
    """How a call went, in words."""
    cut = ", truncated" if use.cut is not None else ""
    if use.state == "ok":
        return f"ok{cut}"
    if use.state == "denied":
        reason = visible_line(str((use.denied or {}).get("reason") or ""), 200)
        return f"denied by hand{f': {reason}' if reason else ''}"
    if use.state == "cancelled":
        return "cancelled by hand"
    if use.state == "failed":
        return f"failed: {visible_line(use.error_kind, 60)}{cut}"
    return "no result on record"


def _notes(note: TurnNote) -> Iterator[str]:
    if note.mark:
        yield "marked"
    if note.note:
        yield f"note: {visible(note.note)}"
