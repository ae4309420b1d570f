"""Stage `response`: the hold at which a raw reply can be edited."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from convtui.engine.core.edits import Edits
from convtui.engine.core.gate import AGAIN, EDIT, END, GO, RAISE, REDO, SKIP, UNDO, Choice, Release
from convtui.engine.turn.budget import BudgetGuard
from convtui.engine.turn.holds import Holds, given_up
from convtui.engine.turn.outcomes import GivenUp
from convtui.records.models import HoldReason


class ResponseStage:
    """Holds raw replies, of either side."""

    def __init__(self, holds: Holds, budget: BudgetGuard) -> None:
        self._holds = holds
        self._budget = budget

    async def passed(
        self, raw: str, edits: Edits, *, because: HoldReason | None = None, detail: str = ""
    ) -> str | GivenUp:
        """The raw reply after the hold, possibly edited."""
        if because is None and not self._holds.may_hold:
            return raw
        while True:
            choices = (GO, EDIT, AGAIN, SKIP, *edits.choices)
            release = await self.hold(partial(_drafts, raw), choices, because, detail)
            if isinstance(release, GivenUp):
                return release
            if release is None or release.choice not in (EDIT.id, UNDO.id, REDO.id):
                return raw
            because = "step" if because in (None, "budget") else because
            detail = "edited"
            if release.choice == UNDO.id:
                edit = edits.undo()
                raw, detail = edit.before, edit.undone
            elif release.choice == REDO.id:
                edit = edits.redo()
                raw, detail = edit.after, edit.redone
            else:
                edited = str(release.edits.get("raw", raw))
                edits.note("raw", raw, edited, "response")
                raw = edited

    async def hold(
        self,
        drafts: Callable[[], list[dict[str, Any]]],
        choices: tuple[Choice, ...],
        because: HoldReason | None = None,
        detail: str = "",
    ) -> Release | GivenUp | None:
        """Holds where that is due; None when the budget ends the session with this reply."""
        if because == "budget" and not await self._goes_on(detail, drafts):
            self._budget.end(detail)
            return None
        if because == "budget":
            because, detail = None, ""
        release = await self._holds.pass_through(
            "response", drafts=drafts, choices=choices, because=because, detail=detail
        )
        return given_up(release) or release

    async def _goes_on(self, exceeded: str, drafts: Callable[[], list[dict[str, Any]]]) -> bool:
        """Holds on an exceeded budget; returns whether the conversation goes on."""
        detail = exceeded
        while True:
            release = await self._holds.wait(
                "budget",
                "response",
                [{"field": "limit", "label": "the new budget", "text": ""}, *drafts()],
                (RAISE, GO, END),
                detail=detail,
                unattended=Release(END.id, by="policy"),
            )
            if release.choice != RAISE.id:
                return release.choice == GO.id
            problem = self._budget.raise_to(release.edits.get("limit"))
            if problem is None:
                return True
            detail = f"{exceeded}; {problem}"


def _drafts(raw: str) -> list[dict[str, Any]]:
    return [{"field": "raw", "label": "raw reply", "text": raw}]
