"""Holds at the stages after a reply: edits, overrides, failed hooks, empty and error replies."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, Literal

from convtui.engine.core.edits import Edit
from convtui.engine.core.gate import (
    AGAIN,
    EDIT,
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
from convtui.engine.turn.context import Attempt, TurnContext
from convtui.engine.turn.holds import given_up
from convtui.engine.turn.outcomes import AskAgain, Ended, GivenUp, TakenBack
from convtui.engine.turn.pipeline import Hooks, StageResult
from convtui.engine.turn.terminate import TerminateStage
from convtui.engine.turn.utterance import Utterance
from convtui.errors import HookError, InterruptedRunError, ProviderError, UserSimulatorError
from convtui.providers.base import SignalMatch
from convtui.records.models import (
    DebugOverrode,
    HoldReason,
    ResponseProcessed,
    SignalsExtracted,
    Termination,
)
from convtui.text.boundary import one_line
from convtui.text_checks.error_texts import error_in, error_in_metadata
from convtui.text_checks.incomplete import in_words
from convtui.text_checks.text_checks import TextChecks
from convtui.transcript.fold import Flag, take_noticed

_EMPTY_RETRIES = 3
BY_HAND: Final = "by hand"
"""In a record's `hook`: the hook failed, and a human went on without it."""
_END_HERE = Choice(OVERRIDE.id, "end here")
_GO_ON = Choice(OVERRIDE.id, "go on after it")


class StageHolds:
    """Records the stages that one utterance goes through, and holds at each where that is due."""

    def __init__(
        self,
        context: TurnContext,
        attempt: Attempt,
        utterance: Utterance,
        *,
        hooks: Hooks,
        checks: TextChecks,
        terminate_stage: TerminateStage,
    ) -> None:
        self._context = context
        self._attempt = attempt
        self._edits = attempt.edits
        self._utterance = utterance
        self._hooks = hooks
        self._checks = checks
        self._terminate_stage = terminate_stage
        self._edited = False
        """Whether stages are running again because the reply was edited."""
        self._message = ""
        """Describes the last edit, for the next hold."""
        self._shown: str | None = None
        """An edited text to be restored once the stages have run again."""
        self._ends: Termination | None = None
        """The ending that a human chose for this turn."""

    def recorded(self, result: StageResult) -> bool | None:
        """Records the result of a stage; returns what `held()` would, or None: ask that.

        Most results are nothing to wait for.
        """
        if result.error is not None:
            return None
        self._record(result)
        self._show_again(result)
        if result.rerun:
            return False
        if result.stage in ("discard", "commit"):
            result.error_text = self._error_in(result)
        if self._edited or self._context.holds.may_hold:
            self._foresee(result)
            return None
        if result.stage == "terminate":
            return None
        if result.stage == "commit":
            if self._acts_on_error(result) or result.empty:
                return None
            result.ends = self._ends
        return True

    async def held(self, result: StageResult) -> bool | GivenUp | TakenBack:
        """Holds at a stage where that is due.

        True when the result stands, False when earlier stages are to run again.
        """
        if result.error is not None:
            self._edited = False
            return await self._hook_failed(result, result.error)
        if result.stage == "terminate":
            return await self._terminate(result)
        edited, self._edited = self._edited, False
        if result.stage == "commit" and not edited:
            if self._acts_on_error(result):
                return await self._error_text(result)
            if result.empty and not self._utterance.truncated:
                return await self._empty(result)
        return await self._hold(result, edited=edited)

    async def _hold(self, result: StageResult, *, edited: bool) -> bool | GivenUp | TakenBack:
        """Holds again after every change, until the answer is to go on.

        With `edited` it always holds: the stages have run again to get back here. Where the edit
        leads to another stage than before, that one is held instead.
        """
        if result.stage == "commit":
            result.ends = self._ends
        if not (edited or self._context.holds.may_hold):
            return True
        because: HoldReason | None = "step" if edited else None
        detail = self._message if edited else ""
        while True:
            release = await self._context.holds.pass_through(
                result.stage,
                drafts=partial(_drafts, result),
                choices=(*self._choices(result), *self._edits.choices),
                because=because,
                detail=detail,
            )
            outcome = given_up(release)
            if outcome is not None:
                return outcome
            if release.choice not in (OVERRIDE.id, EDIT.id, UNDO.id, REDO.id):
                return True
            self._message = "edited"
            runs_again = self._change(result, release)
            if isinstance(runs_again, TakenBack):
                return runs_again
            if runs_again:
                self._edited = True
                return False
            because, detail = "step", self._message

    @staticmethod
    def _choices(result: StageResult) -> tuple[Choice, ...]:
        if result.stage == "discard":
            return (GO, OVERRIDE, EDIT, AGAIN, SKIP)
        if result.stage == "commit":
            return (GO, EDIT, AGAIN, SKIP, _END_HERE if result.ends is None else _GO_ON)
        return (GO, EDIT, AGAIN, SKIP)

    def _record(self, result: StageResult) -> None:
        revision = result.revision if result.revision > 1 else None
        if result.stage == "signals":
            self._context.journal.emit_soon(
                SignalsExtracted,
                revision=revision,
                matches=[self._as_written(match, result) for match in result.matches],
                duration=round(result.duration, 6),
                hook=result.hook,
            )
        elif result.stage == "post_process":
            self._context.journal.emit_soon(
                ResponseProcessed,
                revision=revision,
                text=result.text or "",
                changed=result.text != result.raw,
                duration=round(result.duration, 6),
                hook=result.hook,
                metadata=result.metadata,
                interim=[part._asdict() for part in result.interim] or None,
            )

    def _as_written(self, match: SignalMatch, result: StageResult) -> dict[str, Any]:
        """A match whose span fits the text in the log, where secrets are masked."""
        parts = (part.text for part in result.interim if part.round == match.round)
        text = result.raw if match.round is None else next(parts, "")
        start, end = self._context.journal.moved(match.start, match.end, text)
        return {**match.as_dict(), "start": start, "end": end}

    def _show_again(self, result: StageResult) -> None:
        """Restores the edited text that an edit of the raw reply, undone now, had replaced."""
        if result.stage != "post_process" or self._shown is None:
            return
        if result.text != self._shown:
            self._edits.stands_again(result.text or "", self._shown)
        result.text, self._shown = self._shown, None

    def _foresee(self, result: StageResult) -> None:
        """Sets the flags that are about to be recorded, so that breakpoints can test them."""
        turn = self._context.journal.transcript.current
        if turn is None:
            return
        if result.error_text:
            turn.flags |= Flag.ERROR_TEXT
        if result.stage == "discard":
            turn.flags = (turn.flags & ~Flag.DISCARDED) | (Flag.DISCARDED * bool(result.discard))
        elif result.stage == "commit":
            noticed = self._checks.notice(
                turn.session, turn.speaker, result.said, self._utterance.interim, remember=False
            )
            turn.flags = (turn.flags & ~Flag.DISCARDED) | (Flag.EMPTY * result.empty)
            take_noticed(turn, noticed)

    # --- edits and overrides

    def _change(self, result: StageResult, release: Release) -> bool | TakenBack:
        """Applies the answer to a hold; returns whether stages have to run again."""
        if release.choice == OVERRIDE.id:
            if result.stage == "commit":
                self._override_ending(result)
            else:
                self._override_discard(result)
            return False
        if release.choice == UNDO.id:
            return self._undo(result)
        if release.choice == REDO.id:
            return self._redo(result)
        return self._apply_edits(result, release)

    def _apply_edits(self, result: StageResult, release: Release) -> bool:
        text = release.edits.get("text")
        if isinstance(text, str) and result.stage != "signals" and text != result.text:
            self._edits.note("text", result.text or "", text, result.stage)
            result.text = text
        raw = release.edits.get("raw")
        if isinstance(raw, str) and raw != result.raw:
            shown = result.text if self._edits.text_stands else None
            self._edits.note("raw", result.raw, raw, result.stage, shown=shown)
            result.raw = raw
            return True
        return False

    def _override_discard(self, result: StageResult) -> None:
        before = bool(result.discard)
        last = self._edits.last
        if last is not None and last.field == "discard":
            self._edits.undo()
            self._edits.forget_undone()
        else:
            self._edits.note("discard", before, not before, "discard")
        result.discard = not before
        verdict = "dropped" if result.discard else "kept"
        if last is not None and last.field == "discard":
            self._message = f"as the hook says: {verdict}"
        elif result.discard:
            self._message = f"overridden: {verdict}"
        else:
            self._message = f"overridden: {verdict}, would have been discarded"

    def _override_ending(self, result: StageResult) -> None:
        """Ends the session after this turn by hand, or takes that back."""
        edits = self._edits
        if edits.last is not None and edits.last.field == "ending":
            self._message = edits.undo().undone
            edits.forget_undone()
            result.ends = self._ends = None
            return
        before = None if self._ends is None else self._ends.as_dict()
        self._ends = None
        self._message = "goes on after it"
        if before is None:
            self._ends = Termination(
                kind="stopped", by="human", reason="ended by hand", at_turn=self._attempt.turn
            )
            self._message = "overridden: ends after this turn"
        after = None if self._ends is None else self._ends.as_dict()
        edits.note("ending", before, after, "commit")
        result.ends = self._ends

    def _undo(self, result: StageResult) -> bool | TakenBack:
        """Undoes the last edit; returns whether stages have to run again."""
        edit = self._edits.undo()
        self._message = edit.undone
        if self._is_before_stages(edit):
            self._edits.forget_undone()
            return TakenBack(edit.undone)
        if edit.field == "raw":
            result.raw, self._shown = edit.before, edit.shown
            return True
        if edit.field == "discard" and result.stage != "discard":
            result.back = "discard"
            return True
        if edit.field == "ending":
            result.ends = self._ends = _ending(edit.before)
        elif edit.field == "discard":
            result.discard = edit.before
        elif edit.field == "text":
            result.text = edit.before
        return False

    def _redo(self, result: StageResult) -> bool:
        """Redoes the edit undone last; returns whether stages have to run again."""
        edit = self._edits.redo()
        self._message = edit.redone
        if edit.field == "raw":
            result.raw = edit.after
            return True
        if edit.field == "text" and result.stage != "signals":
            result.text = edit.after
        elif edit.field == "ending" and result.stage == "commit":
            result.ends = self._ends = _ending(edit.after)
        elif edit.field == "discard" and result.stage == "discard":
            result.discard = edit.after
        return False

    def _is_before_stages(self, edit: Edit) -> bool:
        if self._attempt.reconsider is None:
            return False
        persona = self._attempt.speaker == "persona"
        return edit.field == "decision" or (
            persona and edit.field == "raw" and edit.stage == "response"
        )

    # --- empty replies and error texts

    async def _empty(self, result: StageResult) -> bool | GivenUp:
        """Applies `on_empty` to a reply without words.

        A persona's "?" is flagged and said: people write such things.
        """
        if self._attempt.speaker == "persona" and (result.text or "").strip():
            return True
        policy = self._context.scenario.on_empty
        if self._utterance.human or policy == "keep":
            return True
        if policy == "retry" and self._attempt.empties < _EMPTY_RETRIES:
            self._attempt.empties += 1
            return AskAgain()
        why = _why_empty(self._utterance, result.text or "")
        return await self._ask_before_commit(
            result, "empty", policy, f"reply is empty{why}", f"the reply says nothing{why}"
        )

    def _error_in(self, result: StageResult) -> str | None:
        """The error text in the provider's own reply or its metadata."""
        if self._attempt.speaker != "provider" or self._utterance.human:
            return None
        return error_text_of(result, {**self._utterance.metadata, **self._hooks.metadata()})

    def _acts_on_error(self, result: StageResult) -> bool:
        """Whether `on_error_text` applies to a reply.

        Where the reply has a declared signal, that decides what happens.
        """
        return (
            result.error_text is not None
            and self._on_error_text != "keep"
            and not any(match.counts for match in result.matches)
        )

    @property
    def _on_error_text(self) -> str:
        watched = "pause" if self._context.holds.watched else "keep"
        return self._context.scenario.on_error_text or watched

    async def _error_text(self, result: StageResult) -> bool | GivenUp:
        """Applies `on_error_text` to a reply."""
        error_text = result.error_text or ""
        return await self._ask_before_commit(
            result,
            "error_text",
            self._on_error_text,
            f"reply is the text of an error: {error_text}",
            error_text,
        )

    async def _ask_before_commit(
        self,
        result: StageResult,
        what: Literal["empty", "error_text"],
        policy: str,
        problem: str,
        detail: str,
    ) -> bool | GivenUp:
        """Applies the setting `on_WHAT` to a reply; asks when the policy is to pause."""
        holds = self._context.holds
        if policy == "fail":
            raise self._nothing_said(f"{problem} (on_{what}: fail)")
        if not holds.watched:
            if holds.goes_on_unwatched:
                return True
            side = self._attempt.speaker
            raise InterruptedRunError(f"the {side}'s {problem} (on_{what}: {policy})")
        release = await holds.wait(
            what, "commit", _drafts(result), (AGAIN, KEEP, SUPPLY, SKIP, FAIL), detail=detail
        )
        outcome = given_up(release)
        if outcome is not None:
            return outcome
        if release.choice == FAIL.id:
            raise self._nothing_said(problem)
        if release.choice == SUPPLY.id:
            before = result.text or ""
            text = str(release.edits.get("text", before))
            raw = release.edits.get("raw")
            if isinstance(raw, str) and raw != result.raw and text == before:
                self._edited = self._apply_edits(result, release)
                return False
            self._edits.note("text", before, text, result.stage, final=True)
            result.text = text
            if what == "error_text":
                result.error_text = None
        else:
            self._context.journal.emit_here(DebugOverrode, what=what, before="pause", after="keep")
        return True

    def _nothing_said(self, detail: str) -> ProviderError | UserSimulatorError:
        if self._attempt.speaker == "persona":
            return UserSimulatorError(f"the persona's {detail}")
        return ProviderError(f"the provider's {detail}")

    # --- failed hooks, endings

    async def _hook_failed(self, result: StageResult, error: HookError) -> bool | GivenUp:
        release = await self._context.holds.on_error(
            error, result.stage, _drafts(result), (RETRY, SUPPLY, AGAIN, FAIL)
        )
        if isinstance(release, GivenUp):
            return release
        if release.choice == RETRY.id:
            result.again = True
        elif release.choice == SUPPLY.id:
            result.error = None
            raw = release.edits.get("raw")
            if isinstance(raw, str) and raw != result.raw:
                self._edited = self._apply_edits(result, release)
                return False
            result.hook = BY_HAND
            if result.stage == "discard":
                result.discard = False
            if result.stage != "signals":
                before = result.raw if result.text is None else result.text
                result.text = str(release.edits.get("text", before))
                if result.stage == "post_process" or result.text != before:
                    self._edits.note("text", before, result.text, result.stage, final=True)
            self._record(result)
        return True

    async def _terminate(self, result: StageResult) -> bool | TakenBack:
        assert result.termination is not None
        outcome = await self._terminate_stage.passed(result.termination, self._edits)
        if isinstance(outcome, TakenBack):
            return outcome
        if not isinstance(outcome, Ended):
            result.termination = None
        return True


def _ending(fields: dict[str, Any] | None) -> Termination | None:
    return None if fields is None else Termination(**fields)


def _why_empty(utterance: Utterance, text: str) -> str:
    """Why a reply is empty, where that is known."""
    if utterance.incomplete:
        return f": {in_words(utterance.incomplete, utterance.finish_reason)}"
    if utterance.parts:
        return f": there is no text in it, only {', '.join(utterance.parts)}"
    if utterance.interim:
        return ": all that was said stands beside its tool calls (interim: say counts that as said)"
    if text.strip():
        return f": {one_line(text, 40)!r} has no letter and no digit"
    return ""


def error_text_of(result: StageResult, metadata: Mapping[str, Any]) -> str | None:
    """The text of an error in a reply, raw or as shown, or in its metadata."""
    text = result.text or ""
    matched = error_in(text)
    if matched is None and result.raw != text:
        matched = error_in(result.raw)
    return matched if matched is not None else error_in_metadata(metadata)


def _drafts(result: StageResult) -> list[dict[str, Any]]:
    drafts = [{"field": "raw", "label": "raw reply", "text": result.raw}]
    if result.stage != "signals":
        # Where the hook that makes it has failed, it is written beginning with the raw reply.
        text = result.raw if result.text is None else result.text
        drafts.insert(0, {"field": "text", "label": "what is said", "text": text})
    if result.stage == "discard":
        word = "drop" if result.discard else "keep"
        drafts.append({"field": "verdict", "label": "should_discard_response()", "text": word})
    return drafts
