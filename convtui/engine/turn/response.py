"""Stage `response`: a raw reply is there; it is held where that is due, and may be edited."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from convtui.engine.calls.calls import CallResult
from convtui.engine.core.gate import AGAIN, EDIT, END, GO, RAISE, REDO, SKIP, UNDO, Choice, Release
from convtui.engine.turn.budget import BudgetGuard
from convtui.engine.turn.context import TurnContext
from convtui.records.models import HoldReason


class ResponseGate:
    """Passes the gate with a raw reply, after a look at the budget."""

    def __init__(self, table: TurnContext, budget: BudgetGuard) -> None:
        self._table = table
        self._budget = budget

    async def after(self, answer: CallResult) -> str:
        """The raw reply of a call, perhaps edited."""
        because, detail = self._budget.check()
        return await self.passed(answer.reply.text, because=because, detail=detail)

    async def passed(
        self,
        raw: str,
        *,
        because: HoldReason | None = None,
        detail: str = "",
        choices: tuple[Choice, ...] = (GO, EDIT, AGAIN, SKIP),
    ) -> str:
        """A raw reply, wherever it came from, perhaps edited."""
        edits = self._table.edits
        while True:
            offered = (*choices, *edits.choices)
            release = await self.hold(partial(_drafts, raw), offered, because, detail)
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
        *,
        answered: Callable[[Release], None] = lambda release: None,
    ) -> Release | None:
        """Passes the gate at this stage; None when the budget ends the session with this reply.

        `answered` is told of the answer first. Raises `AskAgainError` and `SkipTurnError`.
        """
        if because == "budget" and not await self._goes_on(detail, drafts):
            self._budget.end(detail)
            return None
        if because == "budget":
            because, detail = None, ""
        release = await self._table.gate.pass_through(
            self._table.point("response"),
            drafts=drafts,
            choices=choices,
            because=because,
            detail=detail,
        )
        answered(release)
        self._table.answer_common(release)
        return release

    async def _goes_on(self, detail: str, drafts: Callable[[], list[dict[str, Any]]]) -> bool:
        """Holds on a budget that was crossed; whether the conversation goes on all the same."""
        said = detail
        while True:
            release = await self._table.gate.wait(
                "budget",
                self._table.point("response"),
                [{"field": "limit", "label": "the new budget", "text": ""}, *drafts()],
                (RAISE, GO, END),
                detail=said,
                unattended=Release(END.id, by="policy"),
            )
            if release.choice != RAISE.id:
                return release.choice == GO.id
            wrong = self._budget.raise_to(release.edits.get("limit"))
            if wrong is None:
                return True
            said = f"{detail}; {wrong}"


def _drafts(raw: str) -> list[dict[str, Any]]:
    return [{"field": "raw", "label": "raw reply", "text": raw}]
