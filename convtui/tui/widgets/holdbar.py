"""The hold bar: why the engine is holding, where, and the possible answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from convtui.log.tool_uses import ToolUse, waiting_uses
from convtui.printing.turn_sign import decision_sign
from convtui.text.boundary import visible_line
from convtui.tui.drawing.labels import (
    decision_text,
    error_lines,
    hold_location,
    hold_reason,
)
from convtui.tui.widgets.keybar import KeyItem, Keys
from convtui.tui.widgets.transcript.tool_marks import short_arguments

if TYPE_CHECKING:
    from convtui.records.codec import RecordDict

_TALL = 24
"""Screen rows from which more than two calls are listed."""
FRAMES = 3
"""Stack frames shown; the inspector has all of them."""


def choices_of(hold: RecordDict | None) -> list[tuple[str, str]]:
    """The choices of a hold as (id, label)."""
    choices: list[tuple[str, str]] = []
    for choice in (hold or {}).get("choices") or ():
        if isinstance(choice, dict) and choice.get("id"):
            identity = str(choice["id"])
            choices.append((identity, visible_line(str(choice.get("label") or identity), 40)))
    return choices


def decision_of(hold: RecordDict) -> dict[str, Any] | None:
    """The responder's decision that is held, if it is one."""
    for draft in hold.get("drafts") or ():
        if isinstance(draft, dict) and isinstance(draft.get("decision"), dict):
            return dict(draft["decision"])
    return None


def estimate_of(hold: RecordDict) -> str:
    """The estimated usage of a call that is held before it is made."""
    for draft in hold.get("drafts") or ():
        if isinstance(draft, dict) and draft.get("field") == "estimate":
            return str(draft.get("text") or "")
    return ""


def _short(hold: RecordDict) -> RecordDict:
    """The hold without the names of its tool calls, which are listed below."""
    detail = str(hold.get("detail") or "")
    if detail.endswith("may not run without approval"):
        return {**hold, "detail": detail.partition(":")[0]}
    return hold


def calls_of(hold: RecordDict) -> list[ToolUse]:
    """The tool calls that are held before they run."""
    return waiting_uses(hold.get("drafts") or ()) if hold.get("stage") == "tools" else []


class _Line(Static):
    """A text that is laid out again only when it changes: an engine that holds sends heartbeats."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._shown: Content | None = None

    def show(self, content: Content) -> None:
        if self._shown is None or not content.is_same(self._shown):
            self._shown = content
            self.update(content)


class HoldBar(Vertical):
    """Shows why the engine is holding and how to answer."""

    DEFAULT_CSS = """
    HoldBar { height: auto; max-height: 12; display: none; }
    HoldBar.-held { display: block; }
    HoldBar Static { height: auto; width: 1fr; }
    HoldBar #hold-reason { max-height: 3; }
    HoldBar #hold-decision { max-height: 2; }
    HoldBar #hold-calls { max-height: 5; }
    HoldBar #hold-estimate { max-height: 2; color: $text-muted; }
    HoldBar #hold-error { max-height: 4; }
    """

    def compose(self):  # type: ignore[no-untyped-def]
        yield _Line(id="hold-reason")
        yield _Line(id="hold-decision")
        yield _Line(id="hold-calls")
        yield _Line(id="hold-estimate")
        yield _Line(id="hold-error")
        yield Keys(id="hold-choices")

    def show(self, hold: RecordDict | None, choices: Sequence[KeyItem] = ()) -> None:
        """Shows a hold with the keys that answer it; None hides the bar."""
        self.set_class(hold is not None, "-held")
        if hold is None:
            self.query_one(Keys).items = ()
            return
        error: dict[str, Any] | None = hold.get("error")
        bad = bool(error) or hold.get("reason") == "error"
        self.set_class(bad, "-error")
        mark = "bold reverse $text-error" if bad else "bold reverse $text-warning"
        calls = calls_of(hold)
        reason = hold_reason(_short(hold) if calls else hold)
        self.query_one("#hold-reason", _Line).show(
            Content.assemble(
                (" HELD ", mark),
                (f" {hold_location(hold)} ", "bold"),
                (reason, ""),
            )
        )
        self._show_decision(decision_of(hold), reason)
        self._show_calls(calls)
        self._show_estimate(hold)
        message, frames = error_lines(error)
        if error is not None and visible_line(str(error.get("message") or "-"), 2000) in reason:
            message = ""
        # The last line of a traceback is the exception, which the reason names.
        frames = [frame for frame in frames if frame not in reason]
        failure = self.query_one("#hold-error", _Line)
        failure.display = bool(message or frames)
        lines = [*([message] if message else []), *(f"  {line}" for line in frames[-FRAMES:])]
        failure.show(Content("\n".join(lines)).stylize("$text-error", 0, len(message)))
        self.query_one(Keys).items = choices

    def _show_calls(self, calls: Sequence[ToolUse]) -> None:
        line = self.query_one("#hold-calls", _Line)
        line.display = bool(calls)
        room = 4 if self.app.size.height >= _TALL else 2
        shown = calls if len(calls) <= room else calls[: room - 1]
        width = max(20, self.app.size.width - 6)
        parts: list[tuple[str, str]] = []
        for number, use in enumerate(shown, 1):
            name = visible_line(use.name, 40)
            given = short_arguments(use, max(8, width - len(name) - 6))
            parts += [("\n" if parts else "", ""), (f"{number} ", "$text-muted")]
            parts += [(name, "bold"), (f"({given})", "")]
        if len(shown) < len(calls):
            parts.append((f"\n… {len(calls) - len(shown)} more in the Tools tab", ""))
        line.show(Content.assemble(*parts))

    def _show_estimate(self, hold: RecordDict) -> None:
        line = self.query_one("#hold-estimate", _Line)
        text = estimate_of(hold)
        line.display = bool(text)
        line.show(Content(visible_line(text, 400)))

    def _show_decision(self, decision: dict[str, Any] | None, reason: str) -> None:
        line = self.query_one("#hold-decision", _Line)
        line.display = decision is not None
        if decision is None:
            return
        kind = str(decision.get("kind", ""))
        text = visible_line(decision_text(decision), 300)
        tool = visible_line(str(decision.get("tool") or "no tool was called"), 40)
        head = f"{decision_sign(kind)[0]} {visible_line(kind, 20)}"
        text = f": {text}" if text and text not in reason else ""
        line.show(Content.assemble((head, "bold"), (f" ({tool})", "$text-muted"), text))
