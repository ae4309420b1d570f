"""Holding at the stages after a reply: edits, overrides, failures, empty replies, endings."""

from __future__ import annotations

from typing import Any, Literal

from convtui.engine.core.edits import Edit
from convtui.engine.core.gate import (
    AGAIN,
    EDIT,
    END,
    FAIL,
    GO,
    KEEP,
    OVERRIDE,
    REDO,
    RETRY,
    SKIP,
    SUPPLY,
    UNDO,
    Choice,
    Release,
)
from convtui.engine.core.state import SessionState
from convtui.engine.turn.context import AskAgainError, TakenBackError, TurnContext, Utterance
from convtui.engine.turn.pipeline import StageResult
from convtui.errors import InterruptedRunError, ProviderError, UserSimulatorError
from convtui.providers.base import SignalMatch
from convtui.records.models import (
    DebugOverrode,
    HoldReason,
    ResponseProcessed,
    SignalsExtracted,
    Termination,
)
from convtui.text.boundary import one_line
from convtui.text_checks.incomplete import in_words
from convtui.transcript.fold import Flag, take_noticed

_EMPTY_RETRIES = 3
_END_HERE = Choice(OVERRIDE.id, "end here")
_GO_ON = Choice(OVERRIDE.id, "go on after it")


class StageGate:
    """Records what a stage gave and passes the gate with it."""

    def __init__(self, table: TurnContext) -> None:
        self._table = table
        self.empties = 0
        """How often an empty reply was asked for again in this turn."""
        self._said = ""
        """What to say at the next hold of what was edited at the last one."""
        self._shown: str | None = None
        """The edited text that stands again once the stages have run again."""
        self._ends: Termination | None = None
        """The ending that a human has decided on for this turn."""

    def begin(self) -> None:
        """An attempt begins."""
        self._said, self._shown, self._ends = "", None, None
        self._table.edits.begin()
        self._table.reconsider = None

    def record(self, draft: StageResult) -> None:
        """Writes the record of a stage that has run."""
        revision = draft.revision if draft.revision > 1 else None
        if draft.error is not None:
            return
        if draft.stage == "signals":
            self._table.journal.emit_here(
                SignalsExtracted,
                revision=revision,
                matches=[self._as_written(match, draft) for match in draft.matches],
                duration=round(draft.duration, 6),
                hook=draft.hook,
            )
        elif draft.stage == "post_process":
            self._table.journal.emit_here(
                ResponseProcessed,
                revision=revision,
                text=draft.text or "",
                changed=draft.text != draft.raw,
                duration=round(draft.duration, 6),
                hook=draft.hook,
                metadata=draft.metadata,
                interim=[part._asdict() for part in draft.interim] or None,
            )

    def _as_written(self, match: SignalMatch, draft: StageResult) -> dict[str, Any]:
        """A match, its span that in the text as it is written."""
        parts = (part.text for part in draft.interim if part.round == match.round)
        text = draft.raw if match.round is None else next(parts, "")
        start, end = self._table.journal.moved(match.start, match.end, text)
        return {**match.as_dict(), "start": start, "end": end}

    async def passed(
        self, draft: StageResult, session: SessionState, words: Utterance, holds_again: str | None
    ) -> str | None:
        """Holds at a stage where that is due; returns the stage that is to be held again.

        That is this very stage when the raw reply was edited: the stages before it run again and
        are not held.
        """
        if draft.error is not None:
            return await self._hook_failed(draft)
        if draft.stage == "post_process" and self._shown is not None:
            if draft.text != self._shown:
                self._table.edits.stands_again(draft.text or "", self._shown)
            draft.text, self._shown = self._shown, None
        if draft.rerun:
            return holds_again
        self._foresee(draft, words)
        # What comes instead of the stage at which the edit was made is held like that stage.
        because: HoldReason | None = "step" if holds_again is not None else None
        detail = (self._said or "edited") if because else ""
        self._said = ""
        choices: tuple[Choice, ...] = (GO, EDIT, AGAIN, SKIP)
        if draft.stage == "discard":
            choices = (GO, OVERRIDE, EDIT, AGAIN, SKIP)
        elif draft.stage == "commit" and because is None and self._acts_on_error(draft):
            return await self._error_text(draft)
        elif draft.stage == "commit" and draft.empty and because is None and not words.truncated:
            return await self._empty(draft, words)
        elif draft.stage == "terminate":
            return await self.ending(draft)
        if draft.stage == "commit":
            draft.ends = self._ends
        while True:
            release = await self._table.gate.pass_through(
                self._table.point(draft.stage),
                drafts=lambda: _drafts(draft),
                choices=(*choices, *self._end(draft), *self._table.edits.choices),
                because=because,
                detail=detail,
            )
            self._table.answer_common(release)
            if release.choice not in (OVERRIDE.id, EDIT.id, UNDO.id, REDO.id):
                return None
            self._said = "edited"
            if release.choice == OVERRIDE.id and draft.stage == "commit":
                self._override_ending(draft)
            elif release.choice == OVERRIDE.id:
                self._override_discard(draft)
            elif release.choice == UNDO.id:
                if self._undo(draft):
                    return draft.stage
            elif release.choice == REDO.id:
                if self._redo(draft):
                    return draft.stage
            elif self._apply_edits(draft, release):
                return draft.stage
            because, detail, self._said = "step", self._said, ""

    def _nothing_said(self, detail: str) -> ProviderError | UserSimulatorError:
        if self._table.journal.place.side == "persona":
            return UserSimulatorError(f"the persona's {detail}")
        return ProviderError(f"the provider's {detail}")

    def _foresee(self, draft: StageResult, words: Utterance) -> None:
        """Tells the engine's own fold what is about to be recorded, for breakpoints on it."""
        turn = self._table.journal.transcript.current
        if turn is not None and draft.error_text:
            turn.flags |= Flag.ERROR_TEXT
        if turn is not None and draft.stage == "discard":
            turn.flags = (turn.flags & ~Flag.DISCARDED) | (Flag.DISCARDED * bool(draft.discard))
        elif turn is not None and draft.stage == "commit":
            noticed = self._table.noticed(
                turn.session, turn.speaker, draft.said, words.interim, remember=False
            )
            turn.flags = (turn.flags & ~Flag.DISCARDED) | (Flag.EMPTY * draft.empty)
            take_noticed(turn, noticed)

    def _apply_edits(self, draft: StageResult, release: Release) -> bool:
        """Takes edits into a draft; whether stages have to run again for them."""
        text = release.edits.get("text")
        if isinstance(text, str) and draft.stage != "signals" and text != draft.text:
            self._table.edits.note("text", draft.text or "", text, draft.stage)
            draft.text = text
        raw = release.edits.get("raw")
        if isinstance(raw, str) and raw != draft.raw:
            shown = draft.text if self._table.edits.text_stands else None
            self._table.edits.note("raw", draft.raw, raw, draft.stage, shown=shown)
            draft.raw = raw
            return True
        return False

    def _override_discard(self, draft: StageResult) -> None:
        before = bool(draft.discard)
        last = self._table.edits.last
        if last is not None and last.field == "discard":
            self._table.edits.undo()
            self._table.edits.forget_undone()
        else:
            self._table.edits.note("discard", before, not before, "discard")
        draft.discard = not before
        self._said = f"overridden: {'dropped' if draft.discard else 'kept'}"
        if not draft.discard:
            self._said += ", would have been discarded"
        if last is not None and last.field == "discard":
            self._said = f"as the hook says: {'dropped' if draft.discard else 'kept'}"

    @staticmethod
    def _end(draft: StageResult) -> tuple[Choice, ...]:
        """The ending by hand, where a turn is about to be committed."""
        if draft.stage != "commit":
            return ()
        return (_END_HERE if draft.ends is None else _GO_ON,)

    def _override_ending(self, draft: StageResult) -> None:
        """The session ends after this turn though nothing ends it, or goes on after all."""
        edits = self._table.edits
        if edits.last is not None and edits.last.field == "ending":
            self._said = edits.undo().undone
            edits.forget_undone()
            draft.ends = self._ends = None
            return
        before = None if self._ends is None else self._ends.as_dict()
        self._ends = None
        self._said = "goes on after it"
        if before is None:
            self._ends = Termination(
                kind="stopped", by="human", reason="ended by hand", at_turn=self._table.number
            )
            self._said = "overridden: ends after this turn"
        after = None if self._ends is None else self._ends.as_dict()
        edits.note("ending", before, after, "commit")
        draft.ends = self._ends

    def _undo(self, draft: StageResult) -> bool:
        """Takes the last edit back; whether stages have to run again for that.

        Raises `TakenBackError` for one that changed what was made of a reply before the stages.
        """
        edit = self._table.edits.undo()
        self._said = edit.undone
        if self._is_before_stages(edit):
            self._table.edits.forget_undone()
            raise TakenBackError(edit.undone)
        if edit.field == "raw":
            draft.raw, self._shown = edit.before, edit.shown
            return True
        if edit.field == "discard" and draft.stage != "discard":
            draft.back = "discard"
            return True
        if edit.field == "ending":
            draft.ends = self._ends = _ending(edit.before)
        elif edit.field == "discard":
            draft.discard = edit.before
        elif edit.field == "text":
            draft.text = edit.before
        return False

    def _redo(self, draft: StageResult) -> bool:
        """Makes an edit again that was taken back; whether stages have to run again for that."""
        edit = self._table.edits.redo()
        self._said = edit.redone
        if edit.field == "raw":
            draft.raw = edit.after
            return True
        if edit.field == "text" and draft.stage != "signals":
            draft.text = edit.after
        elif edit.field == "ending" and draft.stage == "commit":
            draft.ends = self._ends = _ending(edit.after)
        elif edit.field == "discard" and draft.stage == "discard":
            draft.discard = edit.after
        return False

    def _is_before_stages(self, edit: Edit) -> bool:
        if self._table.reconsider is None:
            return False
        persona = self._table.journal.place.side == "persona"
        return edit.field == "decision" or (
            persona and edit.field == "raw" and edit.stage == "response"
        )

    async def _empty(self, draft: StageResult, words: Utterance) -> str | None:
        """A reply that says nothing, about to be committed.

        A persona's "?" is flagged and said: people write such things.
        """
        if self._table.journal.place.side == "persona" and (draft.text or "").strip():
            return None
        if words.human:
            return None
        policy = self._table.scenario.on_empty
        if policy == "keep":
            return None
        if policy == "retry" and self.empties < _EMPTY_RETRIES:
            self.empties += 1
            raise AskAgainError
        why = _why_empty(words, draft.text or "")
        await self._ask_before_commit(
            draft, "empty", policy, f"reply is empty{why}", f"the reply says nothing{why}"
        )
        return None

    async def _ask_before_commit(
        self,
        draft: StageResult,
        what: Literal["empty", "error_text"],
        policy: str,
        problem: str,
        detail: str,
    ) -> Release | None:
        """What the setting `on_WHAT` says about a reply, if need be asked; None: as it stands."""
        if policy == "fail":
            raise self._nothing_said(f"{problem} (on_{what}: fail)")
        if not self._table.gate.watched:
            if self._table.gate.on_pause == "continue":
                return None
            side = self._table.journal.place.side
            raise InterruptedRunError(f"the {side}'s {problem} (on_{what}: {policy})")
        release = await self._table.gate.wait(
            what,
            self._table.point("commit"),
            _drafts(draft),
            (AGAIN, KEEP, SUPPLY, SKIP, FAIL),
            detail=detail,
        )
        self._table.answer_common(release)
        if release.choice == FAIL.id:
            raise self._nothing_said(problem)
        if release.choice == SUPPLY.id:
            text = str(release.edits.get("text", release.edits.get("raw", "")))
            self._table.edits.note("text", draft.text or "", text, draft.stage, final=True)
            draft.text = text
        else:
            self._table.journal.emit_here(DebugOverrode, what=what, before="pause", after="keep")
        return release

    def _acts_on_error(self, draft: StageResult) -> bool:
        """Whether something is to be done about a reply that is the text of an error.

        A signal in it was declared for that: it does what signals do.
        """
        return (
            draft.error_text is not None
            and self._on_error_text != "keep"
            and not any(match.counts for match in draft.matches)
        )

    @property
    def _on_error_text(self) -> str:
        watched = "pause" if self._table.gate.watched else "keep"
        return self._table.scenario.on_error_text or watched

    async def _error_text(self, draft: StageResult) -> str | None:
        """A reply that is the text of an error, about to be committed."""
        said = draft.error_text or ""
        release = await self._ask_before_commit(
            draft,
            "error_text",
            self._on_error_text,
            f"reply is the text of an error: {said}",
            said,
        )
        if release is not None and release.choice == SUPPLY.id:
            draft.error_text = None
        return None

    async def ending(self, draft: StageResult) -> str | None:
        """Stage `terminate`: in the debugger every ending can be overridden in place."""
        termination = draft.termination
        assert termination is not None
        pauses = (
            termination.signal is not None
            and self._table.scenario.signal_action(termination.signal) == "pause"
        )
        if not self._table.gate.watched:
            if pauses and self._table.gate.on_pause != "continue":
                raise InterruptedRunError(
                    f"signal {termination.signal} pauses (on_signal)", termination.signal
                )
            if pauses:
                draft.termination = None
            return None
        release = await self._table.gate.wait(
            "ending",
            self._table.point("terminate"),
            [{"field": "termination", "label": "ending", "text": termination.reason}],
            (END, OVERRIDE, *self._table.edits.choices),
            detail=f"{termination.kind} by {termination.by}: {termination.reason}",
        )
        if release.choice == UNDO.id:
            edit = self._table.edits.undo()
            self._table.edits.forget_undone()
            raise TakenBackError(edit.undone)
        if release.choice == OVERRIDE.id:
            seq = self._table.journal.emit_here(
                DebugOverrode, what="ending", before=termination.as_dict(), after=None
            )
            self._table.overridden = (seq, termination, self._table.journal.place.fields())
            draft.termination = None
        return None

    async def _hook_failed(self, draft: StageResult) -> str | None:
        error = draft.error
        assert error is not None
        release = await self._table.failed(error, stage=draft.stage, drafts=_drafts(draft))
        self._table.answer_common(release)
        if release.choice == RETRY.id:
            draft.again = True
        elif release.choice == SUPPLY.id:
            draft.error = None
            if draft.stage == "post_process":
                text = str(release.edits.get("text", draft.raw))
                self._table.edits.note("text", draft.raw, text, draft.stage, final=True)
                draft.text = text
            elif draft.stage == "discard":
                draft.discard = False
            self.record(draft)
        return None


def _ending(told: dict[str, Any] | None) -> Termination | None:
    return None if told is None else Termination(**told)


def _why_empty(words: Utterance, text: str) -> str:
    """Which kind of nothing a reply is, where that is known."""
    if words.incomplete:
        return f": {in_words(words.incomplete, words.finish_reason)}"
    if words.parts:
        return f": there is no text in it, only {', '.join(words.parts)}"
    if words.interim:
        return ": all that was said stands beside its tool calls (interim: say counts that as said)"
    if text.strip():
        return f": {one_line(text, 40)!r} has no letter and no digit"
    return ""


def _drafts(draft: StageResult) -> list[dict[str, Any]]:
    drafts = [{"field": "raw", "label": "raw reply", "text": draft.raw}]
    if draft.text is not None and draft.stage != "signals":
        drafts.insert(0, {"field": "text", "label": "what is said", "text": draft.text})
    if draft.stage == "discard":
        word = "drop" if draft.discard else "keep"
        drafts.append({"field": "verdict", "label": "should_discard_response()", "text": word})
    return drafts
