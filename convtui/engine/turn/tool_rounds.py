"""Rounds of tools within a turn: held, approved, edited or denied, run, recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from convtui.engine.core.gate import DENY, EDIT, GO, REDO, UNDO, Release
from convtui.engine.tools.base import ToolResult, denied
from convtui.engine.turn.context import TurnContext
from convtui.log.tool_arguments import decoded
from convtui.log.tool_results import ToolResultsFile
from convtui.models.base import Message, Reply, ToolCall
from convtui.models.calls import distinct
from convtui.records.models import HoldReason, ToolApproved, ToolCalled, ToolDenied, ToolReturned
from convtui.transcript.fold import Flag

MOST_CALLS: Final = 128
"""Tool calls of one reply that are run."""


class _WrongEditError(ValueError):
    """An answer to a hold that cannot be carried out; the text says why."""


class ToolRounds:
    """Runs the tool calls of a reply."""

    def __init__(self, table: TurnContext) -> None:
        self._table = table
        self._whole = ToolResultsFile(table.journal.writer.path, table.journal.clean)

    @property
    def most(self) -> int:
        """How many rounds a turn may have."""
        return self._table.scenario.limits.max_tool_rounds

    async def refresh(self) -> None:
        """Takes in what tool servers have changed of their tools."""
        changed = await self._table.toolbox.refresh()
        if changed is not None:
            self._table.warn("tools_changed", f"the tools have changed; {changed}")

    async def run(
        self,
        reply: Reply,
        raw: str,
        seq: int | None,
        number: int,
        before: Mapping[str, Any] | None = None,
    ) -> list[Message]:
        """One round: the messages that it adds to the chat.

        `raw` is the text of the reply, `seq` that of its request. `before` is what a log says of
        the same round (see `ToolMemory.open_round`): results that it holds are taken from there,
        calls that had begun and have none are run again, which is never done in silence.
        """
        known: Mapping[str, Any] = (before or {}).get("results", {})
        begun: Mapping[str, str] = (before or {}).get("begun", {})
        calls = distinct(reply.tool_calls[:MOST_CALLS])
        if len(calls) < len(reply.tool_calls):
            self._table.warn(
                "too_many_calls",
                f"the reply calls {len(reply.tool_calls):,} tools at once: the first {MOST_CALLS}"
                " are run, the others are left out of what it is told",
            )
        made = {each.id: each.arguments for each in calls}
        calls = [
            dataclasses.replace(each, arguments=begun.get(each.id, each.arguments))
            for each in calls
        ]
        results: dict[str, ToolResult] = {}
        for each in calls:
            if each.id in known:
                results[each.id] = self._taken_over(each, known[each.id], seq, number)
        missing = [each for each in calls if each.id not in results]
        if missing:
            cut_off = [each for each in missing if each.id in begun]
            missing, refused = await self._passed(missing, cut_off, number)
            changed = {each.id: each for each in missing}
            calls = [changed.get(each.id, each) for each in calls]
            edited = {each.id for each in missing if each.arguments != made.get(each.id)}
            for each, reason in refused:
                results[each.id] = self._denied(each, reason, seq, number)
            for result in await self._run(
                [each for each in missing if each.id not in results], edited, seq, number
            ):
                results[result.call.id] = result
        return [
            {
                "role": "assistant",
                "content": raw or None,
                "tool_calls": [each.as_message() for each in calls],
            },
            *(results[each.id].as_message() for each in calls),
        ]

    # --- the gate

    async def _passed(
        self, calls: list[ToolCall], cut_off: Sequence[ToolCall], number: int
    ) -> tuple[list[ToolCall], list[tuple[ToolCall, str]]]:
        """The calls as they are to be made, and those of them that are denied, with the reason."""
        because: HoldReason | None = None
        place = f"round {number} of {self.most}"
        detail = place
        waiting = self._table.toolbox.approval.needed(calls)
        if waiting:
            because = "tool_approval"
            detail = f"{place}: {_names(waiting)} may not run without approval"
        if cut_off:
            told = (
                f"{_names(cut_off)} had begun when the log ended; whether it did its work is not"
                " known, and it is run again"
            )
            self._table.warn("tools_cut_off", told)
            if self._table.gate.watched:
                because, detail = "tool_approval", f"{place}: {told}"
        turn = self._table.journal.transcript.current
        if turn is not None:
            # `tool.called` comes after the hold, with what really runs; breakpoints look before.
            turn.flags |= Flag.TOOL
        texts = {each.id: each.arguments for each in calls}
        asked = because
        edits = self._table.edits
        while True:
            release = await self._table.gate.pass_through(
                self._table.point("tools"),
                drafts=partial(self._drafts, calls, texts, number),
                choices=(GO, DENY, EDIT, *edits.choices),
                because=because,
                detail=detail,
            )
            if release.choice in (UNDO.id, REDO.id):
                again = release.choice == REDO.id
                edit = edits.redo() if again else edits.undo()
                text = edit.after if again else edit.before
                calls = [
                    dataclasses.replace(each, arguments=text) if each.id == edit.field else each
                    for each in calls
                ]
                texts = {each.id: each.arguments for each in calls}
                because = because or "step"
                detail = f"{place}: {edit.redone if again else edit.undone}"
                continue
            try:
                edited, refused = _answer(release, calls)
            except _WrongEditError as error:
                # What was typed is not lost: it is there to be put right.
                texts.update({k: v for k, v in release.edits.items() if k in texts})
                because, detail = because or "step", str(error)
                continue
            self._note(calls, edited)
            if release.choice == EDIT.id and not refused:
                calls, texts = edited, {each.id: each.arguments for each in edited}
                because, detail = because or "step", f"{place}: edited"
                continue
            self._record(release, edited, refused, asked is not None)
            edits.seal()
            return edited, refused

    def _drafts(
        self, calls: Sequence[ToolCall], texts: Mapping[str, str], number: int
    ) -> list[dict[str, Any]]:
        return [
            {
                "field": each.id,
                "label": f"call of {each.name}",
                "text": texts[each.id],
                "tool": each.name,
                "round": number,
                "max_rounds": self.most,
            }
            for each in calls
        ]

    def _note(self, calls: Sequence[ToolCall], edited: Sequence[ToolCall]) -> None:
        for before, after in zip(calls, edited, strict=True):
            if before.arguments != after.arguments:
                self._table.edits.note(
                    after.id,
                    before.arguments,
                    after.arguments,
                    "tools",
                    name=f"the arguments of {after.name}",
                )

    def _record(
        self,
        release: Release,
        edited: Sequence[ToolCall],
        refused: Sequence[tuple[ToolCall, str]],
        asked: bool,
    ) -> None:
        if release.by != "human" or not (asked or release.choice in (DENY.id, EDIT.id)):
            return
        no = {each.id for each, _ in refused}
        for each in edited:
            if each.id not in no:
                self._table.journal.emit_here(ToolApproved, id=each.id, name=each.name)

    # --- calls and results

    async def _run(
        self, calls: list[ToolCall], edited: set[str], seq: int | None, number: int
    ) -> list[ToolResult]:
        if not calls:
            return []
        for each in calls:
            self._table.journal.emit_here(
                ToolCalled,
                round=number,
                call=seq,
                id=each.id,
                name=each.name,
                arguments=decoded(each.arguments),
                raw_arguments=each.arguments,
                edited=each.id in edited or None,
                max_rounds=self.most,
            )
        toolbox = self._table.toolbox
        with self._table.caller.busy_with(toolbox.cancel):
            return await toolbox.run(calls, lambda result: self._returned(result, seq, number))

    def _taken_over(
        self, each: ToolCall, kept: Mapping[str, Any], seq: int | None, number: int
    ) -> ToolResult:
        """A result that a log holds."""
        result = ToolResult(
            each,
            bool(kept.get("ok")),
            kept.get("result"),
            error_kind=kept.get("error_kind"),
            duration=float(kept.get("duration") or 0.0),
        )
        self._emit(
            result, seq, number,
            truncated=kept.get("truncated"), size=kept.get("size"), reused=kept.get("reused"),
        )  # fmt: skip
        return result

    def _denied(self, each: ToolCall, reason: str, seq: int | None, number: int) -> ToolResult:
        self._table.journal.emit_here(
            ToolDenied,
            round=number,
            call=seq,
            id=each.id,
            name=each.name,
            reason=reason,
            arguments=decoded(each.arguments),
            raw_arguments=each.arguments,
        )
        result = denied(each, reason)
        self._emit(result, seq, number)
        return result

    def _returned(self, result: ToolResult, seq: int | None, number: int) -> None:
        if result.whole is None:
            self._emit(result, seq, number)
            return
        placed = self._emit(result, seq, number, truncated=True, size=len(result.whole))
        if self._whole.broken is None and not self._whole.add(
            placed, result.call.id, result.call.name, result.whole
        ):
            self._table.warn(
                "tool_results",
                f"results that are too long for the log are not kept whole: {self._whole.broken}",
            )

    def _emit(self, result: ToolResult, seq: int | None, number: int, **more: Any) -> int:
        return self._table.journal.emit_here(
            ToolReturned,
            round=number,
            call=seq,
            id=result.call.id,
            name=result.call.name,
            ok=result.ok,
            result=result.body,
            error_kind=result.error_kind,
            duration=result.duration,
            **more,
        )


def _answer(
    release: Release, calls: Sequence[ToolCall]
) -> tuple[list[ToolCall], list[tuple[ToolCall, str]]]:
    """What an answer says about the calls. Raises `_WrongEditError`."""
    if release.choice not in (EDIT.id, DENY.id):
        return list(calls), []
    edits = dict(release.edits)
    reason = str(edits.pop("reason", "") or "").strip()
    ids = [each.id for each in calls]
    no = edits.pop("deny", None)
    if no is None:
        no = ids if release.choice == DENY.id else []
    if not isinstance(no, list):
        raise _WrongEditError("deny is a list of calls")
    unknown = [str(name) for name in (*no, *edits) if name not in ids]
    if unknown:
        known = ", ".join(ids)
        raise _WrongEditError(f"there is no call {unknown[0]!r} in this round; it has {known}")
    changed = []
    for each in calls:
        text = edits.get(each.id, each.arguments)
        if text != each.arguments and each.id not in no:
            _check(each, text)
            each = dataclasses.replace(each, arguments=text)  # noqa: PLW2901
        changed.append(each)
    return changed, [(each, reason) for each in changed if each.id in no]


def _check(each: ToolCall, text: Any) -> None:
    import json

    if not isinstance(text, str):
        raise _WrongEditError(f"the arguments of {each.name} ({each.id}) must be JSON text")
    if decoded(text) is not None:
        return
    why = "they are not a JSON object"
    try:
        json.loads(text)
    except ValueError as error:
        why = f"they are no JSON: {error}"
    except RecursionError:
        why = "they nest too deep"
    raise _WrongEditError(f"the arguments of {each.name} ({each.id}) cannot be used: {why}")


def _names(calls: Sequence[ToolCall]) -> str:
    return ", ".join(dict.fromkeys(each.name for each in calls))
