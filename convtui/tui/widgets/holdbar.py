"""The bar above the footer while the engine waits: why, where, and what can be answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from convtui.records import RecordDict
from convtui.text import visible_line
from convtui.tui.words import decision_sign, decision_text, error_lines, hold_reason, where

FRAMES = 3
"""Frames of the developer's code that are shown; the inspector has all of them."""


def choices_of(hold: RecordDict | None) -> list[tuple[str, str]]:
    """The choices of a hold as (id, label)."""
    found: list[tuple[str, str]] = []
    for choice in (hold or {}).get("choices") or ():
        if isinstance(choice, dict) and choice.get("id"):
            identity = str(choice["id"])
            found.append((identity, visible_line(str(choice.get("label") or identity), 40)))
    return found


def decision_of(hold: RecordDict) -> dict[str, Any] | None:
    """The responder's decision that is held, when it is one."""
    for draft in hold.get("drafts") or ():
        if isinstance(draft, dict) and isinstance(draft.get("decision"), dict):
            return dict(draft["decision"])
    return None


class HoldBar(Vertical):
    """Says that the engine waits, in words that a newcomer understands."""

    DEFAULT_CSS = """
    HoldBar { height: auto; max-height: 12; display: none; background: $surface;
              border-top: solid $warning; padding: 0 1; }
    HoldBar.-held { display: block; }
    HoldBar.-error { border-top: solid $error; }
    HoldBar Static { height: auto; width: 1fr; }
    HoldBar #hold-reason { max-height: 3; }
    HoldBar #hold-decision { max-height: 2; }
    HoldBar #hold-error { max-height: 4; }
    """

    def compose(self):  # type: ignore[no-untyped-def]
        """Four parts: the reason, the decision, the error, the choices."""
        yield Static(id="hold-reason", markup=False)
        yield Static(id="hold-decision", markup=False)
        yield Static(id="hold-error", markup=False)
        yield Static(id="hold-choices", markup=False)

    def show(
        self,
        hold: RecordDict | None,
        keys: Mapping[str, str] | None = None,
        more: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Shows a hold; None puts the bar away.

        `keys` are the letters of choices, by id; `more` are keys with what they do here.
        """
        self.set_class(hold is not None, "-held")
        if hold is None:
            return
        error: dict[str, Any] | None = hold.get("error")
        bad = bool(error) or hold.get("reason") == "error"
        self.set_class(bad, "-error")
        mark = "bold reverse $text-error" if bad else "bold reverse $text-warning"
        told = hold_reason(hold)
        self.query_one("#hold-reason", Static).update(
            Content.assemble(
                (" HELD ", mark),
                (f" {where(hold)} ", "bold"),
                (told, ""),
            )
        )
        self._show_decision(decision_of(hold), told)
        message, frames = error_lines(error)
        if error is not None and visible_line(str(error.get("message") or "-"), 2000) in told:
            message = ""
        failure = self.query_one("#hold-error", Static)
        failure.display = bool(message or frames)
        lines = [*([message] if message else []), *(f"  {line}" for line in frames[-FRAMES:])]
        failure.update(Content("\n".join(lines)).stylize("$text-error", 0, len(message)))
        parts: list[tuple[str, str]] = []
        for number, (identity, label) in enumerate(choices_of(hold), 1):
            key = "enter" if number == 1 else str(number)
            letter = (keys or {}).get(identity, "")
            if letter:
                key = f"{key} or {letter}"
            parts += [(key, "bold $text-accent"), (f" {label}   ", "")]
        for key, label in more:
            parts += [(key, "bold $text-accent"), (f" {label}   ", "")]
        self.query_one("#hold-choices", Static).update(Content.assemble(*parts))

    def _show_decision(self, decision: dict[str, Any] | None, told: str) -> None:
        line = self.query_one("#hold-decision", Static)
        line.display = decision is not None
        if decision is None:
            return
        kind = str(decision.get("kind", ""))
        said = visible_line(decision_text(decision), 300)
        tool = visible_line(str(decision.get("tool") or "no tool was called"), 40)
        head = f"{decision_sign(kind)[0]} {visible_line(kind, 20)}"
        said = f": {said}" if said and said not in told else ""
        line.update(Content.assemble((head, "bold"), (f" ({tool})", "$text-muted"), said))
