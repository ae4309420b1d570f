"""Rounds of tools within a turn: held, approved, edited or denied, run, recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from convtui.engine.core.edits import Edits
from convtui.engine.core.gate import DENY, EDIT, GO, REDO, UNDO, Release
from convtui.engine.tools.base import ToolResult, denied
from convtui.engine.tools.tools import Toolbox
from convtui.engine.turn.context import TurnContext
from convtui.log.tool_arguments import decoded
from convtui.log.tool_results import ToolResultsFile
from convtui.models.base import Message, Reply, ToolCall
from convtui.models.calls import distinct
from convtui.records.models import HoldReason, ToolApproved, ToolCalled, ToolDenied, ToolReturned
from convtui.transcript.fold import Flag

MOST_CALLS: Final = 128
"""Tool calls of one reply that are run."""


@dataclasses.dataclass(slots=True, frozen=True)
class _Answer:
    """What an answer to a hold says about the calls of a round."""

    calls: list[ToolCall]
    """As they are to be made, those included that are not to be."""
    denied: list[ToolCall]
    reason: str = ""
    """Why they are denied."""


class ToolRounds:
    """Runs the tool calls of a reply."""

    def __init__(self, context: TurnContext, toolbox: Toolbox) -> None:
        self._context = context
        self._toolbox = toolbox
        self._whole = ToolResultsFile(context.journal.writer.path, context.journal.clean)

    @property
    def most(self) -> int:
        """How many rounds a turn may have."""
        return self._context.scenario.limits.max_tool_rounds

    async def refresh(self) -> None:
        """Takes in what tool servers have changed of their tools."""
        changed = await self._toolbox.refresh()
        if changed is not None:
            self._context.warn("tools_changed", f"the tools have changed; {changed}")

    async def run(
        self,
        edits: Edits,
        reply: Reply,
        raw: str,
        seq: int | None,
        number: int,
        *,
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
            self._context.warn(
                "too_many_calls",
                f"the reply calls {len(reply.tool_calls):,} tools at once: the first {MOST_CALLS}"
                " are run, the others are left out of what it is told",
            )
        made = {call.id: call.arguments for call in calls}
        calls = [
            dataclasses.replace(call, arguments=begun.get(call.id, call.arguments))
            for call in calls
        ]
        results: dict[str, ToolResult] = {}
        for call in calls:
            if call.id in known:
                results[call.id] = self._taken_over(call, known[call.id], seq, number)
        missing = [call for call in calls if call.id not in results]
        if missing:
            cut_off = [call for call in missing if call.id in begun]
            answer = await self._passed(edits, missing, cut_off, number)
            changed = {call.id: call for call in answer.calls}
            calls = [changed.get(call.id, call) for call in calls]
            for call in answer.denied:
                results[call.id] = self._denied(call, answer.reason, seq, number)
            allowed = [call for call in answer.calls if call.id not in results]
            edited = {call.id for call in allowed if call.arguments != made.get(call.id)}
            for result in await self._run(allowed, edited, seq, number):
                results[result.call.id] = result
        return [
            {
                "role": "assistant",
                "content": raw or None,
                "tool_calls": [call.as_message() for call in calls],
            },
            *(results[call.id].as_message() for call in calls),
        ]

    # --- the gate

    async def _passed(
        self, edits: Edits, calls: list[ToolCall], cut_off: Sequence[ToolCall], number: int
    ) -> _Answer:
        """The calls as they are to be made, and which are denied."""
        because: HoldReason | None = None
        which = f"round {number} of {self.most}"
        detail = which
        waiting = self._toolbox.approval.needed(calls)
        if waiting:
            because = "tool_approval"
            detail = f"{which}: {_names(waiting)} may not run without approval"
        if cut_off:
            message = (
                f"{_names(cut_off)} had begun when the log ended; whether it did its work is not"
                " known, and it is run again"
            )
            self._context.warn("tools_cut_off", message)
            if self._context.holds.watched:
                because, detail = "tool_approval", f"{which}: {message}"
        turn = self._context.journal.transcript.current
        if turn is not None:
            # `tool.called` comes after the hold, with what really runs; breakpoints look before.
            turn.flags |= Flag.TOOL
        texts = {call.id: call.arguments for call in calls}
        asked = because is not None
        while True:
            release = await self._context.holds.pass_through(
                "tools",
                drafts=partial(self._drafts, calls, texts, number),
                choices=(GO, DENY, EDIT, *edits.choices),
                because=because,
                detail=detail,
            )
            because = because or ("step" if release.choice != GO.id else None)
            if release.choice in (UNDO.id, REDO.id):
                again = release.choice == REDO.id
                edit = edits.redo() if again else edits.undo()
                text = edit.after if again else edit.before
                calls = [
                    dataclasses.replace(call, arguments=text) if call.id == edit.field else call
                    for call in calls
                ]
                texts = {call.id: call.arguments for call in calls}
                detail = f"{which}: {edit.redone if again else edit.undone}"
                continue
            answer = _answer(release, calls)
            if isinstance(answer, str):
                # What was typed is not lost: it is there to be put right.
                texts.update({k: v for k, v in release.edits.items() if k in texts})
                detail = answer
                continue
            _note(edits, calls, answer.calls)
            if release.choice == EDIT.id and not answer.denied:
                calls, texts = answer.calls, {call.id: call.arguments for call in answer.calls}
                detail = f"{which}: edited"
                continue
            self._record(release, answer, asked)
            edits.seal()
            return answer

    def _drafts(
        self, calls: Sequence[ToolCall], texts: Mapping[str, str], number: int
    ) -> list[dict[str, Any]]:
        return [
            {
                "field": call.id,
                "label": f"call of {call.name}",
                "text": texts[call.id],
                "tool": call.name,
                "round": number,
                "max_rounds": self.most,
            }
            for call in calls
        ]

    def _record(self, release: Release, answer: _Answer, asked: bool) -> None:
        if release.by != "human" or not (asked or release.choice in (DENY.id, EDIT.id)):
            return
        for call in answer.calls:
            if call not in answer.denied:
                self._context.journal.emit_here(ToolApproved, id=call.id, name=call.name)

    # --- calls and results

    async def _run(
        self, calls: list[ToolCall], edited: set[str], seq: int | None, number: int
    ) -> list[ToolResult]:
        if not calls:
            return []
        for call in calls:
            self._context.journal.emit_here(
                ToolCalled,
                round=number,
                call=seq,
                id=call.id,
                name=call.name,
                arguments=decoded(call.arguments),
                raw_arguments=call.arguments,
                edited=call.id in edited or None,
                max_rounds=self.most,
            )
        toolbox = self._toolbox
        with self._context.caller.busy_with(toolbox.cancel):
            return await toolbox.run(calls, lambda result: self._returned(result, seq, number))

    def _taken_over(
        self, call: ToolCall, kept: Mapping[str, Any], seq: int | None, number: int
    ) -> ToolResult:
        """A result that a log holds."""
        result = ToolResult(
            call,
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

    def _denied(self, call: ToolCall, reason: str, seq: int | None, number: int) -> ToolResult:
        self._context.journal.emit_here(
            ToolDenied,
            round=number,
            call=seq,
            id=call.id,
            name=call.name,
            reason=reason,
            arguments=decoded(call.arguments),
            raw_arguments=call.arguments,
        )
        result = denied(call, reason)
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
            self._context.warn(
                "tool_results",
                f"results that are too long for the log are not kept whole: {self._whole.broken}",
            )

    def _emit(self, result: ToolResult, seq: int | None, number: int, **more: Any) -> int:
        return self._context.journal.emit_here(
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


def _note(edits: Edits, calls: Sequence[ToolCall], edited: Sequence[ToolCall]) -> None:
    for before, after in zip(calls, edited, strict=True):
        if before.arguments != after.arguments:
            edits.note(
                after.id,
                before.arguments,
                after.arguments,
                "tools",
                name=f"the arguments of {after.name}",
            )


def _answer(release: Release, calls: Sequence[ToolCall]) -> _Answer | str:
    """What an answer says about the calls; or, as text, why it cannot be carried out."""
    if release.choice not in (EDIT.id, DENY.id):
        return _Answer(list(calls), [])
    edits = dict(release.edits)
    reason = str(edits.pop("reason", "") or "").strip()
    ids = [call.id for call in calls]
    denied_ids = edits.pop("deny", None)
    if denied_ids is None:
        denied_ids = ids if release.choice == DENY.id else []
    if not isinstance(denied_ids, list):
        return "deny is a list of calls"
    unknown = [str(name) for name in (*denied_ids, *edits) if name not in ids]
    if unknown:
        known = ", ".join(ids)
        return f"there is no call {unknown[0]!r} in this round; it has {known}"
    changed = []
    for call in calls:
        text = edits.get(call.id, call.arguments)
        if text == call.arguments or call.id in denied_ids:
            changed.append(call)
            continue
        problem = _problem(call, text)
        if problem is not None:
            return problem
        changed.append(dataclasses.replace(call, arguments=text))
    return _Answer(changed, [call for call in changed if call.id in denied_ids], reason)


def _problem(call: ToolCall, text: Any) -> str | None:
    """What is wrong with edited arguments; None for those that can be used."""
    import json

    if not isinstance(text, str):
        return f"the arguments of {call.name} ({call.id}) must be JSON text"
    if decoded(text) is not None:
        return None
    why = "they are not a JSON object"
    try:
        json.loads(text)
    except ValueError as error:
        why = f"they are no JSON: {error}"
    except RecursionError:
        why = "they nest too deep"
    return f"the arguments of {call.name} ({call.id}) cannot be used: {why}"


def _names(calls: Sequence[ToolCall]) -> str:
    return ", ".join(dict.fromkeys(call.name for call in calls))
